//! What an engineer would put together in a day from well-kept crates, to be measured beside our engine on the same blocks: rayon,
//! `sha2`, `ed25519_dalek::verify_batch` and a plain store with an index, such as RocksDB.
//!
//! It does what matters for safety: it reads and hashes every transaction, and checks signatures, seals, links, Merkle roots and
//! nonces. It leaves out what our engine does beyond that (the history tree, expiry, clocks, limits, a state that can be rolled
//! back, a store that can be opened after a crash at any point), which counts against us.
//!
//! Choices that are in its favour: signatures are summed over as many blocks as a thread has of a commit, since dalek's batches get
//! faster with their size; keys are decompressed once and kept; the next blocks are checked while the store waits for the disk; commits
//! have as many blocks as our engine's; and compactions that are due at the end aren't waited for.

mod decode;

use std::collections::HashMap;
use std::path::Path;
use std::sync::RwLock;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey, verify_batch};
use hubledger_storage::{self as storage, Durability};
use rayon::prelude::*;

use self::decode::{Claim, Decoded, decode};
use super::chain::Chain;
use crate::clock::Times;
use crate::storage::{Contender, fresh_directory};

/// Commits that wait for the store, at most; those in flight are all in memory.
const COMMITS_WAITING_MAX: usize = 1;

/// Imports a whole chain into an empty store, with as many threads and blocks of a commit.
///
/// # Errors
/// A block isn't valid, or the store failed.
pub(super) fn import(
    chain: &Chain,
    contender: &Contender,
    threads: usize,
    group_blocks: usize,
    under: &Path,
) -> Result<Times> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    let directory = fresh_directory(under)?;
    let (done, times) = Times::of(|| {
        let (sender, receiver) = sync_channel(COMMITS_WAITING_MAX);
        thread::scope(|scope| {
            let storing = scope.spawn(|| store(contender, directory.path(), receiver));
            let mut importer = Importer::new(chain)?;
            let checked = chain.blocks.chunks(group_blocks).try_for_each(|group| {
                let records = pool.install(|| importer.check(group, threads))?;
                sender
                    .send(records)
                    .map_err(|_| anyhow!("the store stopped"))
            });
            drop(sender);
            let stored = storing.join().map_err(|_| anyhow!("the store panicked"))?;
            // Why the store stopped says more than that it did.
            stored.and(checked)
        })
    });
    done.map(|()| times)
}

/// Writes what comes, each group as one durable commit, and closes the store.
fn store(
    contender: &Contender,
    directory: &Path,
    groups: Receiver<Vec<storage::Block>>,
) -> Result<()> {
    let mut keeper = contender.open(directory, Durability::Disk)?;
    for records in groups {
        keeper.append(&records)?;
    }
    Ok(())
}

/// What has to be known of the blocks before.
struct Importer {
    chain: [u8; 32],
    authorities: Vec<[u8; 32]>,
    previous: [u8; 32],
    height: u64,
    /// The last nonce of each sender.
    nonces: HashMap<Vec<u8>, u64>,
    keys: Keys,
}

impl Importer {
    fn new(chain: &Chain) -> Result<Self> {
        let (_, authority) = chain.authority();
        Ok(Self {
            chain: chain.spec.id().0,
            authorities: vec![*authority.public_key().as_bytes()],
            previous: chain.spec.genesis().hash().0,
            height: 0,
            nonces: HashMap::new(),
            keys: Keys::default(),
        })
    }

    /// Checks the next blocks: what can be done for each alone on all threads, the rest in order.
    fn check(&mut self, blocks: &[Bytes], threads: usize) -> Result<Vec<storage::Block>> {
        let share = blocks.len().div_ceil(threads).max(1);
        let shares = blocks.par_chunks(share).map(|blocks| {
            let decoded = blocks.iter().map(decode).collect::<Result<Vec<_>>>()?;
            self.keys.check(&decoded)?;
            Ok(decoded)
        });
        let shares = shares.collect::<Result<Vec<_>>>()?;
        let mut records = Vec::with_capacity(blocks.len());
        for block in shares.into_iter().flatten() {
            self.follow(&block)?;
            records.push(block.record);
        }
        Ok(records)
    }

    /// What depends on the blocks before.
    fn follow(&mut self, block: &Decoded<'_>) -> Result<()> {
        let height = block.record.height;
        ensure!(
            height == self.height + 1 && block.previous == self.previous,
            "block {height} doesn't follow on block {}",
            self.height
        );
        ensure!(
            block.chain == self.chain && self.authorities.contains(&block.seal.key),
            "block {height} is of another chain or authority"
        );
        for transaction in &block.transactions {
            ensure!(
                transaction.chain == self.chain && !transaction.witnesses.is_empty(),
                "block {height}: a transaction of another chain, or unsigned"
            );
            if let Some(last) = self.nonces.get_mut(transaction.sender) {
                ensure!(transaction.nonce > *last, "block {height}: an old nonce");
                *last = transaction.nonce;
            } else {
                ensure!(transaction.nonce > 0, "block {height}: no nonce");
                self.nonces
                    .insert(transaction.sender.to_vec(), transaction.nonce);
            }
        }
        (self.height, self.previous) = (height, block.hash);
        Ok(())
    }
}

/// Decompressed keys.
#[derive(Default)]
struct Keys(RwLock<HashMap<[u8; 32], VerifyingKey>>);

impl Keys {
    /// Checks every signature of some blocks as one batch.
    fn check(&self, blocks: &[Decoded<'_>]) -> Result<()> {
        let claims = blocks.iter().flat_map(|block| {
            let witnesses = block.transactions.iter().flat_map(|t| &t.witnesses);
            witnesses.chain([&block.seal])
        });
        let claims: Vec<&Claim> = claims.collect();
        let keys = claims.iter().map(|claim| self.get(&claim.key));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let messages: Vec<&[u8]> = claims.iter().map(|claim| &*claim.message).collect();
        let signatures = claims
            .iter()
            .map(|claim| Signature::from_bytes(&claim.signature));
        let signatures: Vec<Signature> = signatures.collect();
        verify_batch(&messages, &signatures, &keys).context("a signature doesn't verify")
    }

    fn get(&self, key: &[u8; 32]) -> Result<VerifyingKey> {
        let poisoned = |_| anyhow!("another thread panicked");
        if let Some(known) = self.0.read().map_err(poisoned)?.get(key) {
            return Ok(*known);
        }
        let verifying_key = VerifyingKey::from_bytes(key).context("not a key")?;
        let mut keys = self
            .0
            .write()
            .map_err(|_| anyhow!("another thread panicked"))?;
        keys.insert(*key, verifying_key);
        Ok(verifying_key)
    }
}

#[cfg(test)]
mod tests {
    use hubledger::format::FormatVersion;
    use hubledger::generate::Recipe;

    use super::*;

    fn chain() -> Chain {
        let recipe = Recipe {
            transactions: 60,
            keys: 3,
            per_block: 10,
            version: FormatVersion::V1,
            ..Recipe::default()
        };
        Chain::generate(recipe).expect("a good recipe")
    }

    /// Imports into a plain file, which is always built in.
    fn import_file(chain: &Chain) -> Result<Times> {
        let directory = tempfile::tempdir().expect("a directory");
        let imported = import(chain, &Contender::PlainFile, 2, 4, directory.path());
        let left = std::fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(left.count(), 0, "the store is removed");
        imported
    }

    #[test]
    fn a_valid_chain_is_imported_with_the_hashes_and_ids_of_the_engine() {
        let chain = chain();
        import_file(&chain).expect("it is valid");
        let expected = chain.records().expect("good blocks");
        for (bytes, expected) in chain.blocks.iter().zip(expected) {
            let record = decode(bytes).expect("a good block").record;
            assert_eq!((record.id, &record.body), (expected.id, &expected.body));
            assert_eq!(record.index, expected.index);
        }
    }

    #[test]
    fn a_wrong_signature_fails_wherever_it_is() {
        // The last byte of a block is the top of its last signature's `s`, so that a bit further down is chosen.
        for block in [0, 5] {
            let mut chain = chain();
            let mut bytes = chain.blocks[block].to_vec();
            let at = bytes.len() - 20;
            bytes[at] ^= 1;
            // The signature is part of the Merkle leaf, so that the root and the seal are made anew: only the signature is wrong.
            chain.blocks[block] = resealed(&chain, &bytes);
            let error = import_file(&chain).expect_err("a wrong signature");
            let text = format!("{error:#}");
            assert!(text.contains("signature"), "{text}");
        }
    }

    /// The block with the Merkle root of its transactions, sealed anew.
    fn resealed(chain: &Chain, bytes: &[u8]) -> Bytes {
        use hubledger::model::{Block, Header, Seal};
        let block = Block::decode(&Bytes::copy_from_slice(bytes)).expect("it can be read");
        let root = block.computed_merkle_root();
        let mut header = block.header().bytes().to_vec();
        let at = 1 + 32 + 8 + 32;
        header[at..at + 32].copy_from_slice(&root.0);
        let header = Header::decode(header.into()).expect("a header");
        let (_, key) = chain.authority();
        let seal = Seal::by_authority(key, &header.hash());
        let sealed = Block::assemble(header, seal, block.transactions()).expect("a block");
        sealed.encode().into()
    }

    #[test]
    fn blocks_in_another_order_or_with_other_bytes_fail() {
        let mut swapped = chain();
        swapped.blocks.swap(1, 2);
        let error = import_file(&swapped).expect_err("another order");
        assert!(format!("{error:#}").contains("doesn't follow"), "{error:#}");
        let mut spoilt = chain();
        let mut bytes = spoilt.blocks[3].to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        spoilt.blocks[3] = bytes.into();
        let error = import_file(&spoilt).expect_err("other bytes");
        assert!(format!("{error:#}").contains("Merkle"), "{error:#}");
        let mut cut = chain();
        cut.blocks[3] = cut.blocks[3].slice(..40);
        let error = import_file(&cut).expect_err("a cut block");
        assert!(format!("{error:#}").contains("too soon"), "{error:#}");
    }
}
