//! The contents of a file of rows: all rows of a range of places, with the proof of that.

use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{ChainId, Digest};
use crate::format::sparse::{self, RangeError, RangeProof};
use crate::state::{KEY_BYTES_MAX, Put, VALUE_BYTES_MAX, check_row};

const MAGIC: &[u8; 8] = b"HLSNROWS";
const VERSION: u8 = 1;
/// Bytes of a row whose key and value are empty.
const ROW_BYTES_MIN: usize = 9;

/// A row of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The table.
    pub table: u8,
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

/// All rows of a state with places in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChunk<'a> {
    /// The chain id in the header of the block after which the state is.
    pub chain: ChainId,
    /// That block's height.
    pub height: u64,
    /// The lowest place of the range.
    pub first: Digest,
    /// The highest place of the range.
    pub last: Digest,
    /// What proves that these are all rows of the range.
    pub proof: RangeProof,
    /// The rows, in strictly ascending order of their places.
    pub rows: Vec<Row<'a>>,
}

impl<'a> RowChunk<'a> {
    /// The canonical encoding (`FORMAT.md`, "Snapshot").
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for row in &self.rows {
            put_row(&mut packed, row.table, row.key, row.value);
        }
        encode_packed(self, self.rows.len(), &packed)
    }

    /// Reads one chunk. Its order and its rows are for [`RowChunk::verify`] to judge. O(length).
    ///
    /// # Errors
    /// Anything but the canonical encoding, or a row that no state has.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        const FIELD: &str = "rows";
        let mut reader = Reader::new(bytes);
        read_start(&mut reader, MAGIC, VERSION)?;
        let chain = ChainId(reader.array("chain")?);
        let height = reader.u64("height")?;
        let first = Digest(reader.array("first")?);
        let last = Digest(reader.array("last")?);
        let proof = RangeProof::decode(&mut reader)?;
        let count = reader.count(FIELD, u32::MAX as usize, ROW_BYTES_MIN)?;
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            let start = reader.clone();
            let row = Row {
                table: reader.u8(FIELD)?,
                key: reader.bytes(FIELD, KEY_BYTES_MAX)?,
                value: reader.bytes(FIELD, VALUE_BYTES_MAX)?,
            };
            check_row(row.table, row.key, row.value)
                .map_err(|problem| start.error(FIELD, problem))?;
            rows.push(row);
        }
        reader.finish(FIELD)?;
        Ok(Self {
            chain,
            height,
            first,
            last,
            proof,
            rows,
        })
    }

    /// Checks that these are all rows of the range, in the tree of this root. O(rows) hashes.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn verify(&self, root: &Digest) -> Result<(), RangeError> {
        let mut hashed = Vec::with_capacity(self.rows.len());
        for same in self.rows.chunk_by(|a, b| a.table == b.table) {
            let keys: Vec<&[u8]> = same.iter().map(|row| row.key).collect();
            let places = sparse::places(same[0].table, &keys);
            let values: Vec<&[u8]> = same.iter().map(|row| row.value).collect();
            hashed.extend(places.into_iter().zip(sparse::value_hashes(&values)));
        }
        self.proof.verify((&self.first, &self.last), &hashed, root)
    }

    /// The rows as they are put into a state.
    pub(super) fn puts(&self) -> Vec<Put<'a>> {
        let rows = self.rows.iter();
        let puts = rows.map(|row| Put {
            table: row.table,
            key: row.key,
            value: Some(row.value),
        });
        puts.collect()
    }
}

/// Appends a row as it lies in a chunk.
pub(super) fn put_row(out: &mut Vec<u8>, table: u8, key: &[u8], value: &[u8]) {
    out.push(table);
    codec::put_bytes(out, key);
    codec::put_bytes(out, value);
}

/// The encoding of a chunk whose rows, `count` of them, are encoded already; those that `chunk` has are not looked at.
pub(super) fn encode_packed(chunk: &RowChunk<'_>, count: usize, packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(packed.len() + 1024);
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&chunk.chain.0);
    codec::put_u64(&mut out, chunk.height);
    out.extend_from_slice(&chunk.first.0);
    out.extend_from_slice(&chunk.last.0);
    chunk.proof.encode(&mut out);
    codec::put_count(&mut out, count);
    out.extend_from_slice(packed);
    out
}

/// Reads what the contents of a file begin with.
pub(super) fn read_start(
    reader: &mut Reader<'_>,
    magic: &[u8; 8],
    version: u8,
) -> Result<(), DecodeError> {
    let start = reader.clone();
    if reader.take("magic", magic.len())? != magic {
        let problem = DecodeProblem::Value("a file of another kind");
        return Err(start.error("magic", problem));
    }
    let start = reader.clone();
    match reader.u8("version")? {
        found if found == version => Ok(()),
        other => Err(start.error("version", DecodeProblem::Version(other.into()))),
    }
}
