//! Where blocks are seen that may contradict each other: files, the chain, and the branches beside it. All blocks of a height come together,
//! heights ascend, and no more than one height is in memory.

use std::collections::BTreeMap;
use std::io::{Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use hubledger::blockfile::BlockFileReader;
use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger::model::{Block, Header, Seal};
use hubledger::rejection::{Fault, Reason};
use hubledger::spec::ChainSpec;

use crate::commands::light::Lines;
use crate::failure::{Failure, Result};
use crate::input::{Input, name_of};
use crate::transactions::{fault_of, in_file};

/// The most different blocks of one height, so that no file fills the memory, or has each compared with each for ever.
const BLOCKS_MAX: usize = 32;

/// A block, or no more of it than header and seal.
pub(super) struct Sighting {
    pub(super) header: Header,
    pub(super) seal: Seal,
    pub(super) block: Option<Block>,
}

impl From<Block> for Sighting {
    fn from(block: Block) -> Self {
        Self {
            header: block.header().clone(),
            seal: block.seal().clone(),
            block: Some(block),
        }
    }
}

impl Sighting {
    fn is_same(&self, other: &Self) -> bool {
        self.header.hash() == other.header.hash() && self.seal == other.seal
    }
}

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
            let of_height = beside.entry(block.height()).or_default();
            of_height.push(block.clone());
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
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<Sighting>)>> {
        let of_files = self.files.iter().filter_map(FileSource::height);
        let beside = self.beside.keys().next().copied();
        let walked = self.at.filter(|_| self.walks_chain);
        let walked = walked.map(|at| at.saturating_add(1));
        let walked = walked.filter(|height| *height <= self.last);
        let Some(height) = of_files.chain(beside).chain(walked).min() else {
            return Ok(None);
        };
        self.at = Some(height);
        let mut found: Vec<Sighting> = self.in_chain(height)?.into_iter().collect();
        let beside = self.beside.remove(&height).into_iter().flatten();
        found.extend(beside.map(Sighting::from));
        for file in &mut self.files {
            while let Some(sighting) = file.next.take_if(|one| one.header.height == height) {
                if found.len() >= BLOCKS_MAX {
                    let detail = format!("more than {BLOCKS_MAX} blocks of height {height}");
                    return Err(file.refused(Fault::new(Reason::Limit, detail)));
                }
                if !found.iter().any(|held| held.is_same(&sighting)) {
                    found.push(sighting);
                }
                file.advance()?;
            }
        }
        Ok(Some((height, found)))
    }

    /// The chain's block of a height; of a pruned one what is left, if that is anything.
    fn in_chain(&self, height: u64) -> Result<Option<Sighting>> {
        match self.chain.block(height) {
            Ok(block) => return Ok(block.map(Sighting::from)),
            Err(LedgerError::Pruned(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match self.chain.sealed_header(height) {
            Ok(found) => Ok(found.map(|(header, seal)| Sighting {
                header,
                seal,
                block: None,
            })),
            Err(LedgerError::HeaderPruned(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A file of blocks or of headers, whose heights ascend.
struct FileSource {
    path: PathBuf,
    reader: Reader,
    next: Option<Sighting>,
    /// Where the next one is, in words.
    place: String,
}

enum Reader {
    Blocks(BlockFileReader<Begun>),
    Headers(Lines<Begun>),
}

/// An input whose first byte was looked at.
type Begun = Chain<Cursor<Vec<u8>>, Input>;

impl FileSource {
    fn open(path: &Path, chain: &ChainSpec) -> Result<Self> {
        let mut input = Input::open(path)?;
        let length = input.length();
        let mut first = Vec::new();
        let got = input.by_ref().take(1).read_to_end(&mut first);
        got.with_context(|| name_of(path))?;
        // A line of headers is a JSON object, and a block file begins with a letter.
        let is_headers = first == b"{";
        let input = Cursor::new(first).chain(input);
        let reader = match is_headers {
            true => Reader::Headers(Lines::new(input)),
            false => Reader::Blocks(BlockFileReader::read_from(path, input, length)?),
        };
        let mut source = Self {
            path: path.to_path_buf(),
            reader,
            next: None,
            place: String::new(),
        };
        if let Reader::Blocks(file) = &source.reader
            && !chain.includes(file.spec())
        {
            let (found, expected) = (file.spec().id(), chain.id());
            let detail = format!("of chain {found}, the store has {expected}");
            return Err(source.refused(Fault::new(Reason::Chain, detail)));
        }
        source.advance()?;
        Ok(source)
    }

    fn height(&self) -> Option<u64> {
        self.next.as_ref().map(|next| next.header.height)
    }

    /// Reads the next one, which doesn't lie below the one before.
    fn advance(&mut self) -> Result {
        let last = self.next.take().map_or(0, |last| last.header.height);
        let next = match &mut self.reader {
            Reader::Blocks(file) => {
                let Some((offset, bytes)) = file.next_block()? else {
                    return Ok(());
                };
                self.place = format!("byte {offset}: ");
                let block = Block::decode(&bytes);
                Sighting::from(block.map_err(|error| self.refused(fault_of(&error)))?)
            }
            Reader::Headers(lines) => {
                let read = lines
                    .next()
                    .with_context(|| self.path.display().to_string())?;
                let Some(read) = read else {
                    return Ok(());
                };
                self.place = String::new();
                let read = read.map_err(|problem| Fault::new(Reason::Malformed, problem));
                let read = read.map_err(|fault| self.refused(fault))?;
                self.place = format!("line {}: ", read.line);
                Sighting {
                    header: read.step.header,
                    seal: read.step.seal,
                    block: None,
                }
            }
        };
        let height = next.header.height;
        if height < last {
            let detail = format!("height {height} behind height {last}");
            return Err(self.refused(Fault::new(Reason::Height, detail)));
        }
        self.next = Some(next);
        Ok(())
    }

    fn refused(&self, fault: Fault) -> Failure {
        let detail = format!("{}{}", self.place, fault.detail);
        Failure::refused(in_file(&self.path, Fault { detail, ..fault }))
    }
}
