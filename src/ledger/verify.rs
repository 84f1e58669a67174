//! Checking a whole store again, trusting nothing in it but the specification: every header, seal, transaction,
//! signature and index entry.

use std::collections::HashSet;
use std::sync::Arc;

use hubledger_storage::{BlockReader, Id, Location};

use super::step::{BlockProgress, BlockStep, go_on};
use super::verify_pruned::verify_pruned;
use super::{ChainReader, LedgerError, META_STATE, record};
use crate::digest::BlockHash;
use crate::model::Block;
use crate::rejection::Rejected;
use crate::validate::{Depth, State, Validator};

/// What checking a store found. Of a store that was pruned only what is there is checked: the heights say of which blocks
/// how much, and are all 0 for a whole store.
#[derive(Debug, Clone)]
pub struct StoreReport {
    /// Blocks that are valid, genesis included; in a pruned store those whose headers are held and valid.
    pub blocks: u64,
    /// Transactions in them, or in a pruned store so many as these headers commit to.
    pub transactions: u64,
    /// From here on headers were checked: hashes, links, history roots from genesis on, times, and seals.
    pub headers_from: u64,
    /// From here on bodies were checked too: sizes, Merkle roots, native signatures, and the index.
    pub bodies_from: u64,
    /// From here on every rule was checked, in a pruned store starting from the stored state snapshot: of that only what
    /// headers commit to could be checked. The end if no block is after the snapshot.
    pub rules_from: u64,
    /// Hash of the last valid block.
    pub head: BlockHash,
    /// The first fault of the chain, if it has one.
    pub rejected: Option<Rejected>,
}

/// Checks every block of the chain in `store` again, signatures and seals included, then that the index finds each
/// transaction where it is and that the state snapshot is what the blocks give. `now_us` is the machine's time. Of a
/// store that was pruned everything that is there is checked as far as it can be, see [`StoreReport`].
///
/// # Errors
/// The store failed or is damaged (which is not the same as holding an invalid block, see
/// [`StoreReport::rejected`]); [`LedgerError::Stopped`] if `progress` stopped it.
pub fn verify_store(
    store: Arc<dyn BlockReader>,
    now_us: u64,
    progress: &mut BlockProgress<'_>,
) -> Result<StoreReport, LedgerError> {
    let chain = ChainReader::open(Arc::clone(&store))?;
    let extent = chain.extent()?;
    let snapshot = store.meta(META_STATE)?;
    let snapshot = snapshot.map(|bytes| State::decode(&bytes)).transpose();
    let snapshot = snapshot.map_err(|problem| LedgerError::DamagedMeta {
        record: META_STATE,
        problem,
    })?;
    if extent.floor > 0 {
        return verify_pruned(&chain, extent, snapshot, now_us, progress);
    }
    let mut validator = Validator::new(chain.spec().clone());
    let mut index = IndexCheck::new(&chain);
    let mut blocks = 0;
    let mut rejected = None;
    for height in 0..extent.end {
        let block = chain.block(height)?.ok_or_else(|| missing(height))?;
        if height == 0 {
            check_genesis(&chain, &block)?;
        } else {
            match validator.check(&block, Depth::Full { now_us }) {
                Ok(valid) => validator.apply(&valid),
                Err(verdict) => {
                    rejected = Some(verdict);
                    break;
                }
            }
        }
        index.check(&block)?;
        check_snapshot(snapshot.as_ref(), validator.state())?;
        blocks += 1;
        go_on(progress(BlockStep {
            height,
            transactions: block.transactions().len() as u64,
        }))?;
    }
    let state = validator.state();
    let (transactions, head) = (state.transactions(), state.head());
    Ok(StoreReport {
        blocks,
        transactions,
        headers_from: 0,
        bodies_from: 0,
        rules_from: 0,
        head,
        rejected,
    })
}

pub(super) fn missing(height: u64) -> LedgerError {
    let problem = "missing below the tip".to_owned();
    LedgerError::Damaged {
        record: "block",
        height,
        problem,
    }
}

fn check_genesis(chain: &ChainReader, block: &Block) -> Result<(), LedgerError> {
    if *block != chain.spec().genesis() {
        let problem = "not the genesis of the specification".to_owned();
        return Err(LedgerError::Damaged {
            record: "block",
            height: 0,
            problem,
        });
    }
    Ok(())
}

/// Checks that the index finds what the blocks hold.
pub(super) struct IndexCheck<'a> {
    chain: &'a ChainReader,
    store: &'a dyn BlockReader,
    /// The keys of the block that an entry pointed back to last.
    earlier: Option<(u64, HashSet<(Id, u32)>)>,
}

impl<'a> IndexCheck<'a> {
    pub(super) fn new(chain: &'a ChainReader) -> Self {
        Self {
            chain,
            store: chain.store(),
            earlier: None,
        }
    }

    pub(super) fn check(&mut self, block: &Block) -> Result<(), LedgerError> {
        let height = block.height();
        let damaged = |record, problem: String| LedgerError::Damaged {
            record,
            height,
            problem,
        };
        if self.store.height_of(&block.hash().0)? != Some(height) {
            let problem = "does not find this block".to_owned();
            return Err(damaged("block hash index", problem));
        }
        for entry in record::index(block) {
            let place = (height, entry.position);
            let found = match self.store.locate(&entry.key)? {
                Location::Found { height, position } if (height, position) == place => true,
                // A key that occurs twice finds its first place.
                Location::Found { height, position } if (height, position) < place => {
                    self.is_at(height, (entry.key, position))?
                }
                // … which may have been pruned.
                Location::Pruned { height, position } if (height, position) < place => true,
                Location::NotIndexed { .. } => true,
                Location::Found { .. }
                | Location::Pruned { .. }
                | Location::Forgotten { .. }
                | Location::Absent => false,
            };
            if !found {
                let problem = format!("does not find transaction {}", entry.position);
                return Err(damaged("transaction index", problem));
            }
        }
        Ok(())
    }

    /// Whether the block at `height` has this key at this position.
    fn is_at(&mut self, height: u64, entry: (Id, u32)) -> Result<bool, LedgerError> {
        if let Some((_, keys)) = self.earlier.as_ref().filter(|(at, _)| *at == height) {
            return Ok(keys.contains(&entry));
        }
        let block = self.chain.block(height)?.ok_or_else(|| missing(height))?;
        let keys = record::index(&block).into_iter();
        let keys: HashSet<(Id, u32)> = keys.map(|entry| (entry.key, entry.position)).collect();
        let is_there = keys.contains(&entry);
        self.earlier = Some((height, keys));
        Ok(is_there)
    }
}

fn check_snapshot(snapshot: Option<&State>, state: &State) -> Result<(), LedgerError> {
    match snapshot {
        Some(snapshot) if snapshot.height() == state.height() && snapshot != state => {
            Err(LedgerError::Damaged {
                record: "state snapshot",
                height: state.height(),
                problem: "is not what the blocks give".to_owned(),
            })
        }
        _ => Ok(()),
    }
}
