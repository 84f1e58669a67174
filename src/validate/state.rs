//! The state that validation carries from block to block, as a value: it can be cloned, compared, written down and
//! read back, and a validator that starts from it gives the verdicts it would have given.

use std::collections::HashMap;

use super::{Changes, history_leaf};
use crate::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::digest::{BlockHash, ChainId, Digest, sha256};
use crate::merkle::{self, Frontier};
use crate::model::{Header, VectorClock};
use crate::signature::PublicKey;
use crate::spec::{ChainSpec, Identity};

const MAGIC: &[u8; 8] = b"HLSTATE1";

/// Two digests in hexadecimal.
const SOURCE_BYTES_MAX: usize = 128;

/// What a chain knows about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// The last nonce used; 0 before the first transaction.
    pub nonce: u64,
    /// What it holds; 0 where the chain keeps no balances.
    pub balance: u64,
    /// SHA-256 over the keys that speak for the name, ascending, where they are fixed.
    pub keys: Option<Digest>,
}

/// Everything about the blocks so far that decides about the next one. Memory: O(log blocks) and about 100 bytes
/// a name that ever sent or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub(super) chain: ChainId,
    tip: Tip,
    accounts: HashMap<Box<str>, Account>,
}

/// The part of the state that is not about names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tip {
    height: u64,
    hash: BlockHash,
    timestamp: u64,
    transactions: u64,
    clock: VectorClock,
    history: Frontier,
    source: String,
}

/// How to go back to an earlier state: what the accounts changed since then were before.
#[derive(Debug)]
pub struct Journal {
    tip: Tip,
    accounts: Vec<(Box<str>, Option<Account>)>,
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
                timestamp: spec.genesis_time,
                transactions: 0,
                clock: VectorClock::empty(),
                history,
                source: String::new(),
            },
            accounts: HashMap::new(),
        };
        for (name, initial) in &spec.accounts {
            let keys = initial.key.map(|key| keys_digest(&[key]));
            let account = Account {
                nonce: 0,
                balance: initial.balance,
                keys,
            };
            state.accounts.insert(name.as_str().into(), account);
        }
        if spec.rules.identity == Identity::Pinned {
            for authority in spec.authorities() {
                let account = state
                    .accounts
                    .entry(authority.name.as_str().into())
                    .or_default();
                account.keys = Some(keys_digest(&[authority.key]));
            }
        }
        state
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
    pub const fn transactions(&self) -> u64 {
        self.tip.transactions
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

    /// What is known about `name`; the default for a name never seen.
    #[must_use]
    pub fn account(&self, name: &str) -> Account {
        self.accounts.get(name).copied().unwrap_or_default()
    }

    /// Number of names known.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// What an imported chain's hashes go on from: see `imported`.
    #[cfg(feature = "mpreg")]
    pub(super) fn source(&self) -> &str {
        &self.tip.source
    }

    /// Moves on to the block of this header.
    ///
    /// # Panics
    /// If the block doesn't follow: blocks are applied in the order of checking.
    pub(super) fn apply(&mut self, header: &Header, changes: &Changes) {
        let tip = &mut self.tip;
        assert_eq!(
            header.previous_hash, tip.hash,
            "blocks are applied in the order of checking"
        );
        tip.height = header.height;
        tip.hash = header.hash();
        tip.timestamp = header.timestamp;
        tip.transactions += u64::from(header.transaction_count);
        tip.clock = header.vector_clock.clone();
        tip.history.push(history_leaf(&header.hash()));
        if let Some(source) = &changes.source {
            tip.source.clone_from(source);
        }
        for (name, account) in &changes.accounts {
            match self.accounts.get_mut(name) {
                Some(held) => *held = *account,
                None => {
                    self.accounts.insert(name.clone(), *account);
                }
            }
        }
    }

    /// A journal that begins here.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal {
            tip: self.tip.clone(),
            accounts: Vec::new(),
        }
    }

    /// Notes what the accounts are before `changes`.
    pub(super) fn note(&self, changes: &Changes, journal: &mut Journal) {
        let before = changes.accounts.iter();
        let before = before.map(|(name, _)| (name.clone(), self.accounts.get(name).copied()));
        journal.accounts.extend(before);
    }

    /// Goes back to where `journal` began. O(changes since then).
    pub(super) fn rewind(&mut self, journal: Journal) {
        self.tip = journal.tip;
        // Backwards, so that a name that changed twice ends as it was first.
        for (name, account) in journal.accounts.into_iter().rev() {
            match account {
                Some(account) => self.accounts.insert(name, account),
                None => self.accounts.remove(&name),
            };
        }
    }

    /// The snapshot (`FORMAT.md`, "Validator state"). O(names), sorted, so equal states have equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + 64 * self.accounts.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.chain.0);
        codec::put_u64(&mut out, self.tip.height);
        out.extend_from_slice(&self.tip.hash.0);
        codec::put_u64(&mut out, self.tip.timestamp);
        codec::put_u64(&mut out, self.tip.transactions);
        self.tip.clock.encode(&mut out);
        codec::put_u64(&mut out, self.tip.history.size());
        codec::put_count(&mut out, self.tip.history.peaks().len());
        for peak in self.tip.history.peaks() {
            out.extend_from_slice(&peak.0);
        }
        let mut accounts: Vec<_> = self.accounts.iter().collect();
        accounts.sort_unstable_by_key(|(name, _)| *name);
        codec::put_count(&mut out, accounts.len());
        for (name, account) in accounts {
            codec::put_bytes(&mut out, name.as_bytes());
            codec::put_u64(&mut out, account.nonce);
            codec::put_u64(&mut out, account.balance);
            out.push(account.keys.is_some().into());
            if let Some(keys) = account.keys {
                out.extend_from_slice(&keys.0);
            }
        }
        codec::put_bytes(&mut out, self.tip.source.as_bytes());
        let checksum = sha256(&[&out]);
        out.extend_from_slice(&checksum);
        out
    }

    /// Reads a snapshot. O(length).
    ///
    /// # Errors
    /// Anything but a canonical snapshot with the right checksum.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take("magic", 8)? != MAGIC {
            return Err(Reader::new(bytes).error("magic", DecodeProblem::Value("not a state")));
        }
        let chain = ChainId(reader.array("chain")?);
        let height = reader.u64("height")?;
        let hash = BlockHash(reader.array("hash")?);
        let timestamp = reader.u64("timestamp")?;
        let transactions = reader.u64("transactions")?;
        let clock = VectorClock::decode(&mut reader)?;
        let history = decode_history(&mut reader, height)?;
        let accounts = decode_accounts(&mut reader)?;
        let source = reader.text("source", SOURCE_BYTES_MAX)?.to_owned();
        let end = reader.clone();
        if reader.array::<32>("checksum")? != sha256(&[&bytes[..end.position()]]) {
            return Err(end.error("checksum", DecodeProblem::Value("does not match")));
        }
        reader.finish("state")?;
        let tip = Tip {
            height,
            hash,
            timestamp,
            transactions,
            clock,
            history,
            source,
        };
        Ok(Self {
            chain,
            tip,
            accounts,
        })
    }
}

/// SHA-256 over `keys`, which are in ascending order: the identity of a set of signers.
pub(super) fn keys_digest(keys: &[PublicKey]) -> Digest {
    let parts: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
    Digest(sha256(&parts))
}

/// The tree over the hashes of all blocks up to `height`.
fn decode_history(reader: &mut Reader<'_>, height: u64) -> Result<Frontier, DecodeError> {
    let start = reader.clone();
    let size = reader.u64("history")?;
    if Some(size) != height.checked_add(1) {
        return Err(start.error("history", DecodeProblem::Value("does not fit the height")));
    }
    let count = reader.count("history", 64, 32)?;
    let mut peaks = Vec::with_capacity(count);
    for _ in 0..count {
        peaks.push(Digest(reader.array("history")?));
    }
    Frontier::from_parts(size, peaks)
        .ok_or_else(|| start.error("history", DecodeProblem::Value("peaks don't fit the size")))
}

fn decode_accounts(reader: &mut Reader<'_>) -> Result<HashMap<Box<str>, Account>, DecodeError> {
    const FIELD: &str = "accounts";
    let count = reader.count(FIELD, u32::MAX as usize, 22)?;
    let mut accounts = HashMap::with_capacity(count);
    let mut last: Option<&str> = None;
    for _ in 0..count {
        let start = reader.clone();
        let name = reader.name(FIELD)?;
        if last.is_some_and(|last| last >= name) {
            return Err(start.error(FIELD, DecodeProblem::Order));
        }
        last = Some(name);
        let (nonce, balance) = (reader.u64(FIELD)?, reader.u64(FIELD)?);
        let keys = match reader.flag(FIELD)? {
            true => Some(Digest(reader.array(FIELD)?)),
            false => None,
        };
        accounts.insert(
            name.into(),
            Account {
                nonce,
                balance,
                keys,
            },
        );
    }
    Ok(accounts)
}
