//! What blocks come to in the causal order.

use hubledger::codec::DecodeError;
use hubledger::model::VectorClock;

use super::payload;
use super::rows::{
    BlockRow, EventRow, LastRow, Node, Refusal, Standing, TABLE_BLOCKS, TABLE_COUNT, TABLE_EVENTS,
    TABLE_KNOWN_BY, TABLE_LAST, TABLE_NAMES, TABLE_NODES, TABLE_RUNS, TABLE_STANDINGS, event_key,
    known_by_key, read_event_key,
};
use crate::view::{CommittedBlock, Entry, Result, Rows, View, ViewError};

/// Events, and which of them each knows; and blocks with equal clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct CausalView;

impl CausalView {
    /// What the view is called.
    pub const NAME: &'static str = "causal";
}

impl View for CausalView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        follow_blocks(block, rows)?;
        for entry in block.sayings() {
            let Some(clock) = payload::clock(&entry) else {
                continue;
            };
            let standing = match admit(block.height(), &entry, &clock, rows)? {
                Ok(standing) => standing,
                Err(refusal) => Standing::Refused(refusal),
            };
            rows.put(TABLE_STANDINGS, entry.id().0.to_vec(), standing.encode());
        }
        Ok(())
    }
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: CausalView::NAME,
        table,
        problem: problem.to_string(),
    }
}

/// Tells in which run of equal clocks a block is.
fn follow_blocks(block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
    let (height, header) = (block.height(), block.block().header());
    let counters = header.vector_clock.iter();
    // No entry goes back from block to block, so clocks are equal if and only if their sums are.
    let sum = counters.map(|(_, counter)| u128::from(counter)).sum();
    let last = read(rows, TABLE_LAST, &[], LastRow::decode)?;
    let run = last
        .filter(|last| last.sum == sum)
        .map_or(height, |last| last.run);
    rows.put(TABLE_LAST, Vec::new(), LastRow { run, sum }.encode());
    if run < height {
        let end = (height + 1).to_le_bytes().to_vec();
        rows.put(TABLE_RUNS, run.to_be_bytes().to_vec(), end);
    }
    let transactions = header.transaction_count;
    if transactions > 0 {
        let row = BlockRow { transactions, run };
        rows.put(TABLE_BLOCKS, height.to_be_bytes().to_vec(), row.encode());
    }
    Ok(())
}

/// Makes a transaction an event, or says why its clock doesn't count. O(entries squared · log rows).
fn admit(
    height: u64,
    entry: &Entry<'_>,
    clock: &VectorClock,
    rows: &mut Rows,
) -> Result<std::result::Result<Standing, Refusal>> {
    let sender = entry.sender();
    let (counter, own) = (clock.get(sender), node(rows, sender)?);
    if counter <= own.map_or(0, |own| own.last) {
        return Ok(Err(Refusal::Repeated));
    }
    let mut knows = Vec::with_capacity(clock.len());
    for (name, entry) in clock.iter() {
        let Some(node) = node(rows, name)? else {
            continue;
        };
        let upto = match name == sender {
            true => node.last,
            false => entry.min(node.last),
        };
        if let Some(known) = last_event(rows, node, upto)? {
            knows.push((node.number, known));
        }
    }
    knows.sort_unstable();
    let event = EventRow {
        height,
        index: entry.index,
        id: entry.id(),
        knows,
    };
    if !is_consistent(rows, &event)? {
        return Ok(Err(Refusal::Inconsistent));
    }
    let number = match own {
        Some(own) => own.number,
        None => count_one_more(rows, sender)?,
    };
    let own = Node {
        number,
        last: counter,
    };
    rows.put(TABLE_NODES, sender.as_bytes().to_vec(), own.encode());
    let key = event_key(number, counter).to_vec();
    for known in &event.knows {
        let by = known_by_key(*known, height, event.index).to_vec();
        rows.put(TABLE_KNOWN_BY, by, key.clone());
    }
    rows.put(TABLE_EVENTS, key, event.encode());
    let node = number;
    Ok(Ok(Standing::Event { node, counter }))
}

/// Whether an event knows all that the events knew which it knows: otherwise what comes before what would depend on whom one asks.
fn is_consistent(rows: &mut Rows, event: &EventRow) -> Result<bool> {
    for (node, counter) in &event.knows {
        let key = event_key(*node, *counter);
        let known = read(rows, TABLE_EVENTS, &key, EventRow::decode)?;
        let known = known.ok_or_else(|| damaged(TABLE_EVENTS, "an event is missing"))?;
        let mut deeper = known.knows.iter();
        if !deeper.all(|(node, counter)| event.known(*node) >= *counter) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The largest counter of an event of a node, up to one. The last one's needs no search.
fn last_event(rows: &mut Rows, node: Node, upto: u64) -> Result<Option<u64>> {
    if upto == node.last {
        return Ok(Some(upto));
    }
    let (from, below) = (
        event_key(node.number, upto),
        (node.number + 1).to_be_bytes(),
    );
    let Some((key, _)) = rows.first(TABLE_EVENTS, &from, Some(&below))? else {
        return Ok(None);
    };
    let (_, counter) =
        read_event_key(&key).ok_or_else(|| damaged(TABLE_EVENTS, "not a key of an event"))?;
    Ok(Some(counter))
}

fn node(rows: &mut Rows, name: &str) -> Result<Option<Node>> {
    read(rows, TABLE_NODES, name.as_bytes(), Node::decode)
}

/// The number of the next node.
fn count_one_more(rows: &mut Rows, name: &str) -> Result<u32> {
    let count = match rows.get(TABLE_COUNT, &[])? {
        Some(row) => read_count(&row)?,
        None => 0,
    };
    let next = count
        .checked_add(1)
        .ok_or_else(|| damaged(TABLE_COUNT, "more nodes than can be counted"))?;
    rows.put(TABLE_COUNT, Vec::new(), next.to_le_bytes().to_vec());
    let key = count.to_be_bytes().to_vec();
    rows.put(TABLE_NAMES, key, name.as_bytes().to_vec());
    Ok(count)
}

pub(super) fn read_count(row: &[u8]) -> Result<u32> {
    let count = row.try_into().map(u32::from_le_bytes);
    count.map_err(|_| damaged(TABLE_COUNT, "not a number"))
}

fn read<T>(
    rows: &mut Rows,
    table: u8,
    key: &[u8],
    decode: impl Fn(&[u8]) -> std::result::Result<T, DecodeError>,
) -> Result<Option<T>> {
    let row = rows.get(table, key)?;
    let read = row.map(|row| decode(&row)).transpose();
    read.map_err(|error| damaged(table, error))
}
