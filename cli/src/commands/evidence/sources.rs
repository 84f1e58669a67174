//! Where blocks are seen that may contradict each other: files, the chain, and the branches beside it. All blocks of a height come together,
//! heights ascend, and no more than one height is in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hubledger::blockfile::BlockFileReader;
use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger::model::Block;
use hubledger::rejection::{Fault, Reason};
use hubledger::spec::ChainSpec;

use crate::failure::{Failure, Result};
use crate::transactions::{fault_of, in_file};

/// All sources of a search.
pub(super) struct Sources<'a> {
    files: Vec<FileSource>,
    beside: BTreeMap<u64, Vec<Block>>,
    chain: &'a ChainReader,
    /// From the lowest height of the others on, every height of the chain is looked at, also those that the others don't have.
    walks_chain: bool,
    at: Option<u64>,
    last: u64,
}

impl<'a> Sources<'a> {
    /// Block files have to be of the chain in the store, or of one that it goes on from.
    pub(super) fn open(
        files: &[PathBuf],
        chain: &'a ChainReader,
        walks_chain: bool,
    ) -> Result<Self> {
        let open = |path: &PathBuf| FileSource::open(path, chain.spec());
        let files = files.iter().map(open).collect::<Result<_>>()?;
        let mut beside: BTreeMap<u64, Vec<Block>> = BTreeMap::new();
        let tree = chain.fork_tree(SystemClock.now_us())?;
        for block in tree.side_blocks() {
            beside
                .entry(block.height())
                .or_default()
                .push(block.clone());
        }
        Ok(Self {
            files,
            beside,
            chain,
            walks_chain,
            at: None,
            last: chain.head()?.height,
        })
    }

    /// The next height with its blocks, each once with each seal; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<Block>)>> {
        let of_files = self.files.iter().filter_map(|file| file.next.as_ref());
        let others = of_files
            .map(Block::height)
            .chain(self.beside.keys().next().copied());
        let walked = self.at.filter(|_| self.walks_chain);
        let walked = walked
            .map(|at| at + 1)
            .filter(|height| *height <= self.last);
        let Some(height) = others.chain(walked).min() else {
            return Ok(None);
        };
        self.at = Some(height);
        let mut blocks = Vec::new();
        let mut add = |block: Block| {
            let is_new = |held: &Block| held.hash() != block.hash() || held.seal() != block.seal();
            if blocks.iter().all(is_new) {
                blocks.push(block);
            }
        };
        match self.chain.block(height) {
            Ok(Some(block)) => add(block),
            // What was pruned has no seal any more that could be looked at.
            Ok(None) | Err(LedgerError::Pruned(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.beside
            .remove(&height)
            .into_iter()
            .flatten()
            .for_each(&mut add);
        for file in &mut self.files {
            while let Some(block) = file.next.take_if(|block| block.height() == height) {
                add(block);
                file.advance()?;
            }
        }
        Ok(Some((height, blocks)))
    }
}

/// A block file, whose blocks ascend.
struct FileSource {
    path: PathBuf,
    reader: BlockFileReader,
    next: Option<Block>,
    last: u64,
}

impl FileSource {
    fn open(path: &Path, chain: &ChainSpec) -> Result<Self> {
        let reader = BlockFileReader::open(path)?;
        if !chain.includes(reader.spec()) {
            let (found, expected) = (reader.spec().id(), chain.id());
            let detail = format!("of chain {found}, the store has {expected}");
            return Err(Failure::refused(in_file(
                path,
                Fault::new(Reason::Chain, detail),
            )));
        }
        let mut source = Self {
            path: path.to_path_buf(),
            reader,
            next: None,
            last: 0,
        };
        source.advance()?;
        Ok(source)
    }

    fn advance(&mut self) -> Result {
        let Some((offset, bytes)) = self.reader.next_block()? else {
            return Ok(());
        };
        let refused = |fault: Fault| {
            let detail = format!("byte {offset}: {}", fault.detail);
            Failure::refused(in_file(&self.path, Fault { detail, ..fault }))
        };
        let block = Block::decode(&bytes).map_err(|error| refused(fault_of(&error)))?;
        if block.height() < self.last {
            let detail = format!("height {} behind height {}", block.height(), self.last);
            return Err(refused(Fault::new(Reason::Height, detail)));
        }
        self.last = block.height();
        self.next = Some(block);
        Ok(())
    }
}
