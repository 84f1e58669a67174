//! 32-byte SHA-256 digests and the identifiers made of them.
//!
//! [`Digest`] is the plain value; [`BlockHash`], [`TransactionId`] and [`ChainId`] are newtypes over it,
//! so that one can't be passed where another belongs. All print as 64 lowercase hexadecimal digits
//! and read back from exactly that form (no upper case: one text per value).

#[cfg(target_arch = "x86_64")]
pub(crate) mod lanes;
pub(crate) mod many;
pub(crate) mod pair;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The text was not 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lowercase hexadecimal digits")]
pub struct ParseDigestError;

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Thirty-two zero bytes, which stand for "none".
            pub const ZERO: Self = Self([0; 32]);

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Whether all bytes are zero.
            #[must_use]
            pub fn is_zero(&self) -> bool {
                self.0 == [0; 32]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; 64];
                hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0u8; 32];
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(ParseDigestError);
                }
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseDigestError)?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_type! {
    /// A SHA-256 digest: a Merkle leaf, node or root.
    Digest
}
digest_type! {
    /// SHA-256 over a block's header, under the tag `hubledger/block/v1`. Names the block.
    BlockHash
}
digest_type! {
    /// SHA-256 over a transaction's body, under the tag `hubledger/tx/v1`. Names the transaction.
    TransactionId
}
digest_type! {
    /// SHA-256 over a chain specification, under the tag `hubledger/chain/v1`. Names the chain.
    ChainId
}

/// SHA-256 over the concatenation of `parts`, without joining them first.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_from_its_own_text_only() {
        let digest = Digest(sha256(&[b"ab", b"c"]));
        let text = digest.to_string();
        assert_eq!(
            text,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(text.to_uppercase().parse::<Digest>(), Err(ParseDigestError));
        assert_eq!(text[1..].parse::<Digest>(), Err(ParseDigestError));
        let json = serde_json::to_string(&digest).expect("a digest is a string");
        assert_eq!(
            serde_json::from_str::<Digest>(&json).expect("reads back"),
            digest
        );
    }
}
