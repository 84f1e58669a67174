//! Checking a whole store again, trusting nothing in it but the specification: every header, seal, transaction,
//! signature and index entry.

mod parts;

use std::collections::HashSet;
use std::sync::Arc;

use hubledger_storage::{BlockReader, Id, Location};

use self::parts::Walk;
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::format::rejection::Rejected;
use crate::ledger::missing::{Losses, Missing};
use crate::ledger::step::BlockProgress;
use crate::ledger::values::META_STATE;
use crate::ledger::{ChainReader, LedgerError, record};
use crate::state::State;

/// What checking a store found. Of a store that was pruned, or made from a damaged one, only what is there is checked: the heights
/// say of which blocks how much, and are all 0 for a whole store.
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
    /// From here on every rule was checked, in a store that isn't whole starting from the stored state snapshot: of that only what
    /// headers commit to could be checked. The end if no block is after the snapshot.
    pub rules_from: u64,
    /// Hash of the last valid block.
    pub head: BlockHash,
    /// The first fault of the chain, if it has one.
    pub rejected: Option<Rejected>,
    /// What was lost before the store was made, and could not be checked; nothing in it is damage to the store. Behind blocks
    /// whose hashes are lost, history roots can't be checked.
    pub missing: Missing,
}

/// Checks every block of the chain in `store` again, signatures and seals included, then that the index finds each
/// transaction where it is and that the state snapshot is what the blocks give. `now_us` is the machine's time. Of a
/// store that was pruned everything that is there is checked as far as it can be, see [`StoreReport`].
///
/// # Errors
/// The store failed or is damaged (which is not the same as holding an invalid block, see
/// [`StoreReport::rejected`]): [`LedgerError::Unreadable`] lists all that can't be read, after the rest was checked;
/// [`LedgerError::Stopped`] if `progress` stopped it.
pub fn verify_store(
    store: Arc<dyn BlockReader>,
    now_us: u64,
    progress: &mut BlockProgress<'_>,
) -> Result<StoreReport, LedgerError> {
    let chain = ChainReader::open(Arc::clone(&store))?;
    let mut losses = Losses::default();
    let snapshot = match read_snapshot(&*store) {
        Err(error) if error.is_corrupt() => {
            losses.note_value(META_STATE, &error.to_string());
            None
        }
        snapshot => snapshot?,
    };
    Walk::new(&chain, snapshot, losses)?.run(now_us, progress)
}

fn read_snapshot(store: &dyn BlockReader) -> Result<Option<State>, LedgerError> {
    let snapshot = store.meta(META_STATE)?;
    let snapshot = snapshot.map(|bytes| State::decode(&bytes)).transpose();
    snapshot.map_err(|problem| LedgerError::DamagedMeta {
        record: META_STATE,
        problem,
    })
}

pub(crate) fn missing(height: u64) -> LedgerError {
    let problem = "missing below the tip".to_owned();
    LedgerError::Damaged {
        record: "block",
        height,
        problem,
    }
}

pub(crate) fn check_genesis(chain: &ChainReader, block: &Block) -> Result<(), LedgerError> {
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
pub(crate) struct IndexCheck<'a> {
    chain: &'a ChainReader,
    store: &'a dyn BlockReader,
    /// The keys of the block that an entry pointed back to last.
    earlier: Option<(u64, HashSet<(Id, u32)>)>,
}

impl<'a> IndexCheck<'a> {
    pub(crate) fn new(chain: &'a ChainReader) -> Self {
        Self {
            chain,
            store: chain.store(),
            earlier: None,
        }
    }

    pub(crate) fn check(&mut self, block: &Block) -> Result<(), LedgerError> {
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
        let block = match self.chain.block(height) {
            // Its entries were kept, or there would be nothing to find.
            Err(LedgerError::Lost { .. }) => return Ok(true),
            block => block?.ok_or_else(|| missing(height))?,
        };
        let keys = record::index(&block).into_iter();
        let keys: HashSet<(Id, u32)> = keys.map(|entry| (entry.key, entry.position)).collect();
        let is_there = keys.contains(&entry);
        self.earlier = Some((height, keys));
        Ok(is_there)
    }
}

pub(crate) fn check_snapshot(snapshot: Option<&State>, state: &State) -> Result<(), LedgerError> {
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
