//! Reading a chain: blocks, transactions and proofs, from any thread, while the ledger goes on writing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hubledger_storage::{BlockReader, Extent, Held, Location, Usage};

use super::missing::{LostPart, Missing};
use super::values::VALUE_SPEC;
use super::{LedgerError, record};
use crate::format::digest::{BlockHash, Digest, TransactionId};
use crate::format::merkle::history_leaf;
use crate::format::merkle::{self, Chunks};
use crate::format::model::{Block, Header, Seal, Transaction};
use crate::format::original::Original;
use crate::format::proof::{ExtensionProof, StateProof, TransactionProof};
use crate::format::spec::ChainSpec;
use crate::rules::headers::state_root_due;
use crate::state::{State, TABLE_ACCOUNTS};

/// Reads one chain. Clones are cheap; every answer is about committed blocks only.
#[derive(Clone)]
pub struct ChainReader {
    spec: ChainSpec,
    store: Arc<dyn BlockReader>,
    /// What proofs have needed of the history tree so far: one byte a block.
    history: Arc<Mutex<History>>,
    /// What was lost before this store was made.
    missing: Arc<Missing>,
}

/// The history tree up to some block, as far as it is kept.
#[derive(Default)]
struct History {
    chunks: Chunks,
    /// The last block of which something is in it. Once another takes its place, so do others below.
    last: Option<(u64, BlockHash)>,
}

/// A block as it lies in a store.
#[derive(Debug)]
pub(crate) struct StoredParts {
    pub(crate) header: Header,
    /// Encoded.
    pub(crate) seal: Bytes,
    pub(crate) body: Bytes,
}

/// A transaction and its place.
#[derive(Debug, Clone)]
pub struct Located {
    /// Height of its block.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// The block's header.
    pub header: Header,
    transaction: Transaction,
}

impl Located {
    /// The transaction.
    #[must_use]
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }
}

/// The answer to a look-up of a transaction.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// Here it is.
    Found(Box<Located>),
    /// It is in the chain, but the body of its block was pruned.
    Pruned {
        /// Height of its block.
        height: u64,
        /// Its index in the block.
        index: u32,
    },
    /// It is not in the chain.
    Absent,
    /// It is not in the chain, or only below this height, where the index was pruned.
    Forgotten {
        /// The lowest height that is still indexed.
        below: u64,
    },
    /// It is not below this height; above, the index doesn't know yet.
    NotIndexed {
        /// The height that the index reaches.
        watermark: u64,
    },
}

impl ChainReader {
    /// Reads the chain in `store`. A specification that [contradicts itself](crate::format::spec::SpecFields::contradictions) is
    /// only warned about.
    ///
    /// # Errors
    /// A store without a chain, with an incomplete copy of one, or with a damaged specification or list of lost parts.
    pub fn open(store: Arc<dyn BlockReader>) -> Result<Self, LedgerError> {
        super::values::refuse_incomplete(&*store)?;
        let spec = Self::held_spec(&*store)?.ok_or(LedgerError::Uninitialised)?;
        if store.extent()?.is_empty() {
            return Err(LedgerError::Uninitialised);
        }
        // Only warned about: the chain exists and most of it works, and refusing to open it would lose it.
        for contradiction in spec.contradictions() {
            tracing::warn!(chain = %spec.id(), %contradiction, "the chain's specification contradicts itself");
        }
        let missing = Arc::new(Missing::read(&*store)?);
        Ok(Self::from_parts(spec, store, missing))
    }

    /// The specification of the chain that a store holds, has begun, or is becoming a copy of; `None` if there is none.
    ///
    /// # Errors
    /// The store failed; a damaged specification.
    pub fn held_spec(store: &dyn BlockReader) -> Result<Option<ChainSpec>, LedgerError> {
        let bytes = store.named_value(VALUE_SPEC)?;
        let spec = bytes.map(|bytes| ChainSpec::decode(&bytes)).transpose();
        spec.map_err(|problem| LedgerError::DamagedValue {
            record: VALUE_SPEC,
            problem,
        })
    }

    pub(super) fn from_parts(
        spec: ChainSpec,
        store: Arc<dyn BlockReader>,
        missing: Arc<Missing>,
    ) -> Self {
        Self {
            spec,
            store,
            history: Arc::default(),
            missing,
        }
    }

    /// The parts of blocks that were lost before this store was made from a damaged one, as far as they weren't pruned
    /// since. Whatever needs them is answered with [`LedgerError::Lost`] or [`LedgerError::CantTell`].
    ///
    /// # Errors
    /// The store failed.
    pub fn missing(&self) -> Result<Missing, LedgerError> {
        Ok(self.missing.within(self.extent()?))
    }

    /// The same as it was when the store was opened: it may have more, which was pruned since.
    pub(super) fn lost(&self) -> &Arc<Missing> {
        &self.missing
    }

    fn refuse_lost(&self, part: LostPart, height: u64) -> Result<(), LedgerError> {
        match self.missing.has(part, height) {
            true => Err(LedgerError::Lost { part, height }),
            false => Ok(()),
        }
    }

    /// Refuses to say that something is nowhere, if it may have been in a lost part of a block at `from` or above.
    fn refuse_to_tell(&self, part: LostPart, from: u64) -> Result<(), LedgerError> {
        match self.missing.first_from(part, from) {
            Some(first) => Err(LedgerError::CantTell {
                part,
                first,
                blocks: self.missing.count(part),
            }),
            None => Ok(()),
        }
    }

    /// The chain's specification.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    pub(super) fn store(&self) -> &dyn BlockReader {
        &*self.store
    }

    /// Which heights are held.
    ///
    /// # Errors
    /// The store failed.
    pub fn extent(&self) -> Result<Extent, LedgerError> {
        Ok(self.store.extent()?)
    }

    /// What the store takes up.
    ///
    /// # Errors
    /// The store failed.
    pub fn usage(&self) -> Result<Usage, LedgerError> {
        Ok(self.store.usage()?)
    }

    /// The header of the last block.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn head(&self) -> Result<Header, LedgerError> {
        let tip = self
            .store
            .extent()?
            .tip()
            .ok_or(LedgerError::Uninitialised)?;
        self.header(tip)?.ok_or(LedgerError::Uninitialised)
    }

    /// The state after the last block, by which the next one is judged. Rebuilt from the last snapshot, so that it costs
    /// O(names) and O(bytes of the blocks since then); whoever has the chain open for writing has it at hand.
    ///
    /// # Errors
    /// The store failed or is damaged; [`LedgerError::NoState`] if the bodies were pruned that it would follow from.
    pub fn state(&self) -> Result<State, LedgerError> {
        let (validator, _) = super::restore(self, None)?;
        Ok(validator.state().clone())
    }

    /// The state after the last block that names a state root, from which can be proved what the chain knows; that after the last block if
    /// there is no such one near, or it can't be had. As costly as [`ChainReader::state`].
    ///
    /// # Errors
    /// As there.
    pub fn named_state(&self) -> Result<State, LedgerError> {
        let (validator, _) = super::restore(self, None)?;
        Ok(validator.named().into_state())
    }

    /// The state after the last final block that names a state root, of which a snapshot can be; that after the last final block if there is no
    /// such one near, or it can't be had. As costly as [`ChainReader::state`].
    ///
    /// # Errors
    /// As there.
    pub fn base_state(&self) -> Result<State, LedgerError> {
        let (validator, _) = super::restore(self, None)?;
        Ok(validator.base(None).into_state())
    }

    /// The header at `height`, also where the body was pruned.
    ///
    /// # Errors
    /// The store failed or is damaged; [`LedgerError::HeaderPruned`] if the header was pruned too; [`LedgerError::Lost`].
    pub fn header(&self, height: u64) -> Result<Option<Header>, LedgerError> {
        let Some(stored) = self.store.header(height)? else {
            return Ok(None);
        };
        match stored.bytes {
            Held::Present(bytes) => {
                self.refuse_lost(LostPart::Header, height)?;
                Ok(Some(record::decode_header(height, &stored.id, &bytes)?.0))
            }
            Held::Pruned => Err(LedgerError::HeaderPruned(height)),
        }
    }

    /// The header at `height` with its seal, as light clients are handed it, also where the body was pruned.
    ///
    /// # Errors
    /// As [`ChainReader::header`].
    pub fn sealed_header(&self, height: u64) -> Result<Option<(Header, Seal)>, LedgerError> {
        let Some(stored) = self.store.header(height)? else {
            return Ok(None);
        };
        let Held::Present(bytes) = stored.bytes else {
            return Err(LedgerError::HeaderPruned(height));
        };
        self.refuse_lost(LostPart::Header, height)?;
        let (header, seal) = record::decode_header(height, &stored.id, &bytes)?;
        let seal = Seal::decode(&seal).map_err(|error| LedgerError::Damaged {
            record: "seal",
            height,
            problem: error.to_string(),
        })?;
        Ok(Some((header, seal)))
    }

    /// The hash of the block at `height`.
    ///
    /// # Errors
    /// The store failed; [`LedgerError::Lost`].
    pub fn hash_at(&self, height: u64) -> Result<Option<BlockHash>, LedgerError> {
        // A made-up id stands in its place, and must never be taken for the block's hash.
        self.refuse_lost(LostPart::Id, height)?;
        Ok(self
            .store
            .header(height)?
            .map(|stored| BlockHash(stored.id)))
    }

    /// The height of the block `hash`.
    ///
    /// # Errors
    /// The store failed; [`LedgerError::CantTell`] if it may be a block whose hash was lost.
    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<u64>, LedgerError> {
        let found = self.store.height_of(&hash.0)?;
        // The id that stands in for a lost hash belongs to no block.
        let found = found.filter(|height| !self.missing.has(LostPart::Id, *height));
        if found.is_none() {
            self.refuse_to_tell(LostPart::Id, 0)?;
        }
        Ok(found)
    }

    /// The block at `height`.
    ///
    /// # Errors
    /// The store failed or is damaged; [`LedgerError::Pruned`] if only the header is left; [`LedgerError::Lost`].
    pub fn block(&self, height: u64) -> Result<Option<Block>, LedgerError> {
        let Some(stored) = self.store.block(height)? else {
            return Ok(None);
        };
        match (stored.header, stored.body) {
            (Held::Present(header), Held::Present(body)) => {
                self.refuse_lost(LostPart::Header, height)?;
                self.refuse_lost(LostPart::Body, height)?;
                record::decode_block(height, &stored.id, &header, body).map(Some)
            }
            _ => Err(LedgerError::Pruned(height)),
        }
    }

    /// The block at `height` with its header decoded; nobody has looked into its seal and its body yet.
    ///
    /// # Errors
    /// As [`ChainReader::block`], but for what is wrong with seal and body.
    pub(crate) fn parts(&self, height: u64) -> Result<Option<StoredParts>, LedgerError> {
        let Some(stored) = self.store.block(height)? else {
            return Ok(None);
        };
        match (stored.header, stored.body) {
            (Held::Present(header), Held::Present(body)) => {
                self.refuse_lost(LostPart::Header, height)?;
                self.refuse_lost(LostPart::Body, height)?;
                let (header, seal) = record::decode_header(height, &stored.id, &header)?;
                Ok(Some(StoredParts { header, seal, body }))
            }
            _ => Err(LedgerError::Pruned(height)),
        }
    }

    /// The transaction `id`.
    ///
    /// # Errors
    /// The store failed or is damaged; [`LedgerError::Lost`] if its block's body was lost, [`LedgerError::CantTell`] if it may
    /// be in a block whose index entries were.
    pub fn transaction(&self, id: &TransactionId) -> Result<Lookup, LedgerError> {
        self.look_up(&id.0, |transaction| transaction.id() == *id)
    }

    /// The first imported transaction whose id in MPREG was `id`.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn original_transaction(&self, id: &str) -> Result<Lookup, LedgerError> {
        self.look_up(&Original::index_key(id), |transaction| {
            Original::decode(transaction.payload())
                .is_ok_and(|original| original.transaction_id == id)
        })
    }

    /// Finds a transaction as people name it: by its id, or by its original id in MPREG.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn find(&self, name: &str) -> Result<Lookup, LedgerError> {
        if let Ok(id) = name.parse() {
            let found = self.transaction(&id)?;
            if !matches!(found, Lookup::Absent | Lookup::Forgotten { .. }) {
                return Ok(found);
            }
        }
        self.original_transaction(name)
    }

    /// Proves that the transaction at `height`, `index` is in the chain that ends in `head` (the last block if
    /// `None`). O(log blocks) hashes, after a first proof of O(blocks).
    ///
    /// # Errors
    /// An unknown block or transaction, a pruned body, a head below the transaction, a failed store.
    pub fn prove(
        &self,
        height: u64,
        index: u32,
        head: Option<&BlockHash>,
    ) -> Result<TransactionProof, LedgerError> {
        let head = self.resolve_head(head)?;
        if height > head.height {
            return Err(LedgerError::AboveHead {
                height,
                head: head.height,
            });
        }
        let unknown = || LedgerError::UnknownTransaction(format!("{index} of block {height}"));
        let block = self.block(height)?.ok_or_else(unknown)?;
        let transaction = block
            .transactions()
            .get(index as usize)
            .ok_or_else(unknown)?;
        let path =
            merkle::inclusion_path(&block.leaf_hashes(), index.into()).ok_or_else(unknown)?;
        let later = match height < head.height {
            true => Some((
                block.header().clone(),
                self.history_path(height, head.height)?,
            )),
            false => None,
        };
        self.refuse_replaced(&head)?;
        Ok(TransactionProof::new(head, later, index, transaction, path))
    }

    /// Proves what `state`, that after a block of this chain which names a state root, holds at a key of a table, or that it holds
    /// nothing there, to whoever trusts `head` (the last block if `None`). O(log blocks + log rows) hashes, after a first proof of
    /// O(blocks).
    ///
    /// # Errors
    /// [`LedgerError::NoStateRoot`] if the block names none; a state of another chain, of a block that isn't held, or above the head; a failed
    /// store.
    pub fn prove_row(
        &self,
        state: &State,
        table: u8,
        key: &[u8],
        head: Option<&BlockHash>,
    ) -> Result<StateProof, LedgerError> {
        let head = self.resolve_head(head)?;
        let height = state.height();
        if self.hash_at(height)? != Some(state.head()) {
            return Err(LedgerError::UnknownBlock(state.head()));
        }
        if height > head.height {
            return Err(LedgerError::AboveHead {
                height,
                head: head.height,
            });
        }
        if !state_root_due(self.spec(), height) {
            return Err(LedgerError::NoStateRoot(height));
        }
        let mut state = state.clone();
        state.root();
        let proven = state.tree().and_then(|tree| tree.prove(table, key));
        state.refuse_failed()?;
        let (path, value) = proven.ok_or(LedgerError::NoStateRoot(height))?;
        let later = match height < head.height {
            true => {
                let block = self.header(height)?.ok_or(LedgerError::Uninitialised)?;
                Some((block, self.history_path(height, head.height)?))
            }
            false => None,
        };
        self.refuse_replaced(&head)?;
        Ok(StateProof::new(head, later, (table, key), value, path))
    }

    /// Proves what is known of a name after the block of `state`: [`ChainReader::prove_row`] of the table of accounts.
    ///
    /// # Errors
    /// As there.
    pub fn prove_account(
        &self,
        state: &State,
        name: &str,
        head: Option<&BlockHash>,
    ) -> Result<StateProof, LedgerError> {
        self.prove_row(state, TABLE_ACCOUNTS, name.as_bytes(), head)
    }

    /// Proves that the chain that ends in `new` (the last block if `None`) extends the one that ends in `old`.
    /// O(log blocks) hashes, after a first proof of O(blocks).
    ///
    /// # Errors
    /// An unknown block, a failed store, `new` not above `old` ([`LedgerError::NotExtended`]).
    pub fn prove_extends(
        &self,
        old: &BlockHash,
        new: Option<&BlockHash>,
    ) -> Result<ExtensionProof, LedgerError> {
        let (old, new) = (self.resolve_head(Some(old))?, self.resolve_head(new)?);
        if old.height >= new.height {
            return Err(LedgerError::NotExtended {
                old: old.height,
                new: new.height,
            });
        }
        let mut leaf = |height| self.history_leaf(height);
        let history = self.history_of(new.height)?;
        let consistency = match old.height {
            0 => Vec::new(),
            blocks => history
                .chunks
                .consistency_path(blocks, new.height, &mut leaf)?,
        };
        let inclusion = history
            .chunks
            .inclusion_path(old.height, new.height, &mut leaf)?;
        drop(history);
        self.refuse_replaced(&new)?;
        Ok(ExtensionProof::new(old, new, consistency, inclusion))
    }

    pub(super) fn resolve_head(&self, hash: Option<&BlockHash>) -> Result<Header, LedgerError> {
        let Some(hash) = hash else { return self.head() };
        let unknown = || LedgerError::UnknownBlock(*hash);
        let height = self.height_of(hash)?.ok_or_else(unknown)?;
        self.header(height)?.ok_or_else(unknown)
    }

    /// The siblings of a block below `blocks` in the history tree over the first `blocks`.
    pub(super) fn history_path(
        &self,
        height: u64,
        blocks: u64,
    ) -> Result<Vec<Digest>, LedgerError> {
        let history = self.history_of(blocks)?;
        let mut leaf = |height| self.history_leaf(height);
        history.chunks.inclusion_path(height, blocks, &mut leaf)
    }

    fn history_of(&self, blocks: u64) -> Result<MutexGuard<'_, History>, LedgerError> {
        // Sound also after a panic of another thread: chunks are added whole, one by one.
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((height, hash)) = history.last
                && self.hash_at(height)? != Some(hash)
            {
                *history = History::default();
            }
            if let Some(last) = blocks.checked_sub(1)
                && history.last.is_none_or(|(height, _)| height < last)
            {
                // Before any leaf is read: if the chain changes meanwhile, the next round finds another block there.
                history.last = self.hash_at(last)?.map(|hash| (last, hash));
            }
            let mut leaf = |height| self.history_leaf(height);
            history.chunks.extend(blocks, &mut leaf)?;
            let last = history.last;
            match last {
                Some((height, hash)) if self.hash_at(height)? != Some(hash) => {}
                _ => return Ok(history),
            }
        }
    }

    /// Refuses a proof for a head that went while it was made: some of what was read may be of the chain that came in its place.
    pub(super) fn refuse_replaced(&self, head: &Header) -> Result<(), LedgerError> {
        match self.hash_at(head.height)? == Some(head.hash()) {
            true => Ok(()),
            false => Err(LedgerError::UnknownBlock(head.hash())),
        }
    }

    fn history_leaf(&self, height: u64) -> Result<Digest, LedgerError> {
        let missing = || LedgerError::Damaged {
            record: "header",
            height,
            problem: "missing below the tip".to_owned(),
        };
        Ok(history_leaf(&self.hash_at(height)?.ok_or_else(missing)?))
    }

    fn look_up(
        &self,
        key: &[u8; 32],
        is_it: impl Fn(&Transaction) -> bool,
    ) -> Result<Lookup, LedgerError> {
        // Read before the index is asked: a floor that was read after it may have risen past a lost part that mattered.
        let index_floor = match self.missing.ranges(LostPart::Index) {
            [] => 0,
            _ => self.store.extent()?.index_floor,
        };
        let location = self.store.locate(key)?;
        if let Location::Absent | Location::Forgotten { .. } = location {
            self.refuse_to_tell(LostPart::Index, index_floor)?;
        }
        let (height, position) = match location {
            Location::Found { height, position } => (height, position),
            Location::Pruned { height, position } => {
                return Ok(Lookup::Pruned {
                    height,
                    index: position,
                });
            }
            Location::Absent => return Ok(Lookup::Absent),
            Location::Forgotten { below } => return Ok(Lookup::Forgotten { below }),
            Location::NotIndexed { watermark } => return Ok(Lookup::NotIndexed { watermark }),
        };
        let damaged = |problem: &str| LedgerError::Damaged {
            record: "index entry",
            height,
            problem: problem.to_owned(),
        };
        // Nothing is hashed but the one transaction: a block has thousands, and a look-up is asked for one.
        let StoredParts { header, body, .. } = match self.parts(height) {
            Ok(Some(parts)) => parts,
            Ok(None) => return Err(damaged("points to a block that isn't there")),
            // Pruned between the look-up in the index and this one.
            Err(LedgerError::Pruned(_)) => {
                return Ok(Lookup::Pruned {
                    height,
                    index: position,
                });
            }
            Err(error) => return Err(error),
        };
        match record::decode_transaction(height, &body, position)? {
            // Compared, since the index is derived: a damaged one must not make another transaction the answer.
            Some(transaction) if is_it(&transaction) => Ok(Lookup::Found(Box::new(Located {
                height,
                index: position,
                header,
                transaction,
            }))),
            _ => Err(damaged("points to another transaction")),
        }
    }
}
