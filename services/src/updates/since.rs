//! What a peer lacks since a block.

use std::collections::{BTreeMap, BTreeSet};

use hubledger::codec::Reader;
use hubledger::digest::TransactionId;
use hubledger::ledger::LedgerError;
use hubledger::model::{Block, Transaction};
use hubledger_storage::{KeyRange, RangeLimit};

use super::reader::Updates;
use super::rows::{Stream, TABLE_STREAMS};
use super::view::{UpdatesView, damaged};
use crate::queue::Pattern;
use crate::recorded::Recorded;
use crate::view::{AsOf, Result, ViewError};

/// Topics that one question can have looked at, whether its patterns have them or not.
pub const TOPICS_MAX: usize = 1 << 14;

/// What a peer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interests {
    /// Updates of nodes.
    pub nodes: bool,
    /// Changes of the registry.
    pub registry: bool,
    /// Messages of topics that any of these patterns has.
    pub topics: Vec<Pattern>,
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
    /// counts transactions and their bytes; one is always given. O(topics · (log rows + rows of the limit)), and a read of each block that an update is in.
    ///
    /// # Errors
    /// The store failed or is damaged; [`ViewError::TooWide`] if more than [`TOPICS_MAX`] topics would have to be looked at; [`ViewError::Apart`] if the chain has
    /// changed since the snapshot.
    pub fn since(
        &self,
        interests: &Interests,
        from: (u64, u32),
        limit: RangeLimit,
    ) -> Result<Answer> {
        let mut lacked = BTreeMap::new();
        let rows_max = limit.rows.saturating_add(1);
        for stream in self.streams(interests)? {
            self.add_stream(&stream, from, rows_max, &mut lacked)?;
            // What is behind all that the answer can hold is read again when it is asked for.
            while lacked.len() > rows_max {
                lacked.pop_last();
            }
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

    fn streams(&self, interests: &Interests) -> Result<BTreeSet<Stream>> {
        let mut streams = BTreeSet::new();
        streams.extend(interests.registry.then_some(Stream::Registry));
        streams.extend(interests.nodes.then_some(Stream::Nodes));
        let mut looked_at = 0;
        for pattern in &interests.topics {
            self.add_topics(pattern, &mut looked_at, &mut streams)?;
        }
        Ok(streams)
    }

    /// Goes from topic to topic that begins as those of the pattern do, one look-up each.
    fn add_topics(
        &self,
        pattern: &Pattern,
        looked_at: &mut usize,
        streams: &mut BTreeSet<Stream>,
    ) -> Result<()> {
        let mut count = |more| {
            *looked_at += more;
            match *looked_at > TOPICS_MAX {
                true => Err(ViewError::TooWide {
                    view: UpdatesView::NAME,
                    what: "topics",
                    limit: TOPICS_MAX,
                }),
                false => Ok(()),
            }
        };
        if let Some(name) = pattern.exact() {
            streams.insert(Stream::Topic(name.to_owned()));
            return count(1);
        }
        let mut from = Stream::topics_from(pattern.prefix());
        let one = RangeLimit {
            rows: 1,
            bytes: usize::MAX,
        };
        loop {
            let range = KeyRange {
                from: from.into(),
                below: None,
                is_descending: false,
            };
            let rows = self.snapshot.range(TABLE_STREAMS, &range, one)?;
            let Some(topic) = rows.first().and_then(|(key, _)| Stream::topic_of(key)) else {
                return Ok(());
            };
            if !topic.starts_with(pattern.prefix()) {
                return Ok(());
            }
            count(1)?;
            let is_wanted = pattern.has(topic);
            let stream = Stream::Topic(topic.to_owned());
            from = stream.end();
            if is_wanted {
                streams.insert(stream);
            }
        }
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
