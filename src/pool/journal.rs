//! What waits, written down: records that are appended to a file as transactions enter, so that a pool comes back after a restart. `FORMAT.md`
//! ("Journal of the pool") has the bytes.
//!
//! A record says that a transaction entered, none that it left: whoever reads them has each admitted again, and what a block has used
//! since is refused then. A file that has grown to more than twice of what waits is written anew.

use bytes::Bytes;

use super::Source;
use super::waiting::Pool;
use crate::format::digest::{ChainId, sha256};
use crate::format::model::Transaction;

const MAGIC: &[u8; 8] = b"HLPOOL01";
const HEADER_BYTES: usize = MAGIC.len() + 32;
const LENGTH_BYTES: usize = 4;
const SOURCE_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 8;
/// What a record has beside its transaction.
const RECORD_BYTES: usize = LENGTH_BYTES + SOURCE_BYTES + CHECKSUM_BYTES;
/// A file up to this length isn't worth writing anew.
const SMALL_BYTES: usize = 1 << 20;

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Journalled {
    pub(crate) entered: Vec<(Source, Transaction)>,
    /// How many bytes of it are sound.
    pub(crate) sound_bytes: usize,
    /// What is wrong behind those.
    pub(crate) damage: Option<String>,
}

/// The beginning of a file.
pub(crate) fn header(chain: ChainId) -> Vec<u8> {
    [&MAGIC[..], &chain.0].concat()
}

/// Appends a record.
pub(crate) fn put(source: Source, transaction: &Transaction, out: &mut Vec<u8>) {
    let start = out.len();
    let bytes = transaction.bytes();
    // Far below 4 GiB, by the limits of the format.
    let length = (SOURCE_BYTES + bytes.len()) as u32;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&source.0.to_le_bytes());
    out.extend_from_slice(bytes);
    let checksum = checksum(&out[start..]);
    out.extend_from_slice(&checksum);
}

fn checksum(record: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = sha256(&[record]);
    std::array::from_fn(|index| hash[index])
}

/// Reads a file. What isn't a record ends it: a crash or a full disk may have cut it anywhere.
///
/// # Errors
/// It isn't the journal of this chain's pool.
pub(crate) fn read(bytes: &Bytes, chain: ChainId) -> Result<Journalled, String> {
    let whole = header(chain);
    if !whole.starts_with(&bytes[..bytes.len().min(HEADER_BYTES)]) {
        return Err("it is not the journal of this chain's pool".to_owned());
    }
    let mut journalled = Journalled {
        entered: Vec::new(),
        sound_bytes: bytes.len().min(HEADER_BYTES),
        damage: None,
    };
    while journalled.sound_bytes < bytes.len() {
        match record_at(bytes, journalled.sound_bytes) {
            Ok((source, transaction, end)) => {
                journalled.entered.push((source, transaction));
                journalled.sound_bytes = end;
            }
            Err(problem) => {
                journalled.damage = Some(format!("offset {}: {problem}", journalled.sound_bytes));
                break;
            }
        }
    }
    Ok(journalled)
}

fn record_at(bytes: &Bytes, start: usize) -> Result<(Source, Transaction, usize), String> {
    let cut = || "a record is cut".to_owned();
    let rest = &bytes[start..];
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length) as usize;
    if rest.len() < CHECKSUM_BYTES || length > rest.len() - CHECKSUM_BYTES {
        return Err(cut());
    }
    let body = start + LENGTH_BYTES;
    let end = body + length;
    if rest[length..length + CHECKSUM_BYTES] != checksum(&bytes[start..end]) {
        return Err("the checksum of a record doesn't match".to_owned());
    }
    let (source, _) = rest[..length]
        .split_first_chunk::<SOURCE_BYTES>()
        .ok_or_else(cut)?;
    // A copy: what waits must not keep the whole file in memory.
    let transaction = Bytes::copy_from_slice(&bytes[body + SOURCE_BYTES..end]);
    let transaction = Transaction::decode(transaction).map_err(|error| error.to_string())?;
    let source = Source(u64::from_le_bytes(*source));
    Ok((source, transaction, end + CHECKSUM_BYTES))
}

/// The longest that a file gets when so many transactions of so many bytes wait at most.
pub(crate) const fn bytes_max(transactions: usize, bytes: usize) -> usize {
    let all = bytes.saturating_add(transactions.saturating_mul(RECORD_BYTES));
    all.saturating_mul(2)
        .saturating_add(SMALL_BYTES + HEADER_BYTES)
}

impl Pool {
    /// A whole journal of what waits now, in the order in which it came.
    pub(crate) fn journal(&self, chain: ChainId) -> Vec<u8> {
        let mut out = header(chain);
        out.reserve(self.bytes + self.len() * RECORD_BYTES);
        for slot in self.by_age.values() {
            let waiting = &self.waiting[*slot as usize];
            put(waiting.source, &waiting.transaction, &mut out);
        }
        out
    }

    /// Whether a journal of this length should be written anew.
    pub(crate) fn outgrows(&self, journal_bytes: usize) -> bool {
        journal_bytes > bytes_max(self.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::model::{Draft, Kind, Operation};

    const CHAIN: ChainId = ChainId([3; 32]);

    fn transaction(nonce: u64) -> Transaction {
        let draft = Draft {
            kind: Kind::Native,
            chain: CHAIN,
            sender: "alice".to_owned(),
            receiver: "bob".to_owned(),
            operation: Operation::Message,
            amount: 0,
            payload: vec![1; 9],
            timestamp: 1,
            expiry: 0,
            fee: 0,
            nonce,
        };
        draft.with_witnesses(Vec::new()).expect("within limits")
    }

    fn journal() -> (Vec<(Source, Transaction)>, Vec<u8>, Vec<usize>) {
        let entered: Vec<_> = (1..=3).map(|n| (Source(n), transaction(n))).collect();
        let mut bytes = header(CHAIN);
        let mut ends = vec![bytes.len()];
        for (source, transaction) in &entered {
            put(*source, transaction, &mut bytes);
            ends.push(bytes.len());
        }
        (entered, bytes, ends)
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_has_its_whole_records() {
        let (entered, bytes, ends) = journal();
        for length in 0..=bytes.len() {
            let cut = Bytes::copy_from_slice(&bytes[..length]);
            let read = read(&cut, CHAIN).expect("this chain's");
            let whole = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(read.entered, entered[..whole.saturating_sub(1)]);
            let is_whole = ends.contains(&length) || length < ends[0];
            assert_eq!(read.damage.is_none(), is_whole, "{length}");
        }
    }

    #[test]
    fn whatever_byte_is_damaged_nothing_else_is_read_than_was_written() {
        let (entered, bytes, ends) = journal();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            match read(&damaged.into(), CHAIN) {
                Err(_) => assert!(at < ends[0]),
                Ok(read) => {
                    let before = ends.iter().filter(|end| **end <= at).count() - 1;
                    assert_eq!(read.entered, entered[..before]);
                    assert_eq!(read.sound_bytes, ends[before]);
                    assert!(read.damage.is_some());
                }
            }
        }
    }
}
