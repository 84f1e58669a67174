//! Who speaks for a name: sets of keys, as digests.

use crate::format::digest::many::hash_many;
use crate::format::digest::pair::Message;
use crate::format::digest::{Digest, sha256};
use crate::format::signature::PublicKey;

/// SHA-256 over `keys`, which are in ascending order: the identity of a set of signers.
pub(crate) fn keys_digest(keys: &[PublicKey]) -> Digest {
    let parts: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
    Digest(sha256(&parts))
}

/// The digests of many keys, each of a name that this key alone speaks for.
pub(crate) fn key_digests(keys: &[PublicKey]) -> Vec<Digest> {
    let message = |number: usize| Message {
        prefix: &[],
        rest: keys[number].as_bytes(),
    };
    let mut digests = Vec::with_capacity(keys.len());
    hash_many(keys.len(), message, |_, hash| digests.push(Digest(hash)));
    digests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_many_keys_are_those_of_each() {
        let keys: Vec<_> = (0..40)
            .map(|byte| PublicKey::from_bytes([byte; 32]))
            .collect();
        let each = keys.iter().map(|key| keys_digest(&[*key]));
        assert_eq!(key_digests(&keys), each.collect::<Vec<_>>());
    }
}
