//! What of an imported record the original chain's hashes don't cover, hashed block by block.
//!
//! MPREG's block hash covers neither clock nor miner nor difficulty nor block id, its Merkle tree neither signatures nor keys nor
//! where one name ends and the next begins. An imported block has no seal of anybody's, so whoever hands it on could
//! rewrite all of that. The specification therefore pins, beside the original head, the last of these digests. They cover
//! nothing that names the native chain, whose id depends on them.

use crate::format::codec;
use crate::format::digest::{Digest, sha256};
use crate::format::model::{OriginalHeader, Seal, Transaction, VectorClock};

const TAG: &[u8] = b"hubledger/mpreg/record/v1";

/// The digest of the record up to a block with these contents; `before` is that of the blocks before it, or zero.
pub fn extend(
    before: &Digest,
    vector_clock: &VectorClock,
    producer: &str,
    difficulty: u64,
    original: &OriginalHeader,
    transactions: &[Transaction],
) -> Digest {
    let mut block = Vec::new();
    vector_clock.encode(&mut block);
    codec::put_bytes(&mut block, producer.as_bytes());
    codec::put_u64(&mut block, difficulty);
    codec::put_bytes(&mut block, &Seal::Original(original.clone()).encode());
    codec::put_count(&mut block, transactions.len());
    for transaction in transactions {
        block.extend_from_slice(&contents(transaction));
    }
    Digest(sha256(&[TAG, &before.0, &block]))
}

/// A digest of what a transaction carries over from its original, and of nothing else.
fn contents(transaction: &Transaction) -> [u8; 32] {
    let length = |bytes: &[u8]| (bytes.len() as u64).to_le_bytes();
    let (sender, receiver) = (transaction.sender(), transaction.receiver());
    sha256(&[
        &length(sender.as_bytes()),
        sender.as_bytes(),
        &length(receiver.as_bytes()),
        receiver.as_bytes(),
        &length(transaction.payload()),
        transaction.payload(),
        transaction.witness_bytes(),
        transaction.operation().word().as_bytes(),
    ])
}
