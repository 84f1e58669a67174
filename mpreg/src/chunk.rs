//! Some blocks of a chain that lie one after the other: their rows, and everything about them that needs no other block, found
//! for all of them together.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use super::block::Block;
use super::check::{check_admission, settle_transactions};
use super::config::ChainConfig;
use super::entry::Entry;
use super::source::RawRow;
use hubledger::original::merkle::roots;
use hubledger::rejection::Rejected;
use hubledger::signature::{SignatureError, Verifier};

/// A chunk takes no more rows once it has so many bytes of text, some thousand transactions: more signatures together cost
/// hardly less.
pub(super) const TEXT_MAX: usize = 2 << 20;
/// It may have its share of the rows before that, but not with fewer bytes.
const TEXT_MIN: usize = 256 << 10;
/// Nor does it take more rows than this.
const ROWS_MAX: u64 = 4096;

/// Rows of a chain, copied out of their source.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The height that the first row must have.
    first: u64,
    /// How many rows are enough, if they have some text.
    share: u64,
    text: Vec<u8>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    height: Option<u64>,
    hash: Option<Range<usize>>,
    timestamp: Option<f64>,
    json: Result<Range<usize>, String>,
}

impl Chunk {
    /// Empties the chunk for rows from the height `first` on, of which `share` are enough. Its memory is kept, unless it is
    /// unusually large.
    pub(super) fn restart(&mut self, first: u64, share: u64) {
        (self.first, self.share) = (first, share);
        self.rows.clear();
        self.text.clear();
        // One block may have 64 MiB of text: kept, every chunk would come to hold as much.
        self.text.shrink_to(2 * TEXT_MAX);
    }

    /// Adds the next row.
    pub(super) fn push(&mut self, row: &RawRow<'_>) {
        let mut keep = |bytes: &[u8]| {
            let start = self.text.len();
            self.text.extend_from_slice(bytes);
            start..self.text.len()
        };
        let hash = row.hash.map(|hash| keep(hash.as_bytes()));
        let json = match &row.json {
            Ok(json) => Ok(keep(json)),
            Err(detail) => Err(detail.clone()),
        };
        self.rows.push(Row {
            height: row.height,
            hash,
            timestamp: row.timestamp,
            json,
        });
    }

    /// Whether it should take no more rows.
    pub(super) fn is_full(&self) -> bool {
        let rows = self.rows.len() as u64;
        let has_share = rows >= self.share && self.text.len() >= TEXT_MIN;
        has_share || self.text.len() >= TEXT_MAX || rows >= ROWS_MAX
    }

    /// The height that the row after the last must have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.rows.len() as u64
    }

    /// How much memory its texts take.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The rows as they were, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = RawRow<'_>> {
        self.rows.iter().map(|row| RawRow {
            height: row.height,
            hash: row
                .hash
                .clone()
                .and_then(|range| std::str::from_utf8(&self.text[range]).ok()),
            timestamp: row.timestamp,
            json: match &row.json {
                Ok(range) => Ok(&self.text[range.clone()]),
                Err(detail) => Err(detail.clone()),
            },
        })
    }
}

/// What a block is judged by beside the block.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    config: &'a ChainConfig,
    now: Duration,
    verifier: OnceLock<Verifier>,
}

impl<'a> Rules<'a> {
    /// `now` counts from the Unix epoch.
    pub(super) const fn new(config: &'a ChainConfig, now: Duration) -> Self {
        Self {
            config,
            now,
            verifier: OnceLock::new(),
        }
    }

    /// What checks signatures. Made when it is first wanted, which takes some milliseconds in a new process.
    pub(super) fn verifier(&self) -> &Verifier {
        self.verifier.get_or_init(Verifier::default)
    }
}

/// A block with all that can be said of it alone.
#[derive(Debug)]
pub(super) struct Judged<T> {
    pub(super) block: Block<T>,
    pub(super) hash: String,
    /// What [`check_transactions`](super::check::check_transactions) says.
    pub(super) transactions: Result<(), Rejected>,
}

/// Reads the chunk's blocks up to the first that isn't sound alone, and checks their transactions.
///
/// The signatures are checked in batches, and the Merkle trees computed, across blocks.
pub(super) fn judge<T: Entry>(
    chunk: &Chunk,
    rules: &Rules<'_>,
) -> Vec<Result<Judged<T>, Rejected>> {
    let (blocks, fault) = read::<T>(chunk);
    let bad = first_bad_signatures(&blocks, rules);
    let judged = blocks.into_iter().zip(bad).map(|(block, first_bad)| {
        let admission = check_admission(&block, rules.config, rules.now);
        let transactions = settle_transactions(&block, admission, first_bad);
        Ok(Judged {
            hash: block.hash(),
            block,
            transactions,
        })
    });
    judged.chain(fault.map(Err)).collect()
}

/// The blocks before the first fault, and that.
fn read<T: Entry>(chunk: &Chunk) -> (Vec<Block<T>>, Option<Rejected>) {
    let mut blocks = Vec::with_capacity(chunk.rows.len());
    let mut fault = None;
    for (row, expected_height) in chunk.rows().zip(chunk.first..) {
        match row.read_but_for_root(expected_height) {
            Ok(block) => blocks.push(block),
            Err(rejected) => {
                fault = Some(rejected);
                break;
            }
        }
    }
    let leaves: Vec<_> = blocks.iter().map(Block::leaves).collect();
    let checked = blocks
        .iter()
        .zip(roots(&leaves))
        .map(|(block, root)| block.check_root(root));
    if let Some((index, Err(wrong_root))) = checked.enumerate().find(|(_, root)| root.is_err()) {
        blocks.truncate(index);
        fault = Some(wrong_root);
    }
    (blocks, fault)
}

/// The first signature of each block that doesn't verify.
fn first_bad_signatures<T: Entry>(
    blocks: &[Block<T>],
    rules: &Rules<'_>,
) -> Vec<Option<(u32, SignatureError)>> {
    let mut items = Vec::new();
    let mut places = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        for (index, item) in block.signed() {
            items.push(item);
            places.push((number, index));
        }
    }
    let mut first_bad = vec![None; blocks.len()];
    if items.is_empty() {
        return first_bad;
    }
    for (item, error) in rules.verifier().verify(&items).bad() {
        let (number, index) = places[*item];
        first_bad[number].get_or_insert((index, *error));
    }
    first_bad
}
