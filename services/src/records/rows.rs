//! The rows of performance records.

use hubledger::codec::{self, DecodeError, Reader};

use crate::recorded::Recorded;

/// Records by the length of the hub's name (u16, big-endian), the name, the end of the period, height, index.
pub(super) const TABLE_RECORDS: u8 = 0;
/// The hub's name by the end of the period, height, index.
pub(super) const TABLE_TIMES: u8 = 1;
/// [`Hub`] by name.
pub(super) const TABLE_HUBS: u8 = 2;

/// What is known of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hub {
    /// Records so far.
    pub records: u64,
    /// The end of the latest period.
    pub last_end: u64,
}

impl Hub {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(16);
        codec::put_u64(&mut row, self.records);
        codec::put_u64(&mut row, self.last_end);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let hub = Self {
            records: reader.u64("records")?,
            last_end: reader.u64("last_end")?,
        };
        reader.finish("hub")?;
        Ok(hub)
    }
}

/// What the keys of a hub's records begin with; `None` of what can be no name.
pub(super) fn hub_prefix(hub: &str) -> Option<Vec<u8>> {
    let length = u16::try_from(hub.len()).ok()?;
    Some([&length.to_be_bytes(), hub.as_bytes()].concat())
}

/// A key behind a prefix, in the order of time and then of the chain.
pub(super) fn at(prefix: &[u8], end: u64, (height, index): (u64, u32)) -> Vec<u8> {
    let order = Recorded::order(height, index);
    [prefix, &end.to_be_bytes(), &order].concat()
}
