//! Public keys and signatures as bytes: values that are carried, compared and printed, not yet judged.

use std::fmt;
use std::str::FromStr;

/// The text was not exactly as many lowercase hexadecimal digits as the value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} lowercase hexadecimal digits")]
pub struct ParseHexError {
    digits: usize,
}

macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The value with these bytes. Any bytes will do; verification judges them.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; 2 * $len];
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
            type Err = ParseHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = ParseHexError { digits: 2 * $len };
                let mut bytes = [0u8; $len];
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(error);
                }
                hex::decode_to_slice(text, &mut bytes).map_err(|_| error)?;
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

bytes_type! {
    /// An Ed25519 public key: the 32 bytes that encode `A`. Prints as 64 lowercase hexadecimal digits and reads
    /// back from exactly that.
    PublicKey, 32
}
bytes_type! {
    /// An Ed25519 signature: the encoding of `R`, then `s`. Prints as 128 lowercase hexadecimal digits and reads
    /// back from exactly that.
    Signature, 64
}

impl Signature {
    /// The 32 bytes that encode `R`.
    pub(crate) fn r(&self) -> &[u8; 32] {
        self.0.first_chunk().expect("32 is less than 64")
    }

    /// The 32 bytes that encode `s`.
    pub(crate) fn s(&self) -> &[u8; 32] {
        self.0.last_chunk().expect("32 is less than 64")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_read_back_from_their_own_text_only() {
        let key = PublicKey::from_bytes([0xab; 32]);
        let signature = Signature::from_bytes([0xcd; 64]);
        assert_eq!(key.to_string(), "ab".repeat(32));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(signature.to_string().parse(), Ok(signature));
        for text in [
            "AB".repeat(32),
            "ab".repeat(31),
            "ab".repeat(33),
            "ag".repeat(32),
            String::new(),
        ] {
            let error = text.parse::<PublicKey>().expect_err("not a key");
            assert_eq!(
                error.to_string(),
                "expected 64 lowercase hexadecimal digits"
            );
        }
        let json = serde_json::to_string(&(key, signature)).expect("strings");
        assert_eq!(
            serde_json::from_str::<(PublicKey, Signature)>(&json).expect("reads back"),
            (key, signature)
        );
        assert!(serde_json::from_str::<PublicKey>(&format!("\"{}\"", "AB".repeat(32))).is_err());
    }
}
