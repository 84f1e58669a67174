//! Bringing a chain back from an archive, and from a store that holds the blocks after it: every block goes through the
//! validator again, as if from a stranger. A restoring that was interrupted goes on where it was.

use std::sync::Arc;

use hubledger_storage::Store;

use crate::clock::Clock;
use crate::format::digest::BlockHash;
use crate::format::model::{Block, Header};
use crate::format::rejection::Rejected;
use crate::ledger::archive::{Archive, ArchiveError};
use crate::ledger::step::{BlockProgress, BlockStep, go_on};
use crate::ledger::{ChainReader, Ledger, LedgerError, Outcome};

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Blocks in the store now, genesis included.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Hash of the last one.
    pub head: BlockHash,
    /// Blocks that came from the archive in this run.
    pub archived: u64,
    /// Blocks that came from the store behind it in this run.
    pub further: u64,
}

/// Why a chain couldn't be restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The target store failed, or holds another chain.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The archive is damaged, or doesn't reach the blocks that are to follow it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A block is not valid.
    #[error("{0}")]
    Rejected(Rejected),
    /// The target store was pruned; bodies can't be put back into it.
    #[error(
        "the store was pruned below block {0}, and what was removed can't be put back into it; restore into a new \
         store, with this one behind the archive"
    )]
    Pruned(u64),
    /// The store behind the archive ends in another block than the restored chain has there.
    #[error("block {height} is {found}, the store behind the archive has {expected}")]
    Differs {
        /// The height of that store's head.
        height: u64,
        /// What was restored.
        found: BlockHash,
        /// What is there.
        expected: BlockHash,
    },
}

impl From<hubledger_storage::Error> for RestoreError {
    fn from(error: hubledger_storage::Error) -> Self {
        LedgerError::from(error).into()
    }
}

/// Restores the chain of `archive` into `store`, which is empty or holds a beginning of it, and then the blocks that
/// follow in `then`, up to the head that it has when this begins. Every file's hash, every block's hashes, seal,
/// signatures and rules are checked. Ends in an equality check with the head of `then`. `progress` is called after
/// every block, and once for a file whose blocks are all held already. Memory: as the ledger's, and a block.
///
/// # Errors
/// See [`RestoreError`], with [`LedgerError::Stopped`] if `progress` stopped it; what was restored until then is committed.
pub fn restore_archive(
    archive: &Archive,
    then: Option<&ChainReader>,
    store: Store,
    clock: Arc<dyn Clock>,
    progress: &mut BlockProgress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let spec = archive.spec()?;
    let head = then.map(ChainReader::head).transpose()?;
    if let Some(then) = then {
        check_behind(archive, then)?;
    }
    let floor = store.reader.extent()?.floor;
    if floor > 0 {
        return Err(RestoreError::Pruned(floor));
    }
    let mut restoring = Restoring {
        ledger: Ledger::create(store, &spec, clock)?,
        progress,
    };
    let restored = restoring.blocks(archive, then.zip(head.as_ref()));
    // Also what came before a fault, and before being stopped.
    let committed = restoring.ledger.commit();
    let (archived, further) = restored?;
    committed?;
    let reader = restoring.ledger.reader();
    if let Some(head) = &head {
        let found = reader.hash_at(head.height)?.unwrap_or_default();
        if found != head.hash() {
            return Err(RestoreError::Differs {
                height: head.height,
                found,
                expected: head.hash(),
            });
        }
    }
    let state = restoring.ledger.state();
    let report = RestoreReport {
        blocks: state.height() + 1,
        transactions: state.transactions(),
        head: state.head(),
        archived,
        further,
    };
    restoring.ledger.close()?;
    Ok(report)
}

/// That the chain in `then` can follow the archive: it is the same, and its bodies begin where the archive ends.
fn check_behind(archive: &Archive, then: &ChainReader) -> Result<(), RestoreError> {
    let (manifest, asked) = (archive.manifest(), then.spec().id());
    let path = || archive.folder().to_owned();
    if manifest.chain != asked {
        return Err(RestoreError::Archive(ArchiveError::OtherChain {
            path: path(),
            held: manifest.chain,
            asked,
        }));
    }
    let (end, extent) = (manifest.end(), then.extent()?);
    if end < extent.floor {
        return Err(RestoreError::Archive(ArchiveError::Gap {
            path: path(),
            end,
            floor: extent.floor,
        }));
    }
    if let Some(last) = manifest.files.last()
        && last.last < extent.end
        && then.hash_at(last.last)? != Some(last.last_hash)
    {
        return Err(RestoreError::Archive(ArchiveError::Forked {
            path: path(),
            height: last.last,
        }));
    }
    Ok(())
}

struct Restoring<'a, 'p> {
    ledger: Ledger,
    progress: &'a mut BlockProgress<'p>,
}

impl Restoring<'_, '_> {
    /// Restores the archive and then what follows up to a head, and says how many blocks of each are new.
    fn blocks(
        &mut self,
        archive: &Archive,
        then: Option<(&ChainReader, &Header)>,
    ) -> Result<(u64, u64), RestoreError> {
        let (mut archived, mut further) = (0, 0);
        for file in &archive.manifest().files {
            archived += self.file(archive, file)?;
        }
        if let Some((then, head)) = then {
            for height in self.ledger.state().height() + 1..=head.height {
                let block = then.block(height)?.ok_or(LedgerError::Pruned(height))?;
                further += u64::from(self.stage(&block)?);
            }
        }
        Ok((archived, further))
    }

    /// Restores a file, and says how many blocks are new. One whose last block is held is only compared with the
    /// manifest: the block's hash stands for all before it.
    fn file(
        &mut self,
        archive: &Archive,
        file: &crate::ledger::archive::ArchivedFile,
    ) -> Result<u64, RestoreError> {
        if self.ledger.reader().hash_at(file.last)? == Some(file.last_hash) {
            archive.check(file)?;
            self.step(BlockStep {
                height: file.last,
                transactions: 0,
            })?;
            return Ok(0);
        }
        let mut blocks = archive.blocks(file)?;
        let mut staged = 0;
        while let Some(block) = blocks.next_block()? {
            staged += u64::from(self.stage(&block)?);
        }
        Ok(staged)
    }

    fn stage(&mut self, block: &Block) -> Result<bool, RestoreError> {
        let outcome = self.ledger.stage(block)?;
        if let Outcome::Rejected(rejected) = outcome {
            return Err(RestoreError::Rejected(rejected));
        }
        self.step(BlockStep {
            height: block.height(),
            transactions: block.transactions().len() as u64,
        })?;
        Ok(outcome == Outcome::Staged)
    }

    fn step(&mut self, step: BlockStep) -> Result<(), RestoreError> {
        Ok(go_on((self.progress)(step))?)
    }
}
