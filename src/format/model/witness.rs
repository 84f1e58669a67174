//! Witnesses: the signatures on a transaction, each with the scheme that says what it is over and how long it is.

use crate::format::codec::{DecodeError, DecodeProblem, Reader};
use crate::format::signature::{KeyPair, PublicKey, Signature};

/// The longest witness of a native transaction: its scheme, a key and a signature.
pub(super) const WITNESS_BYTES: usize = 1 + KEY_BYTES + SIGNATURE_BYTES;
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

macro_rules! schemes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $tag:literal, $evidence_bytes:expr;)+) => {
        /// What a witness's signature is over.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scheme {
            $($(#[doc = $doc])+ $variant = $tag,)+
        }

        impl Scheme {
            const fn from_tag(tag: u8) -> Option<Self> {
                match tag {
                    $($tag => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The length of what follows the scheme in a witness. It begins with the key, by which witnesses are ordered.
            const fn evidence_bytes(self) -> usize {
                match self {
                    $(Self::$variant => $evidence_bytes,)+
                }
            }
        }
    };
}

schemes! {
    /// `"hl/tx/1" ‖ transaction id`.
    Native = 1, KEY_BYTES + SIGNATURE_BYTES;
    /// MPREG's signing bytes of the original transaction.
    Mpreg = 2, KEY_BYTES + SIGNATURE_BYTES;
}

/// One key's signature on a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// What the signature is over.
    pub scheme: Scheme,
    /// The key that signed.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

impl Witness {
    /// The native witness of whoever holds `key`.
    pub(super) fn by(key: &KeyPair, message: &[u8]) -> Self {
        Self {
            scheme: Scheme::Native,
            key: key.public_key(),
            signature: key.sign(message),
        }
    }

    /// Appends the encoding: the scheme, then its evidence.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.scheme as u8);
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(self.signature.as_bytes());
    }
}

/// Goes through the entries of an encoded witness, which was checked when it was decoded.
pub(super) struct Witnesses<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Witnesses<'a> {
    pub(super) fn new(encoded: &'a [u8]) -> Self {
        let (count, bytes) = encoded.split_first().unwrap_or((&0, &[]));
        Self {
            bytes,
            left: (*count).into(),
        }
    }
}

impl Iterator for Witnesses<'_> {
    type Item = Witness;

    fn next(&mut self) -> Option<Witness> {
        self.left = self.left.checked_sub(1)?;
        let (&tag, rest) = self.bytes.split_first()?;
        let scheme = Scheme::from_tag(tag)?;
        let (evidence, rest) = rest.split_at_checked(scheme.evidence_bytes())?;
        self.bytes = rest;
        // Every scheme there is has a key and a signature, and nothing else.
        let (key, signature) = evidence.split_first_chunk()?;
        Some(Witness {
            scheme,
            key: PublicKey::from_bytes(*key),
            signature: Signature::from_bytes(signature.try_into().ok()?),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Witnesses<'_> {}

/// Checks the witness at the front of `reader`, and goes behind it.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    const FIELD: &str = "witness";
    let count = reader.u8(FIELD)?;
    let mut last: Option<(u8, &[u8])> = None;
    for _ in 0..count {
        let start = reader.clone();
        let tag = reader.u8(FIELD)?;
        let scheme = Scheme::from_tag(tag);
        let scheme = scheme.ok_or_else(|| start.error(FIELD, DecodeProblem::Tag(tag)))?;
        let evidence = reader.take(FIELD, scheme.evidence_bytes())?;
        let order = (tag, evidence.get(..KEY_BYTES).unwrap_or(evidence));
        // Strictly ascending: one set of witnesses has one encoding, and a key that signs twice doesn't count as two witnesses.
        if last.is_some_and(|last| last >= order) {
            return Err(start.error(FIELD, DecodeProblem::Order));
        }
        last = Some(order);
    }
    Ok(())
}
