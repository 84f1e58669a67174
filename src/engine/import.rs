//! Importing: a caller's blocks, fed into the stages as there is room, and their outcomes in the same order. All of it happens
//! in the caller's thread while it asks for the next outcome; memory is bounded whatever the source.

use std::collections::VecDeque;
use std::iter::{self, FusedIterator};
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::parcel::{Call, Offered, Outcome, Parcel};
use super::permits::Permit;
use super::settings::PARCELS_MAX;
use super::shared::Shared;
use super::sync::Arc;
use super::ticket::{Ticket, ticket};
use super::{EngineError, WhenFull};

/// Outcomes of blocks, in order, while the blocks are taken from their source. Ends after the first rejected block, or with an
/// error of the engine. Dropping it cancels what is not decided yet; what was committed stays.
#[must_use = "blocks are taken from the source while outcomes are asked for"]
pub struct Import<'a, I>(Feeding<'a, Encoded<I>>);

type Encoded<I> = iter::Map<I, fn(Bytes) -> Offered>;

impl<'a, I: Iterator<Item = Bytes>> Import<'a, I> {
    pub(super) fn new(shared: &'a Shared, source: I) -> Self {
        Self(Feeding::new(shared, source.map(Offered::Encoded)))
    }
}

impl<I: Iterator<Item = Bytes>> Iterator for Import<'_, I> {
    type Item = Result<Outcome, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl<I: Iterator<Item = Bytes>> FusedIterator for Import<'_, I> {}

/// The same of blocks in any form.
pub(super) struct Feeding<'a, I> {
    shared: &'a Shared,
    source: Option<I>,
    call: Arc<Call>,
    /// A parcel for which there was no room yet.
    next: Option<Vec<Offered>>,
    on_their_way: VecDeque<Ticket<Vec<Outcome>>>,
    outcomes: std::vec::IntoIter<Outcome>,
}

impl<'a, I: Iterator<Item = Offered>> Feeding<'a, I> {
    pub(super) fn new(shared: &'a Shared, source: I) -> Self {
        Self {
            shared,
            source: Some(source),
            call: Arc::default(),
            next: None,
            on_their_way: VecDeque::new(),
            outcomes: Vec::new().into_iter(),
        }
    }

    /// Blocks from the source, up to a parcel's bounds; nothing when it has ended.
    fn read(&mut self) -> Option<Vec<Offered>> {
        let settings = &self.shared.settings;
        let source = self.source.as_mut()?;
        let (mut offered, mut bytes) = (Vec::new(), 0);
        while offered.len() < settings.parcel_blocks.max(1) {
            let Some(block) = source.next() else {
                self.source = None;
                break;
            };
            bytes += block.bytes();
            offered.push(block);
            if bytes >= settings.parcel_bytes {
                break;
            }
        }
        (!offered.is_empty()).then_some(offered)
    }

    /// Feeds a parcel if there is one and room for it. Whether it did.
    fn feed(&mut self) -> Result<bool, EngineError> {
        if self.on_their_way.len() >= PARCELS_MAX {
            return Ok(false);
        }
        let Some(offered) = self.next.take().or_else(|| self.read()) else {
            return Ok(false);
        };
        // With parcels of its own on their way, this caller waits for their outcomes instead; without, only others can make room.
        let when_full = match self.on_their_way.is_empty() {
            true => WhenFull::Wait,
            false => WhenFull::Refuse,
        };
        let Some(permit) = permit_for(self.shared, &offered, when_full)? else {
            self.next = Some(offered);
            return Ok(false);
        };
        let ticket = enqueue(self.shared, &self.call, offered, permit)?;
        self.on_their_way.push_back(ticket);
        Ok(true)
    }

    /// The outcomes of the first parcel on its way, once there; feeds others meanwhile. Nothing when all is done.
    fn await_outcomes(&mut self) -> Result<Option<Vec<Outcome>>, EngineError> {
        loop {
            if let Some(first) = self.on_their_way.pop_front() {
                match first.try_take() {
                    Ok(answer) => return answer.map(Some),
                    Err(again) => self.on_their_way.push_front(again),
                }
            }
            if self.feed()? {
                continue;
            }
            let Some(first) = self.on_their_way.pop_front() else {
                return Ok(None);
            };
            let waiting = Instant::now();
            let answer = first.wait();
            if self.source.is_some() {
                self.shared.meters.feed_waiting.add(waiting.elapsed());
            }
            return answer.map(Some);
        }
    }

    fn end(&mut self) {
        self.source = None;
        self.next = None;
        self.on_their_way.clear();
    }
}

impl<I: Iterator<Item = Offered>> Iterator for Feeding<'_, I> {
    type Item = Result<Outcome, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(outcome) = self.outcomes.next() {
                if matches!(outcome, Outcome::Rejected(_)) {
                    self.end();
                }
                return Some(Ok(outcome));
            }
            match self.await_outcomes() {
                Ok(Some(outcomes)) => self.outcomes = outcomes.into_iter(),
                Ok(None) => return None,
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<I> Drop for Feeding<'_, I> {
    fn drop(&mut self) {
        self.call.is_cancelled.store(true, Ordering::Release);
    }
}

/// Memory for some blocks. Nothing if there is none and the caller doesn't want to wait.
pub(super) fn permit_for(
    shared: &Shared,
    offered: &[Offered],
    when_full: WhenFull,
) -> Result<Option<Permit>, EngineError> {
    shared.latch.check()?;
    let bytes = offered.iter().map(Offered::bytes).sum();
    let bytes = shared.settings.memory_of_unread(offered.len(), bytes);
    match when_full {
        WhenFull::Refuse => match shared.memory.try_acquire(bytes) {
            None if shared.memory.is_closed() => Err(shared.latch.reason()),
            permit => Ok(permit),
        },
        WhenFull::Wait => {
            let waiting = Instant::now();
            let permit = shared.memory.acquire(bytes);
            shared.meters.feed_waiting.add(waiting.elapsed());
            permit.map(Some).ok_or_else(|| shared.latch.reason())
        }
    }
}

/// Sends a parcel on its way.
pub(super) fn enqueue(
    shared: &Shared,
    call: &Arc<Call>,
    offered: Vec<Offered>,
    permit: Permit,
) -> Result<Ticket<Vec<Outcome>>, EngineError> {
    let (answer, ticket) = ticket(&shared.latch);
    shared.enqueue(Parcel::new(Arc::clone(call), offered, permit, answer))?;
    Ok(ticket)
}
