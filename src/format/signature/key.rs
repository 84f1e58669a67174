//! The key pair: made, and used to sign.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use super::{KeyError, PublicKey, Signature};

/// An Ed25519 key pair. The secret is wiped from memory on drop, and never printed; the type is not `Clone`, so
/// that it stays in one place.
pub struct KeyPair {
    signing: SigningKey,
}

impl KeyPair {
    /// A new key pair from the operating system's random numbers.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] if the system has none to give.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(KeyError::Entropy)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key pair that RFC 8032 derives from a 32-byte private key. The caller wipes its own copy.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            signing: SigningKey::from_bytes(seed),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.signing.verifying_key().to_bytes())
    }

    /// Signs `message`: deterministic, as in RFC 8032.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.signing.sign(message).to_bytes())
    }

    /// The seed, for the PEM encoder.
    pub(super) fn seed(&self) -> &[u8; 32] {
        self.signing.as_bytes()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public_key", &self.public_key())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        let seed = [0xa5; 32];
        let pair = KeyPair::from_seed(&seed);
        let text = format!("{pair:?} {pair:#?}");
        assert!(text.contains(&pair.public_key().to_string()));
        assert!(!text.contains("a5a5") && !text.contains("165, 165"));
    }

    #[test]
    fn generated_keys_differ() {
        let (one, two) = (
            KeyPair::generate().expect("entropy"),
            KeyPair::generate().expect("entropy"),
        );
        assert_ne!(one.public_key(), two.public_key());
    }
}
