//! The state that validation carries from block to block, as a value: it can be cloned, compared, written down and
//! read back, and a validator that starts from it gives the verdicts it would have given.

mod accounts;
mod identities;
mod in_force;
mod journal;
mod recent;
mod rows;
mod snapshot;
mod stakes;
mod table;
pub mod tables;
mod tree;

use std::sync::Arc;

pub use self::accounts::{Account, ConsensusChanges, Speaker};
pub(crate) use self::accounts::{Changes, KnownAccount, RowChange};
pub(crate) use self::identities::{key_digests, keys_digest};
pub use self::in_force::{InForce, members};
pub use self::journal::Journal;
pub(crate) use self::recent::{EarlierState, Recent, Wanted};
pub use self::rows::EncodedAccount;
use self::rows::Rows;
pub use self::rows::TABLE_ACCOUNTS;
pub(crate) use self::rows::places_of_names;
pub(crate) use self::tables::check as check_row;
use self::tables::{Registrations, Table, Tenure, Tenures};
pub use self::tree::{KEY_BYTES_MAX, PageSource, Put, StateFailure, StateTree, VALUE_BYTES_MAX};
use crate::format::FormatVersion;
use crate::format::digest::{BlockHash, ChainId, Digest};
use crate::format::merkle::{self, Frontier, history_leaf};
use crate::format::model::{Header, VectorClock};
use crate::format::sparse::EMPTY;
use crate::format::spec::ChainSpec;

/// Everything about the blocks so far that decides about the next one. Memory: O(log blocks) and about 100 bytes
/// a name that ever sent or received; in version 2, 200.
///
/// A clone costs microseconds, whatever the number of names: it shares them, until either changes some (see `table` and `tree`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub(crate) chain: ChainId,
    tip: Tip,
    accounts: Rows,
}

/// The part of the state that is not about names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tip {
    height: u64,
    hash: BlockHash,
    timestamp: u64,
    transactions: u64,
    weight: u128,
    clock: VectorClock,
    history: Frontier,
    source: String,
}

impl State {
    /// The state after genesis.
    #[must_use]
    pub fn genesis(spec: &ChainSpec) -> Self {
        let genesis = spec.genesis();
        let mut history = Frontier::new();
        history.push(merkle::leaf_hash(&[&genesis.hash().0]));
        let mut state = Self {
            chain: spec.id(),
            tip: Tip {
                height: 0,
                hash: genesis.hash(),
                timestamp: genesis.header().timestamp,
                transactions: 0,
                weight: 0,
                clock: VectorClock::empty(),
                history,
                source: String::new(),
            },
            accounts: Rows::for_version(spec.at(0).version),
        };
        // A chain that goes on from another began with that one's accounts.
        let spec = spec.at(0);
        let initial = spec.accounts.iter().map(|(name, initial)| {
            let account = Account {
                nonce: 0,
                balance: initial.balance,
                speaker: initial
                    .key
                    .map_or(Speaker::Open, |key| Speaker::Keys(keys_digest(&[key]))),
            };
            (name.as_str(), Some(account))
        });
        state.accounts.change(initial);
        if spec.rules.identity.binds_names() {
            let bound = spec.consensus.bound().map(|(name, key)| {
                let account = Account {
                    speaker: Speaker::Keys(keys_digest(&[key])),
                    ..state.account(name)
                };
                (name, Some(account))
            });
            let bound: Vec<_> = bound.collect();
            state.accounts.change(bound.into_iter());
        }
        let stakes = stakes::at_genesis(spec);
        let puts: Vec<_> = stakes.iter().map(RowChange::put).collect();
        state.accounts.put(&puts);
        state
    }

    /// The state after the block of `header`, a later one than any of an imported record: `history` is over the hashes of all blocks up to
    /// it, `tree` has the rows. `None` of a header of version 1, which says too little, and if the history is of another height.
    pub(crate) fn after(
        chain: ChainId,
        header: &Header,
        history: Frontier,
        tree: StateTree,
    ) -> Option<Self> {
        if Some(history.size()) != header.height.checked_add(1) {
            return None;
        }
        Some(Self {
            chain,
            tip: Tip {
                height: header.height,
                hash: header.hash(),
                timestamp: header.timestamp,
                transactions: header.chain_transactions()?,
                weight: header.chain_weight()?,
                clock: header.vector_clock.clone(),
                history,
                // What a record goes on from; behind it, nothing asks.
                source: String::new(),
            },
            accounts: Rows::Tree(tree),
        })
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// Height of the last block.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.tip.height
    }

    /// Hash of the last block: the head.
    #[must_use]
    pub const fn head(&self) -> BlockHash {
        self.tip.hash
    }

    /// Timestamp of the last block in microseconds since the Unix epoch.
    #[must_use]
    pub const fn timestamp(&self) -> u64 {
        self.tip.timestamp
    }

    /// Transactions in the whole chain.
    #[must_use]
    pub const fn transaction_count(&self) -> u64 {
        self.tip.transactions
    }

    /// What all blocks of the chain weigh together: see [`weight`](crate::consensus::weight).
    #[must_use]
    pub const fn weight(&self) -> u128 {
        self.tip.weight
    }

    /// Vector clock of the last block.
    #[must_use]
    pub const fn clock(&self) -> &VectorClock {
        &self.tip.clock
    }

    /// The history root that the next block has to name: over the hashes of all blocks so far.
    #[must_use]
    pub fn history_root(&self) -> Digest {
        self.tip.history.root()
    }

    /// The tree over the hashes of all blocks so far, of which that is the root.
    #[must_use]
    pub const fn history(&self) -> &Frontier {
        &self.tip.history
    }

    /// What is known about `name`; the default for a name never seen.
    #[must_use]
    pub fn account(&self, name: &str) -> Account {
        self.accounts.get(name).unwrap_or_default()
    }

    /// The bytes of a row of any table (see [`tables`]); `None` where it isn't there, and in version 1. O(log rows).
    #[must_use]
    pub fn row(&self, table: u8, key: &[u8]) -> Option<&[u8]> {
        self.accounts.row(table, key)
    }

    /// The value of a row of this table. O(log rows).
    #[must_use]
    pub fn value<T: Table>(&self, key: &[u8]) -> Option<T::Value> {
        // Only encoded values are put there, and what a snapshot brings is decoded before.
        T::decode(self.row(T::NUMBER, key)?).ok()
    }

    /// The sets of keys that a registered name ever had, the latest first, each with its number. O(log rows) each.
    pub fn tenures<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u32, Tenure)> + 'a {
        let registration = self.value::<Registrations>(name.as_bytes());
        let latest = registration.and_then(|one| Some((one.tenures.checked_sub(1)?, one.latest)));
        let before = latest.as_ref().map_or(0, |(number, _)| *number);
        let before = (0..before).rev().map_while(move |number| {
            let tenure = self.value::<Tenures>(&Tenures::key(name, number))?;
            Some((number, tenure))
        });
        latest.into_iter().chain(before)
    }

    /// The sets of keys that spoke for a registered name at `height`, or will: two in a time of grace, none before it was registered
    /// or after its keys ended. O(sets after `height`).
    #[must_use]
    pub fn keys_at(&self, name: &str, height: u64) -> Vec<(u32, Tenure)> {
        let tenures = self.tenures(name);
        tenures
            .filter(|(_, tenure)| tenure.holds_at(height))
            .collect()
    }

    /// The accounts at these places of the tree, looked up together; `None` in version 1, which has none.
    pub(crate) fn accounts_at(&self, places: &[Digest]) -> Option<Vec<Account>> {
        self.accounts.get_at(places)
    }

    /// Number of rows: of names known, and in version 2 of all that is known besides.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// What an imported chain's hashes go on from: see `rules/imported.rs`.
    pub(crate) fn source(&self) -> &str {
        &self.tip.source
    }

    /// Moves on to the block of this header.
    ///
    /// # Panics
    /// If the block doesn't follow: blocks are applied in the order of checking.
    pub(crate) fn apply(&mut self, header: &Header, changes: &Changes) {
        self.move_tip(header, changes);
        self.accounts.apply(changes);
    }

    /// The same, with the accounts of `after`, which was made of this state [with these changes](State::with_changes).
    pub(crate) fn apply_made(&mut self, header: &Header, changes: &Changes, after: Self) {
        self.move_tip(header, changes);
        self.accounts = after.accounts;
    }

    fn move_tip(&mut self, header: &Header, changes: &Changes) {
        let tip = &mut self.tip;
        assert_eq!(
            header.previous_hash, tip.hash,
            "blocks are applied in the order of checking"
        );
        tip.height = header.height;
        tip.hash = header.hash();
        tip.timestamp = header.timestamp;
        // Can't overflow: the rules for headers refuse a block beyond what can be counted.
        tip.transactions += u64::from(header.transaction_count);
        tip.weight = changes.weight;
        tip.clock = header.vector_clock.clone();
        tip.history.push(history_leaf(&header.hash()));
        if let Some(source) = &changes.source {
            tip.source.clone_from(source);
        }
    }

    /// Whether the accounts are elsewhere than a next block of this version wants them.
    pub(crate) fn is_before_move(&self, next: FormatVersion) -> bool {
        next >= FormatVersion::V2 && self.accounts.tree().is_none()
    }

    /// Where the next block of a chain of version 1 is one of version 2, its accounts move into the tree, once: O(names). Done
    /// before that block comes, so that nobody's blocks can ask for it again and again.
    pub(crate) fn prepare_for(&mut self, next: FormatVersion) {
        if self.is_before_move(next) {
            self.accounts = std::mem::take(&mut self.accounts).into_tree();
            self.accounts.root();
        }
    }

    /// This state as one of the chain of `spec`: a state of that chain or of one that it goes on from, after a block that is both's. Ready for
    /// the next block: see [`State::prepare_for`].
    ///
    /// # Errors
    /// Gives the state back if it is another chain's.
    pub(crate) fn into_chain(mut self, spec: &ChainSpec) -> Result<Self, Box<Self>> {
        let last = spec.shared_up_to(self.chain);
        if last.is_none_or(|last| self.height() > last) {
            return Err(Box::new(self));
        }
        self.chain = spec.id();
        self.prepare_for(spec.at(self.height().saturating_add(1)).version);
        Ok(self)
    }

    /// The root over the rows of the state (`FORMAT.md`, "State"); `None` in version 1, which has none. As many hashes as there
    /// are nodes above what changed since it was last asked for.
    pub fn root(&mut self) -> Option<Digest> {
        self.accounts.root()
    }

    /// The root over what is known of names, as a chain of version 2 that goes on from here has to pin it. O(names) in version 1.
    #[must_use]
    pub fn pinned_root(&self) -> Digest {
        let mut moved = self.clone();
        moved.prepare_for(FormatVersion::V2);
        let root = moved.accounts.root().unwrap_or(EMPTY);
        self.note_failure_of(&moved);
        root
    }

    /// This state with the accounts that a block with these changes leaves, and the root over them made; it stays at its block.
    /// Shares everything else with this one.
    pub(crate) fn with_changes(&self, changes: &Changes) -> Self {
        let mut after = self.clone();
        after.accounts.apply(changes);
        after.accounts.root();
        self.note_failure_of(&after);
        after
    }

    /// Takes over what failed in a copy: whoever asks this state for its failure would not hear of the copy's, which may be gone by then.
    fn note_failure_of(&self, copy: &Self) {
        if let (Some(tree), Some(failure)) = (self.accounts.tree(), copy.failure()) {
            tree.note_failure(failure.clone());
        }
    }

    /// What failed when a part of the state was read that isn't in memory: whatever was decided since is worth nothing. Always
    /// `None` in version 1, whose state is in memory whole.
    #[must_use]
    pub fn failure(&self) -> Option<&StateFailure> {
        self.accounts.tree().and_then(StateTree::failure)
    }

    /// That nothing [failed](State::failure).
    ///
    /// # Errors
    /// What failed.
    pub fn refuse_failed(&self) -> Result<(), StateFailure> {
        self.failure()
            .map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// How many rows a written page has itself; none if other pages are below it.
    pub(crate) fn rows_in_page(page: &[u8]) -> u64 {
        tree::rows_in(page)
    }

    /// Where this state is another than `other`, by the first place; `None` if they are the same. As many hashes as are stale in
    /// both, and O(rows) only if they differ.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if (self.chain, &self.tip) != (other.chain, &other.tip) {
            return Some("the tip".to_owned());
        }
        let (Some(ours), Some(theirs)) = (self.tree(), other.tree()) else {
            return (self.accounts != other.accounts).then(|| "the accounts".to_owned());
        };
        if ours.len() == theirs.len() && self.clone().root() == other.clone().root() {
            return None;
        }
        let mut theirs = theirs.rows();
        let differing = ours.rows().find(|row| theirs.next().as_ref() != Some(row));
        let differing = differing.or_else(|| theirs.next());
        Some(match differing {
            Some((table, key, _)) => format!("row {} of table {table}", hex::encode(key)),
            None => "the root".to_owned(),
        })
    }

    /// Checks that the pages which the state is read from lead to its root, all of them and each row (see
    /// [`StateTree::check_written`]). Nothing happens in version 1, whose state is in memory whole.
    pub(crate) fn check_written(&self) -> Result<(), StateFailure> {
        self.accounts
            .tree()
            .map_or(Ok(()), |tree| tree.check_written(tables::check))
    }

    /// Lets go of whatever is held to read what isn't in memory from, until it is needed again.
    pub(crate) fn release_pages(&self) {
        if let Some(tree) = self.accounts.tree() {
            tree.release_pages();
        }
    }

    /// Bytes of pages that changed since they were last written down, roughly; 0 in version 1.
    #[must_use]
    pub fn unsaved_bytes(&self) -> u64 {
        self.accounts.tree().map_or(0, StateTree::unsaved_bytes)
    }

    /// From now on reads what isn't in memory from `pages`, and keeps at most about `resident_max` bytes in memory of what was
    /// written down. Nothing happens in version 1.
    pub fn adopt(&mut self, pages: Arc<dyn PageSource>, resident_max: u64) {
        if let Rows::Tree(tree) = &mut self.accounts {
            tree.adopt(pages, resident_max);
        }
    }

    /// The tree over the rows; `None` in version 1.
    #[must_use]
    pub const fn tree(&self) -> Option<&StateTree> {
        self.accounts.tree()
    }
}
