//! The state as bytes (`FORMAT.md`, "Validator state"): canonical, with a checksum.

use std::sync::Arc;

use super::rows::Rows;
use super::table::AccountTable;
use super::tree::{KEY_BYTES_MAX, PageSource, Put, StateTree, VALUE_BYTES_MAX};
use super::{Account, Speaker, State, Tip};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{BlockHash, ChainId, Digest, sha256};
use crate::format::merkle::Frontier;
use crate::format::model::VectorClock;
use crate::format::sparse;

/// Accounts in a table.
const MAGIC_TABLE: &[u8; 8] = b"HLSTATE1";
/// Rows of the tree, and the weight of the chain.
const MAGIC_TREE: &[u8; 8] = b"HLSTATE2";
/// The root instead of rows, which are in pages.
const MAGIC_TIP: &[u8; 8] = b"HLSTTIP2";

/// Two digests in hexadecimal.
const SOURCE_BYTES_MAX: usize = 128;

impl State {
    /// The snapshot (`FORMAT.md`, "Validator state"). O(names), sorted, so equal states have equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (magic, has_weight) = match self.accounts {
            Rows::Table(_) => (MAGIC_TABLE, false),
            Rows::Tree(_) => (MAGIC_TREE, true),
        };
        let mut out = Vec::with_capacity(512 + 64 * self.accounts.len());
        self.encode_head(magic, has_weight, &mut out);
        match &self.accounts {
            Rows::Table(table) => encode_table(table, &mut out),
            Rows::Tree(tree) => encode_tree(tree, &mut out),
        }
        self.encode_end(&mut out);
        out
    }

    /// The snapshot without its rows, which lead to the root that it has instead (`FORMAT.md`, "State in tables"). `None` in
    /// version 1, and unless the root was asked for since the last change.
    pub(crate) fn encode_tip(&self) -> Option<Vec<u8>> {
        let tree = self.accounts.tree()?;
        let mut out = Vec::with_capacity(1024);
        self.encode_head(MAGIC_TIP, true, &mut out);
        codec::put_u64(&mut out, tree.len() as u64);
        out.extend_from_slice(&tree.known_root()?.0);
        self.encode_end(&mut out);
        Some(out)
    }

    fn encode_head(&self, magic: &[u8; 8], has_weight: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(magic);
        out.extend_from_slice(&self.chain.0);
        codec::put_u64(out, self.tip.height);
        out.extend_from_slice(&self.tip.hash.0);
        codec::put_u64(out, self.tip.timestamp);
        codec::put_u64(out, self.tip.transactions);
        if has_weight {
            codec::put_u128(out, self.tip.weight);
        }
        self.tip.clock.encode(out);
        codec::put_u64(out, self.tip.history.size());
        codec::put_count(out, self.tip.history.peaks().len());
        for peak in self.tip.history.peaks() {
            out.extend_from_slice(&peak.0);
        }
    }

    fn encode_end(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.tip.source.as_bytes());
        // A snapshot takes the place of replayed blocks: a flipped bit in a balance would go unnoticed without it.
        let checksum = sha256(&[out]);
        out.extend_from_slice(&checksum);
    }

    /// Reads a snapshot. O(length).
    ///
    /// # Errors
    /// Anything but a canonical snapshot with the right checksum.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let is_tree = match reader.take("magic", 8)? {
            magic if magic == MAGIC_TABLE => false,
            magic if magic == MAGIC_TREE => true,
            _ => return Err(not_a_state(bytes)),
        };
        let (chain, tip) = decode_head(&mut reader, is_tree)?;
        let accounts = match is_tree {
            true => Rows::Tree(decode_tree(&mut reader)?),
            false => Rows::Table(decode_table(&mut reader)?),
        };
        let source = decode_end(bytes, reader)?;
        Ok(Self {
            chain,
            tip: Tip { source, ..tip },
            accounts,
        })
    }

    /// Reads what [`State::encode_tip`] gave; the rows are read from `pages` when they are needed.
    ///
    /// # Errors
    /// As [`State::decode`].
    pub(crate) fn decode_tip(
        bytes: &[u8],
        pages: Arc<dyn PageSource>,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take("magic", 8)? != MAGIC_TIP {
            return Err(not_a_state(bytes));
        }
        let (chain, tip) = decode_head(&mut reader, true)?;
        let count = reader.u64("rows")?;
        let root = Digest(reader.array("root")?);
        let source = decode_end(bytes, reader)?;
        Ok(Self {
            chain,
            tip: Tip { source, ..tip },
            accounts: Rows::Tree(StateTree::stored(pages, count as usize, root)),
        })
    }
}

fn not_a_state(bytes: &[u8]) -> DecodeError {
    Reader::new(bytes).error("magic", DecodeProblem::Value("not a state"))
}

/// The chain, and the tip but for its source, which is at the end.
fn decode_head(reader: &mut Reader<'_>, has_weight: bool) -> Result<(ChainId, Tip), DecodeError> {
    let chain = ChainId(reader.array("chain")?);
    let height = reader.u64("height")?;
    let tip = Tip {
        height,
        hash: BlockHash(reader.array("hash")?),
        timestamp: reader.u64("timestamp")?,
        transactions: reader.u64("transactions")?,
        weight: match has_weight {
            true => reader.u128("weight")?,
            // Every block of version 1 weighs 1.
            false => height.into(),
        },
        clock: VectorClock::decode(reader)?,
        history: decode_history(reader, height)?,
        source: String::new(),
    };
    Ok((chain, tip))
}

/// The source; behind it are the checksum and nothing else.
fn decode_end(bytes: &[u8], mut reader: Reader<'_>) -> Result<String, DecodeError> {
    let source = reader.text("source", SOURCE_BYTES_MAX)?.to_owned();
    let end = reader.clone();
    if reader.array::<32>("checksum")? != sha256(&[&bytes[..end.position()]]) {
        return Err(end.error("checksum", DecodeProblem::Value("does not match")));
    }
    reader.finish("state")?;
    Ok(source)
}

/// The tree over the hashes of all blocks up to `height`.
fn decode_history(reader: &mut Reader<'_>, height: u64) -> Result<Frontier, DecodeError> {
    let start = reader.clone();
    let size = reader.u64("history")?;
    // The history has a leaf for each block; of another size, no later block's history root would fit.
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

fn encode_table(table: &AccountTable, out: &mut Vec<u8>) {
    let mut accounts: Vec<_> = table.iter().collect();
    accounts.sort_unstable_by_key(|(name, _)| *name);
    codec::put_count(out, accounts.len());
    for (name, account) in accounts {
        codec::put_bytes(out, name.as_bytes());
        out.extend_from_slice(account.encode().as_bytes());
    }
}

fn encode_tree(tree: &StateTree, out: &mut Vec<u8>) {
    codec::put_u64(out, tree.len() as u64);
    for (table, key, value) in tree.rows() {
        out.push(table);
        codec::put_bytes(out, key);
        codec::put_bytes(out, value);
    }
}

/// Rows are put into the tree this many at a time.
const ROWS_AT_ONCE: usize = 4096;

fn decode_tree(reader: &mut Reader<'_>) -> Result<StateTree, DecodeError> {
    const FIELD: &str = "rows";
    let start = reader.clone();
    let mut left = reader.u64(FIELD)?;
    let (mut tree, mut last) = (StateTree::default(), None);
    while left > 0 {
        let mut rows = Vec::new();
        while left > 0 && rows.len() < ROWS_AT_ONCE {
            let start = reader.clone();
            let table = reader.u8(FIELD)?;
            let key = reader.bytes(FIELD, KEY_BYTES_MAX)?;
            let value = reader.bytes(FIELD, VALUE_BYTES_MAX)?;
            super::tables::check(table, key, value)
                .map_err(|problem| start.error(FIELD, problem))?;
            rows.push(Put {
                table,
                key,
                value: Some(value),
            });
            left -= 1;
        }
        for row in &rows {
            let place = sparse::place(row.table, row.key);
            // Strictly ascending: one state has one byte string, and no key has two rows.
            if last.is_some_and(|last| last >= place) {
                return Err(start.error(FIELD, DecodeProblem::Order));
            }
            last = Some(place);
        }
        tree.change(&rows);
    }
    Ok(tree)
}

fn decode_table(reader: &mut Reader<'_>) -> Result<AccountTable, DecodeError> {
    const FIELD: &str = "accounts";
    let count = reader.count(FIELD, u32::MAX as usize, 22)?;
    let mut accounts = AccountTable::default();
    let mut last: Option<&str> = None;
    for _ in 0..count {
        let start = reader.clone();
        let name = reader.name(FIELD)?;
        // Strictly ascending: one state has one byte string, and no name has two accounts.
        if last.is_some_and(|last| last >= name) {
            return Err(start.error(FIELD, DecodeProblem::Order));
        }
        last = Some(name);
        let (nonce, balance) = (reader.u64(FIELD)?, reader.u64(FIELD)?);
        // A chain of version 1 has no registrations.
        let speaker = match reader.flag(FIELD)? {
            true => Speaker::Keys(Digest(reader.array(FIELD)?)),
            false => Speaker::Open,
        };
        accounts.insert(
            name,
            Account {
                nonce,
                balance,
                speaker,
            },
        );
    }
    Ok(accounts)
}
