//! Who speaks for a name: sets of keys, as digests.

use crate::format::digest::{Digest, sha256};
use crate::format::signature::PublicKey;

/// SHA-256 over `keys`, which are in ascending order: the identity of a set of signers.
pub(crate) fn keys_digest(keys: &[PublicKey]) -> Digest {
    let parts: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
    Digest(sha256(&parts))
}
