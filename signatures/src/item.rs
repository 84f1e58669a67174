//! What is checked, and what was found.

use crate::bytes::{PublicKey, Signature};
use crate::rule::SignatureError;

/// One signature to check, with what it is over and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The key that is said to have signed.
    pub key: &'a PublicKey,
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

/// What a verification found: the items that were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdicts {
    bad: Vec<(usize, SignatureError)>,
}

impl Verdicts {
    /// From bad items in any order, each index at most once.
    pub(crate) fn new(mut bad: Vec<(usize, SignatureError)>) -> Self {
        bad.sort_unstable();
        Self { bad }
    }

    /// Whether every item was accepted. True of no items.
    #[must_use]
    pub fn all_valid(&self) -> bool {
        self.bad.is_empty()
    }

    /// The items that were not accepted, by index, ascending, each with what [`verify`](crate::verify) says of it.
    #[must_use]
    pub fn bad(&self) -> &[(usize, SignatureError)] {
        &self.bad
    }
}
