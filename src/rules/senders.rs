//! The senders of a block, each once, with the hashes that a state in a tree and the rules for transactions ask for: made from the bytes
//! alone, where blocks are decoded, and many at a time. Whoever rules then waits for none of them.

use std::collections::HashMap;

use super::transactions::Hints;
use crate::format::digest::Digest;
use crate::format::model::Transaction;
use crate::format::signature::PublicKey;
use crate::state::{key_digests, places_of_names};

/// See the [module](self). Empty where nothing was hashed beforehand, which changes no verdict.
#[derive(Debug, Clone, Default)]
pub(super) struct Senders {
    /// The sender of each transaction, by its number.
    of: Vec<u32>,
    /// The first transaction of each sender.
    first: Vec<u32>,
    /// Where the account of each is in the tree.
    places: Vec<Digest>,
    /// The digest of the one key that signed the first transaction of each; of nothing if there are more or none.
    keys: Vec<Digest>,
}

/// A sender, as far as it is known without a state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) name: &'a str,
    /// The only key of its first transaction, with its digest.
    pub(super) key: Option<(PublicKey, Digest)>,
}

impl Senders {
    /// Those of a block. O(transactions).
    pub(super) fn of(transactions: &[Transaction]) -> Self {
        let mut senders = Self::default();
        let (mut names, mut hints) = (Vec::<&str>::new(), Hints::default());
        let mut numbers = HashMap::new();
        senders.of.reserve_exact(transactions.len());
        // A block has fewer transactions than there are bytes in its body.
        for (index, transaction) in (0_u32..).zip(transactions) {
            let name = transaction.sender();
            let hint = hints.of(name);
            let number = match names.get(*hint as usize) {
                Some(likely) if *likely == name => *hint,
                _ => *numbers.entry(name).or_insert(names.len() as u32),
            };
            *hint = number;
            if number as usize == names.len() {
                names.push(name);
                senders.first.push(index);
            }
            senders.of.push(number);
        }
        senders.places = places_of_names(&names);
        let keys = senders.first.iter().map(|first| {
            let key = only_key(&transactions[*first as usize]);
            key.unwrap_or(PublicKey::from_bytes([0; 32]))
        });
        senders.keys = key_digests(&keys.collect::<Vec<_>>());
        senders
    }

    /// The number of a transaction's sender.
    pub(super) fn number(&self, transaction: usize) -> Option<u32> {
        self.of.get(transaction).copied()
    }

    /// Where their accounts are.
    pub(super) fn places(&self) -> &[Digest] {
        &self.places
    }

    /// All of them, given the transactions that they were gathered from.
    pub(super) fn all<'a>(
        &'a self,
        transactions: &'a [Transaction],
    ) -> impl Iterator<Item = Sender<'a>> {
        let first = self.first.iter().zip(&self.keys);
        first.map(|(first, digest)| {
            let transaction = &transactions[*first as usize];
            Sender {
                name: transaction.sender(),
                key: only_key(transaction).map(|key| (key, *digest)),
            }
        })
    }
}

/// The key of a transaction with one witness.
pub(super) fn only_key(transaction: &Transaction) -> Option<PublicKey> {
    let mut witnesses = transaction.witnesses();
    match witnesses.len() {
        1 => witnesses.next().map(|witness| witness.key),
        _ => None,
    }
}
