//! Checking a chain: what is there, as far as what is there allows. As long as every block is, all rules are checked. Behind
//! bodies that were pruned, were lost, or can't be read: headers commit to each other, to all earlier ids and, by their
//! seals, to their producers; bodies to their headers. The rules about accounts need the state before a block, and begin again after
//! the stored snapshot.

use hubledger_storage::{Extent, Held};

use super::{IndexCheck, StoreReport, check_genesis, check_snapshot, missing};
use crate::format::digest::BlockHash;
use crate::format::merkle::Frontier;
use crate::format::merkle::history_leaf;
use crate::format::model::{Block, Header, Kind, Seal};
use crate::format::rejection::Fault;
use crate::format::rejection::{Reason, Rejected};
use crate::format::signature::{Item, Verifier};
use crate::ledger::missing::{Losses, LostPart};
use crate::ledger::step::{BlockProgress, BlockStep, go_on};
use crate::ledger::{ChainReader, LedgerError, record};
use crate::rules::headers::{self, Parent};
use crate::rules::{Depth, Validator};
use crate::state::State;

/// Either nothing against a block, or what is wrong with it.
type Verdict = Result<(), Rejected>;

/// What is known of the blocks so far.
pub(crate) struct Walk<'a> {
    chain: &'a ChainReader,
    extent: Extent,
    snapshot: Option<State>,
    /// While the state is known.
    validator: Option<Validator>,
    index: IndexCheck<'a>,
    verifier: Verifier,
    /// Over the ids so far, while all are known but perhaps the last one.
    history: Option<Frontier>,
    /// How many ids could not be read since.
    unknown: u64,
    /// The last valid block if it is known, and its header if it is held.
    last: Option<BlockHash>,
    last_header: Option<Header>,
    blocks: u64,
    transactions: u64,
    rules_from: u64,
    losses: Losses,
}

impl<'a> Walk<'a> {
    /// A walk that begins at genesis.
    pub(crate) fn new(
        chain: &'a ChainReader,
        snapshot: Option<State>,
        losses: Losses,
    ) -> Result<Self, LedgerError> {
        let extent = chain.extent()?;
        let is_pruned = extent.floor > 0;
        let snapshot = match is_pruned && losses.is_empty() {
            true => Some(snapshot.unwrap_or_else(|| State::genesis(chain.spec()))),
            false => snapshot,
        };
        if let Some(state) = snapshot.as_ref().filter(|_| is_pruned)
            && (state.height() + 1 < extent.floor || state.height() >= extent.end)
        {
            return Err(LedgerError::NoState {
                floor: extent.floor,
            });
        }
        Ok(Self {
            chain,
            extent,
            snapshot,
            validator: (!is_pruned).then(|| Validator::new(chain.spec().clone())),
            index: IndexCheck::new(chain),
            verifier: Verifier::default(),
            history: Some(Frontier::new()),
            unknown: 0,
            last: None,
            last_header: None,
            blocks: 0,
            transactions: 0,
            rules_from: 0,
            losses,
        })
    }

    /// Checks all blocks, up to one that isn't valid. What can't be read is an error in the end.
    pub(crate) fn run(
        mut self,
        now_us: u64,
        progress: &mut BlockProgress<'_>,
    ) -> Result<StoreReport, LedgerError> {
        let mut head = BlockHash::ZERO;
        let mut rejected = None;
        for height in 0..self.extent.end {
            if let Err(verdict) = self.block(height, now_us)? {
                rejected = Some(verdict);
                break;
            }
            head = self.last.unwrap_or(head);
            let header = self.last_header.as_ref();
            go_on(progress(BlockStep {
                height,
                transactions: header.map_or(0, |header| header.transaction_count.into()),
            }))?;
        }
        if !self.losses.is_empty() {
            return Err(LedgerError::Unreadable(Box::new(self.losses)));
        }
        Ok(StoreReport {
            blocks: self.blocks,
            transactions: self.transactions,
            headers_from: self.extent.header_floor,
            bodies_from: self.extent.floor,
            rules_from: self.rules_from,
            head,
            rejected,
            missing: self.chain.missing()?,
        })
    }

    /// Checks the block at a height: by all rules, or as far as can be.
    fn block(&mut self, height: u64, now_us: u64) -> Result<Verdict, LedgerError> {
        let is_held = height >= self.extent.floor;
        let block = match is_held {
            true => self.read(LostPart::Body, height, |chain| chain.block(height))?,
            false => None,
        };
        if let (Some(block), Some(validator)) = (&block, &mut self.validator) {
            if height == 0 {
                check_genesis(self.chain, block)?;
            } else {
                match validator.check(block, Depth::Full { now_us }) {
                    Ok(valid) => validator.apply(&valid),
                    Err(rejected) => return Ok(Err(rejected)),
                }
            }
            check_snapshot(self.snapshot.as_ref(), validator.state())?;
            self.advance(block.hash(), Some(block.header().clone()));
            self.index(block)?;
            return Ok(Ok(()));
        }
        if is_held {
            // The state is not known from here on.
            self.validator = None;
            self.rules_from = self.extent.end;
        }
        if let Err(rejected) = self.header(height)? {
            return Ok(Err(rejected));
        }
        if let Some(state) = self
            .snapshot
            .as_ref()
            .filter(|state| state.height() == height)
        {
            self.compare(state)?;
            self.validator = Some(resume(self.chain, state)?);
            self.rules_from = height + 1;
        }
        match block {
            Some(block) => {
                let verdict = self.body(&block);
                if verdict.is_ok() {
                    self.index(&block)?;
                }
                Ok(verdict)
            }
            None => Ok(Ok(())),
        }
    }

    /// What is read of a height; nothing if that was lost before, or can't be read, which is noted.
    fn read<T>(
        &mut self,
        part: LostPart,
        height: u64,
        read: impl FnOnce(&ChainReader) -> Result<Option<T>, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        match read(self.chain).and_then(|found| found.ok_or_else(|| missing(height))) {
            Ok(found) => Ok(Some(found)),
            Err(LedgerError::Lost { .. }) => Ok(None),
            Err(error) if error.is_corrupt() => {
                self.losses
                    .note(part, height..height + 1, &error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn index(&mut self, block: &Block) -> Result<(), LedgerError> {
        match self.index.check(block) {
            Err(LedgerError::Storage(error)) if error.is_corrupt() => {
                let height = block.height();
                let reason = error.to_string();
                self.losses
                    .note(LostPart::Index, height..height + 1, &reason);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Goes on behind a block, of which the header may be held.
    fn advance(&mut self, id: BlockHash, header: Option<Header>) {
        match &mut self.history {
            Some(history) if self.unknown == 0 => history.push(history_leaf(&id)),
            history => *history = None,
        }
        self.last = Some(id);
        if let Some(header) = &header {
            self.blocks += 1;
            self.transactions += u64::from(header.transaction_count);
        }
        self.last_header = header;
    }

    /// Goes on behind a block of which nothing is known. One alone is told by the next header.
    fn skip(&mut self) {
        self.unknown += 1;
        if self.unknown > 1 {
            self.history = None;
        }
        (self.last, self.last_header) = (None, None);
    }

    /// Checks the header at a height against the ids before it, if it is held.
    fn header(&mut self, height: u64) -> Result<Verdict, LedgerError> {
        let id = match self.chain.hash_at(height) {
            Err(LedgerError::Lost { .. }) => None,
            // Of a header that can't be read, the id can't be either.
            id => self.read(LostPart::Header, height, |_| id)?,
        };
        let Some(id) = id else {
            self.skip();
            return Ok(Ok(()));
        };
        if height == 0 && id != self.chain.spec().genesis().hash() {
            return Err(LedgerError::Damaged {
                record: "block",
                height: 0,
                problem: "not the genesis of the specification".to_owned(),
            });
        }
        let is_held =
            height >= self.extent.header_floor && !self.chain.lost().has(LostPart::Header, height);
        let header = match is_held {
            true => self.read(LostPart::Header, height, |chain| {
                sealed_header(chain, height)
            })?,
            false => None,
        };
        if let Some((header, seal)) = &header
            && height > 0
            && let Err(rejected) = self.check_header(header, seal)
        {
            return Ok(Err(rejected));
        }
        self.advance(id, header.map(|(header, _)| header));
        Ok(Ok(()))
    }

    fn check_header(&mut self, header: &Header, seal: &[u8]) -> Verdict {
        let spec = self.chain.spec();
        if let (None, Some(history)) = (self.last, &mut self.history) {
            // The hash that the header names is the lost one: the root over both proves it.
            history.push(history_leaf(&header.previous_hash));
        }
        let before = self.last_header.as_ref();
        let parent = Parent {
            // The record says its height, and was read by it; genesis is not checked here.
            height: header.height.saturating_sub(1),
            hash: self.last,
            timestamp: before.map(|before| before.timestamp),
            clock: before.map(|before| &before.vector_clock),
            history: self.history.as_ref(),
        };
        let checked = headers::check(spec, &parent, header, None);
        let checked = checked.and_then(|()| {
            let seal = Seal::decode(seal)
                .map_err(|error| Fault::new(Reason::Malformed, error.to_string()))?;
            headers::check_seal(spec, header, &seal, &self.verifier)
        });
        checked.map_err(|fault| Rejected::block(header.height, fault.reason, fault.detail))?;
        if self.history.is_some() {
            self.unknown = 0;
        }
        Ok(())
    }

    /// Checks a body against its header: what can be said without the state before it.
    fn body(&self, block: &Block) -> Result<(), Rejected> {
        if block.computed_merkle_root() != block.header().merkle_root {
            let detail = "is not over the transactions of the body";
            return Err(Rejected::block(block.height(), Reason::MerkleRoot, detail));
        }
        let native = (0u32..)
            .zip(block.transactions())
            .filter(|(_, transaction)| transaction.kind() == Kind::Native);
        let signed: Vec<_> = native
            .flat_map(|(index, transaction)| {
                let message = transaction.signed_message();
                transaction
                    .witnesses()
                    .map(move |witness| (index, message, witness))
            })
            .collect();
        let items: Vec<_> = signed
            .iter()
            .map(|(_, message, witness)| Item {
                key: &witness.key,
                message,
                signature: &witness.signature,
            })
            .collect();
        match self.verifier.verify(&items).bad().first() {
            None => Ok(()),
            Some((at, error)) => Err(Rejected::transaction(
                block.height(),
                signed[*at].0,
                Reason::Signature,
                error.to_string(),
            )),
        }
    }

    /// Compares the snapshot with what headers and ids say of the chain up to its block.
    fn compare(&self, state: &State) -> Result<(), LedgerError> {
        let header = self.last_header.as_ref();
        let history = self.history.as_ref().filter(|_| self.unknown == 0);
        // Every header is known if as many are as there are blocks.
        let is_counted = self.blocks == state.height() + 1;
        let is_same = state.chain() == self.chain.spec().id()
            && self.last.is_none_or(|last| state.head() == last)
            && history.is_none_or(|history| state.history_root() == history.root())
            && header.is_none_or(|header| {
                header.timestamp == state.timestamp() && header.vector_clock == *state.clock()
            })
            && (!is_counted || state.transactions() == self.transactions);
        match is_same {
            true => Ok(()),
            false => Err(snapshot_error(state, "is not what the headers give")),
        }
    }
}

fn resume(chain: &ChainReader, state: &State) -> Result<Validator, LedgerError> {
    Validator::resume(chain.spec().clone(), state.clone())
        .map_err(|_| snapshot_error(state, "is of another chain"))
}

fn snapshot_error(state: &State, problem: &str) -> LedgerError {
    LedgerError::Damaged {
        record: "state snapshot",
        height: state.height(),
        problem: problem.to_owned(),
    }
}

/// The header at a height, which is held, and its seal.
fn sealed_header(
    chain: &ChainReader,
    height: u64,
) -> Result<Option<(Header, bytes::Bytes)>, LedgerError> {
    let Some(stored) = chain.store().header(height)? else {
        return Ok(None);
    };
    match stored.bytes {
        Held::Present(bytes) => record::decode_header(height, &stored.id, &bytes).map(Some),
        Held::Pruned => Err(LedgerError::HeaderPruned(height)),
    }
}
