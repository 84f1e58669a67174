//! Every committed block from a height on, in order and without loss, for whoever follows, at its own pace. (Who only looks, and would
//! rather miss something than be late, [subscribes](Engine::subscribe).)
//!
//! ```
//! # use hubledger::engine::{Change, Engine};
//! # use hubledger::generate::{Generator, Recipe};
//! # use hubledger_storage::StoreUrl;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let generator = Generator::new(Recipe { transactions: 4, per_block: 2, ..Recipe::default() })?;
//! # let engine = Engine::builder().threads(1).create("memory:".parse::<StoreUrl>()?.create()?, generator.spec())?;
//! # engine.produce(generator.authority().1)?;
//! let mut follower = engine.register("search", 0)?; // or engine.resume("search")?
//! # engine.shutdown()?;
//! for change in &mut follower {
//!     match change? {
//!         Change::Committed { block } => println!("{} {}", block.height(), block.hash()),
//!         Change::Reverted { height, hash } => println!("{height} {hash} is no longer in the chain"),
//!     }
//! }
//! # assert_eq!(follower.next_height(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Follower`] is a cursor over the store, woken as commits come in. The engine keeps nothing for it but, while it awaits, a
//! waker, and the last few blocks, once for all who follow; so it may be as slow as it likes, there may be thousands, and dropping one costs nothing.
//!
//! # What it sees, and when
//!
//! A block is given when its commit is acknowledged: at the engine's durability, as far as the store has any. In every store with files
//! that is at least [`Durability::Os`], so that no follower is ahead of what the end of the process leaves, however violent. With less
//! than [`Durability::Disk`], loss of power may take blocks that a follower has seen; [`Follower::with_durability`] waits for more
//! than the engine's commits do. A follower never sees a gap: where a body was pruned before it came, it gets
//! [`FeedError::BelowFloor`], and each block is compared with the hash of the one before.
//!
//! # Each block exactly once
//!
//! A follower that puts the [`Position`] of what it has done into its own state, in one step with it, and goes on from that
//! position ([`Start::After`]), does everything once, whatever crashes. The position's hash is compared with the chain's:
//! if the chain that it saw is no more, that is an error that names both hashes ([`FeedError::OtherChain`]), never a silent change of
//! chains. Where another branch of the chain took the place of what it saw ([`Engine::offer_branch`]), it is told [`Change::Reverted`] of each such
//! block instead, as long as the engine knows the way back: over the last 65,536 blocks that went, and after it was opened anew over branches that are
//! still beside the chain.
//!
//! A *registered* follower also keeps the engine from pruning bodies that it hasn't [finished](Follower::finished). How far it has got is
//! noted in memory at once, and in the store now and then: with a commit, but at most every tenth of a second; before
//! anything is pruned; by [`Engine::sync`]; and at the end. After a crash the noted position may lie back, never ahead; so a follower
//! that goes by it alone ([`Engine::resume`]) may see some blocks again. Copies of a store (`migrate`, `backup`) have no followers.

use std::iter::FusedIterator;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hubledger_storage::Durability;

use super::error::Latch;
use super::message::{Command, Registering};
use super::recent::RecentBlocks;
use super::registry::{Claim, Registry};
use super::replaced::ReplacedBlocks;
use super::shared::Shared;
use super::sync::{Arc, Mutex, lock};
use super::watermark::{Watermark, Woken};
use super::{Engine, EngineError};
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::ledger::{ChainReader, FollowerRefused, Followers, LedgerError, Position};

/// What happened to the chain. Whoever follows handles both, also where the chain can't fork: that is what keeps it right when
/// it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The chain goes on with this block.
    Committed {
        /// The block.
        block: Box<Block>,
    },
    /// This block, the last that was seen, is no longer in the chain: what followed from it is to be taken back. Several come
    /// from the highest down; the block that is there instead comes next.
    Reverted {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: BlockHash,
    },
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the block at this height, at most the next that the chain gets.
    At(u64),
    /// After this block, which has been seen and must be the chain's.
    After(Position),
}

impl From<u64> for Start {
    fn from(height: u64) -> Self {
        Self::At(height)
    }
}

impl From<Position> for Start {
    fn from(position: Position) -> Self {
        Self::After(position)
    }
}

/// After what has been seen, or with genesis.
impl From<Option<Position>> for Start {
    fn from(position: Option<Position>) -> Self {
        position.map_or(Self::At(0), Self::After)
    }
}

/// Why the chain can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The block to go on with was pruned.
    #[error("block {height} can't be followed: bodies below block {floor} were pruned")]
    BelowFloor {
        /// The block's height.
        height: u64,
        /// The lowest height whose body is held.
        floor: u64,
    },
    /// What was seen, or is asked for, is beyond the chain: it was asked for by mistake, or the chain has lost blocks.
    #[error("block {height} is beyond the chain, whose next block is {end}")]
    BeyondEnd {
        /// The block's height.
        height: u64,
        /// The height of the next block.
        end: u64,
    },
    /// The chain holds another block than the one that was seen.
    #[error("the chain is another one: block {height} was seen as {seen}, and {held} is held")]
    OtherChain {
        /// The block's height.
        height: u64,
        /// The hash that was seen.
        seen: BlockHash,
        /// The hash that is in the chain.
        held: BlockHash,
    },
    /// No follower is registered under this name.
    #[error("no follower is registered as {0:?}")]
    Unknown(String),
    /// This follower is not registered, or no longer: it was removed, or somebody else took its name over.
    #[error("this follower is not registered, or no longer")]
    NotRegistered,
    /// The follower can't have finished what it wasn't given.
    #[error("block {height} can't be finished: the next one to be given is block {next}")]
    NotGiven {
        /// The block's height.
        height: u64,
        /// The height of the next block that will be given.
        next: u64,
    },
    /// The follower can't be registered.
    #[error(transparent)]
    Refused(#[from] FollowerRefused),
}

/// Whoever follows the chain: see the [module](self). An iterator that waits for the next block, ends when the engine was shut down
/// and everything committed was given, and ends after an error; [following](Engine::follow) again from its
/// [position](Self::position) tries again.
pub struct Follower {
    chain: ChainReader,
    watermark: Arc<Watermark>,
    latch: Arc<Latch>,
    durability: Durability,
    /// Of its waker.
    number: u64,
    /// The last block that it was given, or that it has begun after.
    last: Option<Position>,
    /// Blocks below have reached the durability.
    known_end: u64,
    /// So many replacements of blocks are known not to have taken the last block.
    known: u64,
    replaced: Arc<Mutex<ReplacedBlocks>>,
    recent: Arc<RecentBlocks>,
    is_over: bool,
    registered: Option<Registered>,
}

struct Registered {
    registry: Arc<Registry>,
    name: String,
    holder: u64,
}

impl Follower {
    fn new(shared: &Shared, last: Option<Position>, registered: Option<Registered>) -> Self {
        shared.recent.join();
        Self {
            chain: shared.reader.clone(),
            watermark: Arc::clone(&shared.watermark),
            latch: Arc::clone(&shared.latch),
            durability: Durability::Memory,
            number: shared.watermark.number(),
            last,
            known_end: 0,
            // Whatever was replaced before: what it begins after may have been.
            known: u64::MAX,
            replaced: Arc::clone(&shared.replaced),
            recent: Arc::clone(&shared.recent),
            is_over: false,
            registered,
        }
    }

    /// Gives a block only once it has reached this level. It may wait for ever for one that the engine doesn't commit at
    /// unless [`Engine::sync`] is called, or that the store doesn't have.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        // What has reached the old level says nothing about the new one.
        self.known_end = 0;
        self
    }

    /// The height of the block that comes next.
    #[must_use]
    pub fn next_height(&self) -> u64 {
        self.last
            .map_or(0, |position| position.height.saturating_add(1))
    }

    /// The last block that was given, or that it has begun after; what to keep in order to go on ([`Start::After`]).
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.last
    }

    /// The name that it is registered under.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let registered = self.registered.as_ref();
        registered.map(|registered| registered.name.as_str())
    }

    /// What comes next, without waiting: pending if it isn't there yet, `None` at the end.
    ///
    /// The errors of this and of all that give a change: [`FeedError::BelowFloor`] if the block was pruned before the follower came
    /// to it, which can't happen to one that is registered; a store that failed or is damaged; why the engine failed, after all
    /// that was committed.
    pub fn try_next(&mut self) -> Poll<Option<Result<Change, EngineError>>> {
        self.poll_with(None)
    }

    /// What comes next; pending if it isn't there after `patience`.
    pub fn next_timeout(
        &mut self,
        patience: Duration,
    ) -> Poll<Option<Result<Change, EngineError>>> {
        let deadline = Instant::now().checked_add(patience);
        loop {
            if let Poll::Ready(change) = self.poll_with(None) {
                return Poll::Ready(change);
            }
            let height = self.next_height();
            let waited = match deadline {
                Some(deadline) => {
                    self.watermark
                        .wait_until(height, self.durability, self.known, deadline)
                }
                // Later than an `Instant` can tell: no deadline.
                None => Poll::Ready(self.watermark.wait_for_news(
                    height,
                    self.durability,
                    self.known,
                )),
            };
            if waited.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What comes next, for whoever awaits it: `std::future::poll_fn(|context| follower.poll_next(context)).await`. The waker is
    /// kept until it is woken, another one comes, or the follower is dropped.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Change, EngineError>>> {
        self.poll_with(Some(context.waker()))
    }

    /// Notes that the block at `height`, and all before it, need not be kept for this follower any more. In memory: the store learns of it
    /// with a later commit (see the [module](self)), so that it costs no more than a lock. Of one that was finished before, nothing
    /// changes.
    ///
    /// # Errors
    /// [`FeedError::NotRegistered`]; [`FeedError::NotGiven`]; the store failed; the engine failed or was shut down.
    pub fn finished(&self, height: u64) -> Result<(), EngineError> {
        let registered = self.registered.as_ref().ok_or(FeedError::NotRegistered)?;
        self.latch.check()?;
        let position = match self.last {
            Some(last) if last.height == height => last,
            Some(last) if height < last.height => position_at(&self.chain, height)?,
            _ => {
                let next = self.next_height();
                return Err(FeedError::NotGiven { height, next }.into());
            }
        };
        let Registered {
            registry,
            name,
            holder,
        } = registered;
        let is_gone = |hash: &BlockHash| lock(&self.replaced).parent(hash).is_some();
        registry
            .finished(name, *holder, position, &is_gone)
            .map_err(|error| error.map_or_else(|| self.latch.reason(), EngineError::from))
    }

    fn is_there(&self) -> bool {
        self.next_height() < self.known_end
    }

    fn poll_with(&mut self, waker: Option<&Waker>) -> Poll<Option<Result<Change, EngineError>>> {
        loop {
            if self.is_over {
                return Poll::Ready(None);
            }
            if let Some(change) = self.look_for_replaced() {
                return Poll::Ready(Some(change));
            }
            let height = self.next_height();
            let woken = match self.is_there() {
                true => Poll::Ready(Woken::Reached),
                false => {
                    self.watermark
                        .poll(self.number, height, self.durability, self.known, waker)
                }
            };
            match woken {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Woken::Replaced) => {}
                Poll::Ready(Woken::Reached) => return Poll::Ready(self.settle(true)),
                Poll::Ready(Woken::Over) => return Poll::Ready(self.settle(false)),
            }
        }
    }

    /// Whether the last block that was given has gone since, where blocks were replaced.
    fn look_for_replaced(&mut self) -> Option<Result<Change, EngineError>> {
        let replacements = self.watermark.replacements();
        if replacements == self.known {
            return None;
        }
        // Blocks that are there now may not be those that were.
        self.known_end = 0;
        if let Some(last) = self.last {
            match self.chain.hash_at(last.height) {
                Ok(Some(held)) if held == last.hash => {}
                Ok(held) => return Some(self.go_back(last, held.unwrap_or_default())),
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error.into()));
                }
            }
        }
        self.known = replacements;
        None
    }

    /// Tells of the last block that it is no longer in the chain, where `held` is instead.
    fn go_back(&mut self, last: Position, held: BlockHash) -> Result<Change, EngineError> {
        let Position { height, hash } = last;
        let Some(parent) = lock(&self.replaced).parent(&hash) else {
            self.is_over = true;
            return Err(FeedError::OtherChain {
                height,
                seen: hash,
                held,
            }
            .into());
        };
        self.last = Some(parent);
        Ok(Change::Reverted { height, hash })
    }

    /// The change, if its block is there; else the end.
    fn settle(&mut self, is_there: bool) -> Option<Result<Change, EngineError>> {
        if !is_there {
            self.is_over = true;
            return match self.latch.reason() {
                EngineError::Stopped => None,
                error => Some(Err(error)),
            };
        }
        if !self.is_there() {
            // One look serves all blocks below it: a follower that catches up takes no lock for each.
            self.known_end = self.watermark.end(self.durability);
        }
        let read = self.read();
        if let (Err(error), Some(last)) = (&read, self.last)
            && let EngineError::Feed(FeedError::OtherChain { held, .. }) = error
        {
            // Replaced this moment, and not noted yet.
            let held = *held;
            return Some(self.go_back(last, held));
        }
        self.is_over = read.is_err();
        Some(read.map(|block| {
            self.last = Some(Position {
                height: block.height(),
                hash: block.hash(),
            });
            Change::Committed {
                block: Box::new(block),
            }
        }))
    }

    /// The next block, which is committed.
    fn read(&self) -> Result<Block, EngineError> {
        let height = self.next_height();
        let held = match self.recent.get(height) {
            Some(block) => Ok(Some(block)),
            None => self.chain.block(height),
        };
        let block = match held {
            Ok(Some(block)) => block,
            Ok(None) => return Err(missing(height).into()),
            Err(LedgerError::Pruned(_)) => {
                let floor = self.chain.extent()?.body_floor;
                return Err(FeedError::BelowFloor { height, floor }.into());
            }
            Err(error) => return Err(error.into()),
        };
        match self.last {
            // Whatever went wrong in the store: blocks of two chains are never given out as one chain.
            Some(Position { height, hash }) if hash != block.header().previous_hash => {
                Err(FeedError::OtherChain {
                    height,
                    seen: hash,
                    held: block.header().previous_hash,
                }
                .into())
            }
            _ => Ok(block),
        }
    }
}

/// Waits.
impl Iterator for Follower {
    type Item = Result<Change, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Poll::Ready(change) = self.poll_with(None) {
                return change;
            }
            self.watermark
                .wait_for_news(self.next_height(), self.durability, self.known);
        }
    }
}

impl FusedIterator for Follower {}

/// O(log followers who await).
impl Drop for Follower {
    fn drop(&mut self) {
        // Otherwise a waker would stay, and with it whatever it owns, until the follower's block comes.
        self.watermark.forget(self.number);
        self.recent.leave();
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("name", &self.name())
            .field("last", &self.last)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Follows the chain: a height, or a [`Position`] that was seen, to begin after. O(1), also while it is at work. After the
    /// engine was shut down, what is committed can still be followed to its end.
    ///
    /// # Errors
    /// [`FeedError::BelowFloor`] if the first block was pruned; [`FeedError::BeyondEnd`] for a height above that of the next block, which a
    /// follower could only have from a chain that was longer; [`FeedError::OtherChain`]; the store failed.
    pub fn follow(&self, from: impl Into<Start>) -> Result<Follower, EngineError> {
        let shared = self.shared();
        let last = locate(shared, from.into())?;
        Ok(Follower::new(shared, last, None))
    }

    /// Registers a follower, and follows: all before `from` counts as finished. A name that is registered already is moved there, be
    /// it back or ahead, and whoever followed under it is no longer registered. Durable when it returns. At most
    /// [`FOLLOWERS_MAX`](crate::ledger::FOLLOWERS_MAX) names, each of at most
    /// [`FOLLOWER_NAME_BYTES_MAX`](crate::ledger::FOLLOWER_NAME_BYTES_MAX) visible ASCII characters.
    ///
    /// # Errors
    /// As [`Engine::follow`]; [`FeedError::Refused`]; the engine failed or was shut down.
    pub fn register(&self, name: &str, from: impl Into<Start>) -> Result<Follower, EngineError> {
        let start = Some(from.into());
        let claim = self.change_registry(name, start)?;
        Ok(self.registered(name, claim))
    }

    /// Follows as a registered follower, after what it has [finished](Follower::finished). Whoever followed under this name is no longer
    /// registered.
    ///
    /// # Errors
    /// [`FeedError::Unknown`] if there is none of this name; those of [`Engine::follow`].
    pub fn resume(&self, name: &str) -> Result<Follower, EngineError> {
        let shared = self.shared();
        let unknown = || FeedError::Unknown(name.to_owned());
        // Checked before the name is taken over: a call that fails must not cost the present follower its name.
        let finished = self.followers().get(name).ok_or_else(unknown)?;
        locate(shared, finished.into())?;
        let claim = shared.registry.claim(name).ok_or_else(unknown)?;
        Ok(self.registered(name, claim))
    }

    /// The registered followers, and how far each has got. O(followers).
    #[must_use]
    pub fn followers(&self) -> Followers {
        self.shared().registry.followers()
    }

    /// Removes a registered follower, so that pruning waits no longer for it; false if there is none of this name. Durable when
    /// it returns.
    ///
    /// # Errors
    /// The store failed; the engine failed or was shut down.
    pub fn remove_follower(&self, name: &str) -> Result<bool, EngineError> {
        match self.change_registry(name, None) {
            Ok(_) => Ok(true),
            Err(EngineError::Feed(FeedError::Unknown(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn change_registry(&self, name: &str, start: Option<Start>) -> Result<Claim, EngineError> {
        self.command(|answer| {
            Command::Register(Registering {
                name: name.to_owned(),
                start,
                answer,
            })
        })?
    }

    fn registered(&self, name: &str, claim: Claim) -> Follower {
        let shared = self.shared();
        let registered = Registered {
            registry: Arc::clone(&shared.registry),
            name: name.to_owned(),
            holder: claim.holder,
        };
        Follower::new(shared, claim.finished, Some(registered))
    }
}

/// The block before the one to begin with, in a chain of `end` blocks.
pub(super) fn locate(shared: &Shared, start: Start) -> Result<Option<Position>, EngineError> {
    let (chain, end) = (&shared.reader, shared.committed_end());
    let before = match start {
        Start::At(height) if height > end => {
            return Err(FeedError::BeyondEnd { height, end }.into());
        }
        Start::At(height) => match height.checked_sub(1) {
            Some(before) => Some(position_at(chain, before)?),
            None => None,
        },
        // Beside the chain: it is told first that this block isn't in the chain any more.
        Start::After(seen)
            if chain.hash_at(seen.height)? != Some(seen.hash)
                && lock(&shared.replaced).parent(&seen.hash).is_some() =>
        {
            Some(seen)
        }
        Start::After(Position { height, .. }) if height >= end => {
            return Err(FeedError::BeyondEnd { height, end }.into());
        }
        Start::After(Position { height, hash: seen }) => {
            let held = position_at(chain, height)?.hash;
            if held != seen {
                return Err(FeedError::OtherChain { height, seen, held }.into());
            }
            Some(Position { height, hash: seen })
        }
    };
    let height = before.map_or(0, |position| position.height + 1);
    let floor = chain.extent()?.body_floor;
    if height < floor {
        return Err(FeedError::BelowFloor { height, floor }.into());
    }
    Ok(before)
}

/// The committed block at a height.
fn position_at(chain: &ChainReader, height: u64) -> Result<Position, LedgerError> {
    let hash = chain.hash_at(height)?.ok_or_else(|| missing(height))?;
    Ok(Position { height, hash })
}

fn missing(height: u64) -> LedgerError {
    LedgerError::Damaged {
        record: "block",
        height,
        problem: "missing below the tip".to_owned(),
    }
}
