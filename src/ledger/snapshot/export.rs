//! Writing a snapshot of a state, while its chain goes on.

use std::ops::ControlFlow;
use std::path::Path;

use hubledger_storage::Held;

use super::file::SnapshotFile;
use super::folder::{Folder, Found};
use super::headers::{self, HeaderEntry};
use super::manifest::{RowFile, SnapshotManifest};
use super::rows::{self, RowChunk};
use super::{FILE_BYTES, SnapshotError};
use crate::consensus;
use crate::format::blockfile;
use crate::format::digest::{ChainId, Digest};
use crate::format::model::Header;
use crate::format::sparse::ENDS;
use crate::ledger::missing::LostPart;
use crate::ledger::step::{Phase, Step, StepProgress, go_on};
use crate::ledger::{ChainReader, LedgerError, record};
use crate::rules::headers::state_root_due;
use crate::state::{State, StateTree};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// What the snapshot consists of.
    pub manifest: SnapshotManifest,
    /// Files that this run wrote, the manifest aside; fewer than there are if it went on with an interrupted one.
    pub files_written: u64,
}

/// Writes `state`, that after a final block of the chain that `reader` reads, into `folder`, which is created, empty, or holds an
/// interrupted export. An export of the same block goes on where that one was; else it begins anew. A snapshot of this block that is complete
/// already is left as it is. O(blocks + rows); memory: a file's contents, and pages that nobody has in memory are read and let go.
///
/// # Errors
/// [`LedgerError::NoStateRoot`] if the block names no state root, [`SnapshotError::NotFinal`], [`LedgerError::UnknownBlock`] if it isn't in the
/// chain, [`LedgerError::Pruned`] if its body isn't held; [`LedgerError::Stopped`] if `progress` stopped it; a directory that holds something
/// else; a store that failed or is damaged.
pub fn export(
    reader: &ChainReader,
    state: &State,
    folder: &Path,
    progress: &mut StepProgress<'_>,
) -> Result<ExportReport, SnapshotError> {
    SnapshotExport::new(reader, state)?.write(folder, progress)
}

/// A snapshot to be written.
pub struct SnapshotExport<'a> {
    reader: &'a ChainReader,
    state: State,
    header: Header,
    chain: ChainId,
    file_bytes: usize,
}

impl<'a> SnapshotExport<'a> {
    /// Checks that there can be a snapshot of this state: see [`export`].
    ///
    /// # Errors
    /// As there.
    pub fn new(reader: &'a ChainReader, state: &State) -> Result<Self, SnapshotError> {
        let (height, head) = (state.height(), state.head());
        if reader.hash_at(height)? != Some(head) {
            return Err(LedgerError::UnknownBlock(head).into());
        }
        if !state_root_due(reader.spec(), height) {
            return Err(LedgerError::NoStateRoot(height).into());
        }
        refuse_unsettled(reader, state)?;
        let header = reader.header(height)?;
        let header = header.ok_or(LedgerError::UnknownBlock(head))?;
        let mut state = state.clone();
        let root = state.root();
        state.refuse_failed()?;
        if root != Some(header.state_root) {
            return Err(damaged_state(
                height,
                "its rows don't give the root that its block names",
            ));
        }
        Ok(Self {
            reader,
            state,
            chain: header.chain,
            header,
            file_bytes: FILE_BYTES,
        })
    }

    /// Finishes files of headers and rows once their contents reach `bytes` instead of 4 MiB; a larger number counts as that.
    pub fn set_file_bytes(&mut self, bytes: usize) {
        self.file_bytes = bytes.min(FILE_BYTES);
    }

    /// Writes the snapshot: see [`export`].
    ///
    /// # Errors
    /// As there.
    pub fn write(
        &self,
        folder: &Path,
        progress: &mut StepProgress<'_>,
    ) -> Result<ExportReport, SnapshotError> {
        let head = self.header.hash();
        let mut folder = match Folder::open(folder, head)? {
            Found::Complete(manifest) => {
                return Ok(ExportReport {
                    manifest: *manifest,
                    files_written: 0,
                });
            }
            Found::Unfinished(folder) => folder,
        };
        let mut written = 0;
        let head_file = match folder.earlier_head() {
            Some(file) => file,
            None => {
                written += 1;
                self.write_head(&mut folder)?
            }
        };
        let mut manifest = SnapshotManifest::new(
            self.chain,
            (self.header.height, head),
            self.header.state_root,
            head_file,
        );
        written += self.write_headers(&mut folder, &mut manifest, progress)?;
        written += self.write_rows(&mut folder, &mut manifest, progress)?;
        let manifest = manifest.with_checksum();
        folder.finish(&manifest)?;
        Ok(ExportReport {
            manifest,
            files_written: written,
        })
    }

    /// The specification in force at the head, whose id the head's header has, and the head.
    fn write_head(&self, folder: &mut Folder) -> Result<SnapshotFile, SnapshotError> {
        let height = self.header.height;
        let block = self.reader.block(height)?;
        let block = block.ok_or(LedgerError::Pruned(height))?;
        let path = folder.path.clone();
        let io = SnapshotError::io(&path);
        let mut contents = Vec::new();
        blockfile::put_head(&mut contents, self.reader.spec().at(height)).map_err(&io)?;
        blockfile::put_block(&mut contents, &block).map_err(&io)?;
        folder.write_head(&contents)
    }

    fn write_headers(
        &self,
        folder: &mut Folder,
        manifest: &mut SnapshotManifest,
        progress: &mut StepProgress<'_>,
    ) -> Result<u64, SnapshotError> {
        let (end, mut written) = (self.header.height, 0);
        while manifest.headers_end() < end {
            let first = manifest.headers_end();
            let file = match folder.earlier_headers(first, end) {
                Some(file) => file,
                None => {
                    let (mut packed, mut next) = (Vec::new(), first);
                    while next < end && packed.len() < self.file_bytes {
                        headers::put_entry(&mut packed, &self.entry(next)?);
                        next += 1;
                    }
                    let count = (next - first) as usize;
                    let contents = headers::encode_packed(self.chain, first, count, &packed);
                    written += 1;
                    folder.write_headers((first, next - 1), &contents)?
                }
            };
            tell(progress, Phase::Headers, file.last + 1, end)?;
            manifest.header_files.push(file);
        }
        Ok(written)
    }

    /// What is held of a block below the head.
    fn entry(&self, height: u64) -> Result<HeaderEntry, SnapshotError> {
        let reader = self.reader;
        let missing = || LedgerError::Damaged {
            record: "header",
            height,
            problem: "missing below the tip".to_owned(),
        };
        // Asked of the reader, since what stands in for a lost hash must never be taken for one.
        let hash = reader.hash_at(height)?.ok_or_else(missing)?;
        let stored = reader.store().header(height)?.ok_or_else(missing)?;
        match stored.bytes {
            Held::Pruned => Ok(HeaderEntry::Pruned(hash)),
            Held::Present(_) if reader.lost().has(LostPart::Header, height) => {
                let part = LostPart::Header;
                Err(LedgerError::Lost { part, height }.into())
            }
            Held::Present(bytes) => {
                let (header, seal) = record::decode_header(height, &stored.id, &bytes)?;
                Ok(HeaderEntry::Held(header, seal))
            }
        }
    }

    fn write_rows(
        &self,
        folder: &mut Folder,
        manifest: &mut SnapshotManifest,
        progress: &mut StepProgress<'_>,
    ) -> Result<u64, SnapshotError> {
        let height = self.header.height;
        let tree = self.state.tree().ok_or(LedgerError::NoStateRoot(height))?;
        let (target, mut written) = (tree.len() as u64, 0);
        while let Some(first) = manifest.rows_end() {
            let file = match folder.earlier_rows(&first) {
                Some(file) => file,
                None => {
                    written += 1;
                    self.write_chunk(tree, first, folder)?
                }
            };
            manifest.rows = manifest.rows.saturating_add(file.rows);
            manifest.row_files.push(file);
            tell(progress, Phase::Rows, manifest.rows, target)?;
        }
        if manifest.rows != target {
            let problem = "its files don't have as many rows as it has";
            return Err(damaged_state(height, problem));
        }
        Ok(written)
    }

    /// Writes the rows from `first` on, until the file is full or there are no more.
    fn write_chunk(
        &self,
        tree: &StateTree,
        first: Digest,
        folder: &mut Folder,
    ) -> Result<RowFile, SnapshotError> {
        let (mut packed, mut count, mut last) = (Vec::new(), 0, ENDS.1);
        tree.visit(&first, &mut |place, table, key, value| {
            rows::put_row(&mut packed, table, key, value);
            count += 1;
            if packed.len() < self.file_bytes {
                return ControlFlow::Continue(());
            }
            last = place;
            ControlFlow::Break(())
        });
        let proof = tree.prove_range(&first, &last);
        self.state.refuse_failed()?;
        let height = self.header.height;
        let chunk = RowChunk {
            chain: self.chain,
            height,
            first,
            last,
            proof: proof.ok_or(LedgerError::NoStateRoot(height))?,
            rows: Vec::new(),
        };
        let contents = rows::encode_packed(&chunk, count, &packed);
        // Whoever gets the files can't tell damage in this store from damage on the way: it has to be found here.
        let read = RowChunk::decode(&contents).map_err(|error| error.to_string());
        read.and_then(|read| {
            read.verify(&self.header.state_root)
                .map_err(|error| error.to_string())
        })
        .map_err(|problem| damaged_state(height, &problem))?;
        folder.write_rows((first, last), count as u64, &contents)
    }
}

/// Refuses a state that its chain could still take back.
fn refuse_unsettled(reader: &ChainReader, state: &State) -> Result<(), SnapshotError> {
    let height = state.height();
    let mut final_height = consensus::final_height(reader.spec(), state);
    if final_height < height {
        // Blocks behind it may have made it final since; what the chain came to is known to the store.
        final_height = consensus::final_height(reader.spec(), &reader.state()?);
    }
    match final_height < height {
        true => Err(SnapshotError::NotFinal {
            height,
            final_height,
        }),
        false => Ok(()),
    }
}

fn damaged_state(height: u64, problem: &str) -> SnapshotError {
    let problem = problem.to_owned();
    SnapshotError::Ledger(LedgerError::Damaged {
        record: "state",
        height,
        problem,
    })
}

pub(super) fn tell(
    progress: &mut StepProgress<'_>,
    phase: Phase,
    height: u64,
    target: u64,
) -> Result<(), LedgerError> {
    go_on(progress(Step {
        phase,
        height,
        target,
    }))
}
