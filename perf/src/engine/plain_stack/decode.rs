//! Reading blocks and hashing them, as FORMAT.md says, with nothing but `sha2`.

use anyhow::{Context as _, Result, ensure};
use hubledger_storage::{self as storage, IndexEntry};
use sha2::{Digest as _, Sha256};

/// What the checks need of a block.
pub(super) struct Decoded<'b> {
    pub(super) chain: [u8; 32],
    pub(super) previous: [u8; 32],
    pub(super) hash: [u8; 32],
    /// Whoever sealed it, and the signature.
    pub(super) seal: Claim,
    pub(super) transactions: Vec<Transaction<'b>>,
    /// As a store keeps it.
    pub(super) record: storage::Block,
}

/// What the checks need of a transaction.
pub(super) struct Transaction<'b> {
    pub(super) chain: [u8; 32],
    pub(super) sender: &'b [u8],
    pub(super) nonce: u64,
    pub(super) witnesses: Vec<Claim>,
}

/// A signature of a key over a message.
pub(super) struct Claim {
    pub(super) key: [u8; 32],
    pub(super) signature: [u8; 64],
    pub(super) message: Vec<u8>,
}

/// Reads a block, whose hash and Merkle root are computed anew.
///
/// # Errors
/// It isn't encoded as it should be, or its Merkle root is another.
pub(super) fn decode(bytes: &bytes::Bytes) -> Result<Decoded<'_>> {
    let mut reader = Reader(bytes);
    let (header, seal, body) = (reader.prefixed()?, reader.prefixed()?, reader.0);
    let hash = sha256(&[b"hubledger/block/v1", header]);
    let mut fields = Reader(header);
    ensure!(fields.byte()? == 1, "a header of another version");
    let (chain, height) = (fields.array()?, fields.u64()?);
    let (previous, merkle_root) = (fields.array()?, fields.array()?);
    let (mut transactions, mut ids, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = Reader(body);
    while !rest.0.is_empty() {
        let (transaction, id, witness) = transaction(&mut rest)?;
        transactions.push(transaction);
        leaves.push(sha256(&[&[0], &id, witness]));
        ids.push(id);
    }
    ensure!(merkle(&leaves) == merkle_root, "another Merkle root");
    let index = ids.iter().zip(0..);
    Ok(Decoded {
        chain,
        previous,
        hash,
        seal: authority_seal(seal, &hash)?,
        transactions,
        record: storage::Block {
            height,
            id: hash,
            header: bytes.slice_ref(header),
            body: bytes.slice_ref(body),
            index: index
                .map(|(&key, position)| IndexEntry { key, position })
                .collect(),
        },
    })
}

fn authority_seal(seal: &[u8], hash: &[u8; 32]) -> Result<Claim> {
    let mut seal = Reader(seal);
    ensure!(seal.byte()? == 1, "not an authority's seal");
    Ok(Claim {
        key: seal.array()?,
        signature: seal.array()?,
        message: [b"hl/seal/1", &hash[..]].concat(),
    })
}

/// A native transaction, its id and its encoded witness.
fn transaction<'b>(reader: &mut Reader<'b>) -> Result<(Transaction<'b>, [u8; 32], &'b [u8])> {
    let body = reader.prefixed()?;
    let id = sha256(&[b"hubledger/tx/v1", body]);
    let mut fields = Reader(body);
    ensure!(fields.byte()? == 1, "not a native transaction");
    let (chain, sender) = (fields.array()?, fields.prefixed()?);
    let (_receiver, operation) = (fields.prefixed()?, fields.byte()?);
    if operation == 0 {
        let _amount = fields.u64()?;
    }
    let _payload = fields.prefixed()?;
    let [_timestamp, _expiry, _fee] = [fields.u64()?, fields.u64()?, fields.u64()?];
    let nonce = fields.u64()?;
    ensure!(fields.0.is_empty(), "bytes after a nonce");
    let before = reader.0;
    let mut witnesses = Vec::new();
    for _ in 0..reader.byte()? {
        ensure!(reader.byte()? == 1, "another scheme of signatures");
        witnesses.push(Claim {
            key: reader.array()?,
            signature: reader.array()?,
            message: [b"hl/tx/1", &id[..]].concat(),
        });
    }
    let witness = &before[..before.len() - reader.0.len()];
    let transaction = Transaction {
        chain,
        sender,
        nonce,
        witnesses,
    };
    Ok((transaction, id, witness))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The RFC 9162 root over leaf hashes.
fn merkle(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha256(&[&[1], &merkle(left), &merkle(right)])
        }
    }
}

/// What is still to be read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("it ends too soon")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Bytes behind their length.
    fn prefixed(&mut self) -> Result<&'b [u8]> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(length as usize)
    }
}
