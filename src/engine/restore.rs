//! Bringing a chain back from an archive, and from a store that holds the blocks after it: every block is imported again, as
//! if from a stranger. The caller's thread decompresses files; while the blocks of one go through the engine, another thread
//! hashes and opens the next, and what is wrong with that one is told when its turn comes. A restoring that was interrupted
//! goes on where it was.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::thread;

use bytes::Bytes;
use hubledger_storage::Store;

use super::ahead::Ahead;
use super::parcel::Offered;
use super::sync::Arc;
use super::{Engine, EngineBuilder, EngineError, Outcome};
use crate::clock::Clock;
use crate::format::digest::BlockHash;
use crate::format::model::{Block, Header};
use crate::format::rejection::Rejected;
use crate::ledger::archive::{Archive, ArchiveError, ArchivedBlocks, ArchivedFile};
use crate::ledger::step::{BlockProgress, BlockStep, go_on};
use crate::ledger::{ChainReader, Ledger, LedgerError};

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
    /// The engine that the blocks go through failed.
    #[error(transparent)]
    Engine(EngineError),
    /// Hashing or opening a file of the archive panicked.
    #[error("reading the archive panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
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

impl From<EngineError> for RestoreError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Ledger(cause) => match Arc::try_unwrap(cause) {
                Ok(error) => error.into(),
                Err(shared) => Self::Engine(EngineError::Ledger(shared)),
            },
            error => Self::Engine(error),
        }
    }
}

/// Restores the chain of `archive` into `store`, which is empty or holds a beginning of it, and then the blocks that
/// follow in `then`, up to the head that it has when this begins, on all cores. Every file's hash, every block's hashes, seal,
/// signatures and rules are checked. Ends in an equality check with the head of `then`.
///
/// # Errors
/// As [`EngineBuilder::restore`].
pub fn restore_archive(
    archive: &Archive,
    then: Option<&ChainReader>,
    store: Store,
    clock: Arc<dyn Clock>,
    progress: &mut BlockProgress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let builder = Engine::builder().clock(clock);
    builder.restore(archive, then, store, progress)
}

impl EngineBuilder {
    /// The same as [`restore_archive`], by the settings of this builder. `progress` is called in this thread after every block
    /// that is committed or held, in order, and once for a file whose blocks are all held already. Memory: the engine's, and two decompressors'.
    ///
    /// # Errors
    /// See [`RestoreError`], with [`LedgerError::Stopped`] if `progress` stopped it; what was restored until then is committed.
    pub fn restore(
        self,
        archive: &Archive,
        then: Option<&ChainReader>,
        store: Store,
        progress: &mut BlockProgress<'_>,
    ) -> Result<RestoreReport, RestoreError> {
        let mut spec = archive.spec()?;
        let head = then.map(ChainReader::head).transpose()?;
        if let Some(then) = then {
            check_behind(archive, then)?;
            // It may have gone on under another specification since the last file was archived.
            spec = then.spec().clone();
        }
        // Before anything is written: blocks below the floor can't be appended again, and the rest would be imported in vain.
        let floor = store.reader.extent()?.body_floor;
        if floor > 0 {
            return Err(RestoreError::Pruned(floor));
        }
        let ledger = Ledger::create(store, &spec, Arc::clone(&self.clock))?;
        let engine = self.start(ledger)?;
        let restored = feed(&engine, archive, then.zip(head.as_ref()), progress);
        // Before the result is looked at: what came before a fault or a stop is committed and made durable all the same.
        let ended = engine.shutdown();
        let (archived, further) = restored?;
        ended?;
        let reader = engine.reader();
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
        let last = reader.head()?;
        Ok(RestoreReport {
            blocks: last.height + 1,
            transactions: engine.transactions(),
            head: last.hash(),
            archived,
            further,
        })
    }
}

/// That the chain in `then` can follow the archive: it is the same or goes on from it, and its bodies begin where the archive ends.
fn check_behind(archive: &Archive, then: &ChainReader) -> Result<(), RestoreError> {
    let (manifest, asked) = (archive.manifest(), then.spec().id());
    let path = || archive.folder().to_owned();
    if then.spec().shared_up_to(manifest.chain).is_none() {
        return Err(RestoreError::Archive(ArchiveError::OtherChain {
            path: path(),
            held: manifest.chain,
            asked,
        }));
    }
    let (end, extent) = (manifest.end(), then.extent()?);
    if end < extent.body_floor {
        return Err(RestoreError::Archive(ArchiveError::Gap {
            path: path(),
            end,
            floor: extent.body_floor,
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

/// Imports the archive and then what follows up to a head, and says how many blocks of each are new.
fn feed(
    engine: &Engine,
    archive: &Archive,
    then: Option<(&ChainReader, &Header)>,
    progress: &mut BlockProgress<'_>,
) -> Result<(u64, u64), RestoreError> {
    let held = engine.reader();
    let files = held_files(&held, archive, progress)?;
    thread::scope(|scope| {
        let opened = Ahead::start(scope, "hubledger-archive", opened(held, archive, files));
        let opened = opened.map_err(|error| EngineError::Threads(Arc::new(error)))?;
        let first = archive.manifest().files.len() - files.len();
        let source = Source::new(engine, archive, first, opened, then)?;
        feed_from(engine, source, progress)
    })
}

fn feed_from(
    engine: &Engine,
    source: Source<'_>,
    progress: &mut BlockProgress<'_>,
) -> Result<(u64, u64), RestoreError> {
    let (archive, then) = (source.archive, source.then);
    let source = RefCell::new(source);
    let (mut archived, mut further) = (0, 0);
    for outcome in engine.feed(std::iter::from_fn(|| source.borrow_mut().next())) {
        let passed = source.borrow_mut().pass(progress)?;
        let outcome = outcome?;
        let Some(passed) = passed else { continue };
        match outcome {
            Outcome::Rejected(rejected) => return Err(passed.refusal(archive, then, rejected)),
            Outcome::Held { .. } => {}
            Outcome::Committed(_) => match passed.origin {
                Origin::File { .. } => archived += 1,
                Origin::Store => further += 1,
            },
        }
        go_on(progress(passed.step))?;
    }
    source.borrow_mut().pass(progress)?;
    match source.into_inner().ended {
        Some(error) => Err(error),
        None => Ok((archived, further)),
    }
}

/// Passes over the files that are held already, as far as there is no other between them, and gives the rest. A restoring
/// that goes on may have many of them to hash, and can be stopped after each.
fn held_files<'a>(
    held: &ChainReader,
    archive: &'a Archive,
    progress: &mut BlockProgress<'_>,
) -> Result<&'a [ArchivedFile], RestoreError> {
    let mut files = &archive.manifest().files[..];
    while let Some((file, rest)) = files.split_first() {
        let Some(step) = held_file(held, archive, file)? else {
            break;
        };
        go_on(progress(step))?;
        files = rest;
    }
    Ok(files)
}

/// Whether the last block of a file is held. Then it is only compared with the manifest: the block's hash stands for all before
/// it.
fn held_file(
    held: &ChainReader,
    archive: &Archive,
    file: &ArchivedFile,
) -> Result<Option<BlockStep>, RestoreError> {
    if held.hash_at(file.last)? != Some(file.last_hash) {
        return Ok(None);
    }
    // The block's hash is held, but the file is what a later restoring relies on.
    archive.check_once(file)?;
    Ok(Some(BlockStep {
        height: file.last,
        transactions: 0,
    }))
}

/// A file whose bytes were compared with the manifest.
enum Opened {
    Blocks(Box<ArchivedBlocks>),
    /// One that is held already.
    Held(BlockStep),
}

/// Hashes and opens the files, each when it is asked for, up to the first fault.
fn opened<'a>(
    held: ChainReader,
    archive: &'a Archive,
    files: &'a [ArchivedFile],
) -> impl Iterator<Item = Result<Opened, RestoreError>> + Send + 'a {
    let mut is_over = false;
    files.iter().map_while(move |file| {
        if is_over {
            return None;
        }
        let opened = match held_file(&held, archive, file) {
            Ok(Some(step)) => Ok(Opened::Held(step)),
            Ok(None) => archive
                .blocks(file)
                .map(|blocks| Opened::Blocks(Box::new(blocks)))
                .map_err(RestoreError::from),
            Err(error) => Err(error),
        };
        is_over = opened.is_err();
        Some(opened)
    })
}

/// What was handed in and has no outcome yet, in order.
enum Pending {
    Block(Passed),
    /// A file that was held.
    Held(BlockStep),
}

struct Passed {
    step: BlockStep,
    origin: Origin,
}

/// Where a block came from.
enum Origin {
    /// From a file of the archive, at this place of its contents. Its bytes are those that the engine works on.
    File {
        number: usize,
        offset: u64,
        bytes: Bytes,
    },
    /// From the store behind it.
    Store,
}

impl Passed {
    /// Why it is refused: by a rule, unless it can't be read at all.
    fn refusal(
        self,
        archive: &Archive,
        then: Option<&ChainReader>,
        rejected: Rejected,
    ) -> RestoreError {
        let height = self.step.height;
        match self.origin {
            Origin::File {
                number,
                offset,
                bytes,
            } => match Block::decode(&bytes) {
                Ok(_) => RestoreError::Rejected(rejected),
                Err(error) => {
                    let file = &archive.manifest().files[number];
                    archive.unreadable(file, offset, &error).into()
                }
            },
            Origin::Store => match then.map(|then| then.block(height)) {
                Some(Err(error)) => error.into(),
                _ => RestoreError::Rejected(rejected),
            },
        }
    }
}

/// The blocks of the archive's files and then those of the store behind it, as the engine takes them.
struct Source<'a> {
    archive: &'a Archive,
    /// The next file, what comes of it and of those behind it, and the one that is being read.
    number: usize,
    opened: Ahead<Result<Opened, RestoreError>>,
    open: Option<Box<ArchivedBlocks>>,
    then: Option<&'a ChainReader>,
    /// Heights to be had from there.
    further: Range<u64>,
    /// As many as the engine has on their way.
    pending: VecDeque<Pending>,
    /// Why no more blocks come, if it isn't the end.
    ended: Option<RestoreError>,
}

impl<'a> Source<'a> {
    fn new(
        engine: &Engine,
        archive: &'a Archive,
        number: usize,
        opened: Ahead<Result<Opened, RestoreError>>,
        then: Option<(&'a ChainReader, &Header)>,
    ) -> Result<Self, RestoreError> {
        let manifest = archive.manifest();
        let first = manifest.end().max(engine.head()?.height + 1);
        let further = then.map_or(first..first, |(_, head)| first..head.height + 1);
        Ok(Self {
            archive,
            number,
            opened,
            open: None,
            then: then.map(|(then, _)| then),
            further,
            pending: VecDeque::new(),
            ended: None,
        })
    }

    fn next(&mut self) -> Option<Offered> {
        if self.ended.is_some() {
            return None;
        }
        let next = self.read();
        next.unwrap_or_else(|error| {
            self.ended = Some(error);
            None
        })
    }

    fn read(&mut self) -> Result<Option<Offered>, RestoreError> {
        loop {
            if let Some(open) = &mut self.open {
                if let Some(next) = open.next_encoded()? {
                    let origin = Origin::File {
                        number: self.number - 1,
                        offset: next.offset,
                        bytes: next.bytes.clone(),
                    };
                    self.note(&next.header, origin);
                    return Ok(Some(Offered::Encoded(next.bytes)));
                }
                self.open = None;
            }
            let opened = self.opened.next();
            let Some(opened) = opened.map_err(|message| RestoreError::Panicked { message })? else {
                return self.read_further();
            };
            self.number += 1;
            match opened? {
                Opened::Blocks(blocks) => self.open = Some(blocks),
                Opened::Held(step) => self.pending.push_back(Pending::Held(step)),
            }
        }
    }

    fn read_further(&mut self) -> Result<Option<Offered>, RestoreError> {
        let (Some(then), Some(height)) = (self.then, self.further.next()) else {
            return Ok(None);
        };
        let parts = then.parts(height)?.ok_or(LedgerError::Pruned(height))?;
        self.note(&parts.header, Origin::Store);
        Ok(Some(Offered::Stored(Box::new(parts))))
    }

    fn note(&mut self, header: &Header, origin: Origin) {
        let step = BlockStep {
            height: header.height,
            transactions: header.transaction_count.into(),
        };
        self.pending
            .push_back(Pending::Block(Passed { step, origin }));
    }

    /// The next block whose outcome has come; tells of files that were passed over before it.
    fn pass(&mut self, progress: &mut BlockProgress<'_>) -> Result<Option<Passed>, RestoreError> {
        while let Some(pending) = self.pending.pop_front() {
            match pending {
                Pending::Block(passed) => return Ok(Some(passed)),
                Pending::Held(step) => go_on(progress(step))?,
            }
        }
        Ok(None)
    }
}
