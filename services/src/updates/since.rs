//! What a peer lacks since a block.

use std::collections::BTreeMap;

use hubledger::codec::Reader;
use hubledger::digest::TransactionId;
use hubledger::ledger::LedgerError;
use hubledger::model::{Block, Transaction};
use hubledger_storage::{KeyRange, RangeLimit};

use super::reader::Updates;
use super::rows::{Stream, TABLE_STREAMS};
use super::view::{UpdatesView, damaged};
use crate::recorded::Recorded;
use crate::view::{AsOf, Result, ViewError};

/// Streams that one question can be about.
pub const STREAMS_MAX: usize = 64;

/// What a peer asks for; what is above [`STREAMS_MAX`] is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interests {
    /// Updates of nodes.
    pub nodes: bool,
    /// Changes of the registry.
    pub registry: bool,
    /// Messages of these topics.
    pub topics: Vec<String>,
}

impl Interests {
    fn streams(&self) -> Vec<Stream> {
        let mut streams: Vec<Stream> = self.topics.iter().cloned().map(Stream::Topic).collect();
        streams.sort();
        streams.dedup();
        streams.extend(self.registry.then_some(Stream::Registry));
        streams.extend(self.nodes.then_some(Stream::Nodes));
        streams.reverse();
        streams.truncate(STREAMS_MAX);
        streams
    }
}

/// A transaction that a peer lacks.
#[derive(Debug, Clone)]
pub struct Update {
    /// What it is part of.
    pub stream: Stream,
    /// Its place.
    pub recorded: Recorded,
    /// The transaction; `None` if the body of its block was pruned here.
    pub transaction: Option<Transaction>,
}

/// What a peer lacks, within a limit.
#[derive(Debug, Clone)]
pub struct Answer {
    /// After which block it is right.
    pub as_of: Option<AsOf>,
    /// In the order of the chain.
    pub updates: Vec<Update>,
    /// Where to go on; `None` if that was all.
    pub next: Option<(u64, u32)>,
}

impl Updates {
    /// What was committed at a place on the chain or later, in its order: a peer that has all up to the block at height h asks from (h + 1, 0). The limit
    /// counts transactions and their bytes; one is always given. O(streams · (log rows + rows of the limit)), and a read of each block that an update is in.
    ///
    /// # Errors
    /// The store failed or is damaged; [`ViewError::Apart`] if the chain has changed since the snapshot.
    pub fn since(
        &self,
        interests: &Interests,
        from: (u64, u32),
        limit: RangeLimit,
    ) -> Result<Answer> {
        let mut lacked = BTreeMap::new();
        for stream in interests.streams() {
            self.add_stream(&stream, from, limit.rows.saturating_add(1), &mut lacked)?;
        }
        let mut answer = Answer {
            as_of: self.as_of(),
            updates: Vec::new(),
            next: None,
        };
        let mut block = None;
        let mut bytes = 0usize;
        // Each stream gave its first rows, as many as the limit and one more: so the first of all are among them.
        for ((height, index), (stream, id)) in lacked {
            let recorded = Recorded { height, index, id };
            let transaction = self.load(&recorded, &mut block)?;
            let size = transaction.as_ref().map_or(0, |one| one.bytes().len());
            let is_full = answer.updates.len() >= limit.rows.max(1)
                || bytes.saturating_add(size) > limit.bytes;
            if is_full && !answer.updates.is_empty() {
                answer.next = Some((height, index));
                break;
            }
            bytes = bytes.saturating_add(size);
            answer.updates.push(Update {
                stream,
                recorded,
                transaction,
            });
        }
        Ok(answer)
    }

    fn add_stream(
        &self,
        stream: &Stream,
        (height, index): (u64, u32),
        rows: usize,
        lacked: &mut BTreeMap<(u64, u32), (Stream, TransactionId)>,
    ) -> Result<()> {
        let range = KeyRange {
            from: stream.key(height, index).into(),
            below: Some(stream.end().into()),
            is_descending: false,
        };
        let bytes = usize::MAX;
        let rows = self
            .snapshot
            .range(TABLE_STREAMS, &range, RangeLimit { rows, bytes })?;
        for (key, id) in rows {
            let read = || {
                let place = key.last_chunk::<12>().and_then(Recorded::place);
                let place = place.ok_or_else(|| damaged(TABLE_STREAMS, "a short key"))?;
                let id = Reader::new(&id).array("id");
                let id = id.map_err(|error| damaged(TABLE_STREAMS, error))?;
                Ok::<_, ViewError>((place, TransactionId(id)))
            };
            let (place, id) = read()?;
            lacked.insert(place, (stream.clone(), id));
        }
        Ok(())
    }

    /// The transaction at a place; `block` is the last block that was read.
    fn load(
        &self,
        recorded: &Recorded,
        block: &mut Option<(u64, Option<Block>)>,
    ) -> Result<Option<Transaction>> {
        let height = recorded.height;
        if block.as_ref().is_none_or(|(at, _)| *at != height) {
            let read = match self.chain.block(height) {
                Err(LedgerError::Pruned(_)) => None,
                read => Some(read?.ok_or_else(|| self.apart(height))?),
            };
            *block = Some((height, read));
        }
        let Some((_, Some(block))) = block else {
            return Ok(None);
        };
        let transaction = block.transactions().get(recorded.index as usize);
        match transaction.filter(|transaction| transaction.id() == recorded.id) {
            Some(transaction) => Ok(Some(transaction.clone())),
            None => Err(self.apart(height)),
        }
    }

    fn apart(&self, height: u64) -> ViewError {
        ViewError::Apart {
            view: UpdatesView::NAME,
            height,
            hash: self.as_of().map(|as_of| as_of.hash).unwrap_or_default(),
        }
    }
}
