//! What is lost of a chain: which parts of which blocks. A store that was made from a damaged one says so in a named value
//! (`FORMAT.md`, "Lost parts"), so that what is lost is never answered with less than an error.
//!
//! Invariants: ranges of a part ascend and don't touch; so one set of heights has one encoding. A store holds a lost part as
//! empty bytes, and a lost id as one that is made up ([`stand_in`]), since ids are unique and have no gaps.

use std::fmt;
use std::ops::Range;

use hubledger_storage::{BlockReader, Extent, Id};

use super::LedgerError;
use super::values::VALUE_MISSING;
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{ChainId, sha256};

const MAGIC: &[u8; 8] = b"HLMISS\0\x01";
/// Ranges of all parts together: 16 MiB of them, far below what a store takes as one value.
const RANGES_MAX: usize = 1 << 20;
/// Ranges of a part that a text lists, and reasons that a report has.
const LISTED_MAX: usize = 32;

/// A part of a block that can be lost by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LostPart {
    /// Its hash.
    Id,
    /// Its header and seal.
    Header,
    /// Its transactions.
    Body,
    /// The keys by which its transactions are found.
    Index,
    /// The leaf hashes that were kept when its body was pruned.
    Leaves,
}

impl LostPart {
    /// All of them, as they are encoded.
    pub const ALL: [Self; 5] = [
        Self::Id,
        Self::Header,
        Self::Body,
        Self::Index,
        Self::Leaves,
    ];

    /// A word for reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Id => "hash",
            Self::Header => "header",
            Self::Body => "body",
            Self::Index => "index",
            Self::Leaves => "leaves",
        }
    }
}

impl fmt::Display for LostPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Id => "hash",
            Self::Header => "header",
            Self::Body => "body",
            Self::Index => "index entries",
            Self::Leaves => "leaf hashes",
        })
    }
}

/// Which parts of which blocks are lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    parts: [Vec<Range<u64>>; LostPart::ALL.len()],
}

impl Missing {
    /// What a store says of itself.
    pub(super) fn read(store: &dyn BlockReader) -> Result<Self, LedgerError> {
        let Some(bytes) = store.named_value(VALUE_MISSING)? else {
            return Ok(Self::default());
        };
        Self::decode(&bytes).map_err(|problem| LedgerError::DamagedValue {
            record: VALUE_MISSING,
            problem,
        })
    }

    /// Whether nothing is lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(Vec::is_empty)
    }

    /// The heights whose part is lost, ascending.
    #[must_use]
    pub fn ranges(&self, part: LostPart) -> &[Range<u64>] {
        &self.parts[part as usize]
    }

    /// How many blocks have lost this part.
    #[must_use]
    pub fn count(&self, part: LostPart) -> u64 {
        let ranges = self.ranges(part).iter();
        ranges.map(|range| range.end - range.start).sum()
    }

    /// Whether the part of the block at `height` is lost.
    #[must_use]
    pub fn has(&self, part: LostPart, height: u64) -> bool {
        self.first_from(part, height) == Some(height)
    }

    /// Whether any part of the block at `height` is lost.
    #[must_use]
    pub fn touches(&self, height: u64) -> bool {
        LostPart::ALL.iter().any(|part| self.has(*part, height))
    }

    /// The lowest height from `height` on whose part is lost.
    #[must_use]
    pub fn first_from(&self, part: LostPart, height: u64) -> Option<u64> {
        let ranges = self.ranges(part);
        let next = ranges.partition_point(|range| range.end <= height);
        ranges.get(next).map(|range| range.start.max(height))
    }

    /// Whether all of this is in `other` too.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let mut pairs = self.parts.iter().zip(&other.parts);
        pairs.all(|(ours, theirs)| {
            let is_held = |range: &Range<u64>| {
                let next = theirs.partition_point(|held| held.end < range.end);
                theirs
                    .get(next)
                    .is_some_and(|held| held.start <= range.start)
            };
            ours.iter().all(is_held)
        })
    }

    /// Adds heights. Those of one part mostly come in ascending order.
    pub(super) fn add(&mut self, part: LostPart, heights: Range<u64>) {
        if heights.is_empty() {
            return;
        }
        let ranges = &mut self.parts[part as usize];
        let from = ranges.partition_point(|range| range.end < heights.start);
        let to = ranges.partition_point(|range| range.start <= heights.end);
        let mut merged = heights;
        for range in &ranges[from..to] {
            merged = merged.start.min(range.start)..merged.end.max(range.end);
        }
        ranges.splice(from..to, [merged]);
    }

    /// Only heights in `heights`, of every part.
    pub(super) fn clipped(&self, heights: impl Fn(LostPart) -> Range<u64>) -> Self {
        let mut clipped = Self::default();
        for part in LostPart::ALL {
            let within = heights(part);
            for range in self.ranges(part) {
                clipped.add(
                    part,
                    range.start.max(within.start)..range.end.min(within.end),
                );
            }
        }
        clipped
    }

    /// With what `other` has of a part.
    pub(super) fn with(&self, other: &Self, part: LostPart) -> Self {
        let mut both = self.clone();
        for range in other.ranges(part) {
            both.add(part, range.clone());
        }
        both
    }

    /// Only blocks below `end`.
    pub(super) fn below(&self, end: u64) -> Self {
        self.clipped(|_| 0..end)
    }

    /// Only what a store of this extent would hold, had it not been lost.
    pub(super) fn within(&self, extent: Extent) -> Self {
        self.clipped(|part| match part {
            LostPart::Id | LostPart::Leaves => 0..extent.end,
            LostPart::Header => extent.header_floor..extent.end,
            LostPart::Body => extent.body_floor..extent.end,
            LostPart::Index => extent.index_floor..extent.end,
        })
    }

    /// The value's bytes.
    ///
    /// # Errors
    /// More ranges than a store is expected to keep.
    pub(super) fn encode(&self) -> Result<Vec<u8>, LedgerError> {
        let ranges = self.parts.iter().map(Vec::len).sum::<usize>();
        if ranges > RANGES_MAX {
            return Err(LedgerError::TooMuchMissing(ranges));
        }
        let mut out = MAGIC.to_vec();
        for ranges in &self.parts {
            codec::put_count(&mut out, ranges.len());
            for range in ranges {
                codec::put_u64(&mut out, range.start);
                codec::put_u64(&mut out, range.end);
            }
        }
        Ok(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take("magic", MAGIC.len())? != MAGIC {
            let problem = DecodeProblem::Value("not a list of lost parts");
            return Err(Reader::new(bytes).error("magic", problem));
        }
        let mut missing = Self::default();
        for ranges in &mut missing.parts {
            // Bounded by what the bytes can hold before room is made for it.
            let count = reader.count("ranges", RANGES_MAX, 16)?;
            ranges.reserve(count);
            for _ in 0..count {
                let start = reader.clone();
                let range = reader.u64("first")?..reader.u64("end")?;
                // Ranges that touch could be written as one; one set has one encoding.
                let follows = ranges.last().is_none_or(|last| last.end < range.start);
                if range.is_empty() || !follows {
                    return Err(start.error("ranges", DecodeProblem::Order));
                }
                ranges.push(range);
            }
        }
        reader.finish("missing")?;
        Ok(missing)
    }
}

/// Such as `header 4; body 3-5, 9 (4 blocks)`, with no more than a few ranges of each part.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for part in LostPart::ALL {
            let ranges = self.ranges(part);
            if ranges.is_empty() {
                continue;
            }
            write!(f, "{separator}{} ", part.word())?;
            separator = "; ";
            for (number, range) in ranges.iter().take(LISTED_MAX).enumerate() {
                let comma = if number == 0 { "" } else { ", " };
                match range.end - 1 {
                    last if last == range.start => write!(f, "{comma}{last}")?,
                    last => write!(f, "{comma}{}-{last}", range.start)?,
                }
            }
            if let Some(more @ 1..) = ranges.len().checked_sub(LISTED_MAX) {
                write!(f, " and {more} more ranges")?;
            }
            match self.count(part) {
                1 => {}
                blocks => write!(f, " ({blocks} blocks)")?,
            }
        }
        Ok(())
    }
}

/// What could not be read, where, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Losses {
    /// Of blocks.
    pub missing: Missing,
    /// Names of values.
    pub values: Vec<String>,
    /// Names of table sets.
    pub sets: Vec<String>,
    /// Why, of the first few.
    pub reasons: Vec<String>,
    /// How many more reasons there were.
    pub unlisted: u64,
}

impl Losses {
    /// Whether everything could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.values.is_empty() && self.sets.is_empty()
    }

    /// Notes heights whose part can't be read.
    pub(super) fn note(&mut self, part: LostPart, heights: Range<u64>, reason: &str) {
        self.missing.add(part, heights);
        self.explain(reason);
    }

    /// Notes a named value that can't be read.
    pub(super) fn note_value(&mut self, name: &str, reason: &str) {
        if !self.values.iter().any(|held| held == name) {
            self.values.push(name.to_owned());
            self.explain(reason);
        }
    }

    /// Notes a table set that can't be read, or is not what it has to be.
    pub(super) fn note_set(&mut self, name: &str, reason: &str) {
        if !self.sets.iter().any(|held| held == name) {
            self.sets.push(name.to_owned());
            self.explain(reason);
        }
    }

    fn explain(&mut self, reason: &str) {
        // One damaged place is met once for each part that lies behind it.
        if self.reasons.iter().any(|held| held == reason) {
            return;
        }
        if self.reasons.len() < LISTED_MAX {
            self.reasons.push(reason.to_owned());
        } else {
            self.unlisted += 1;
        }
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't be read: {}", self.missing)?;
        let mut separator = if self.missing.is_empty() { "" } else { "; " };
        for (what, names) in [("named values", &self.values), ("table sets", &self.sets)] {
            if !names.is_empty() {
                write!(f, "{separator}{what} {}", names.join(", "))?;
                separator = "; ";
            }
        }
        match self.reasons.first() {
            Some(reason) => write!(f, " (first {reason})"),
            None => Ok(()),
        }
    }
}

/// An id in place of a lost one, that no other block has.
pub(super) fn stand_in(chain: ChainId, height: u64) -> Id {
    sha256(&[b"hubledger lost block", &chain.0, &height.to_le_bytes()])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(part: LostPart, heights: impl IntoIterator<Item = u64>) -> Missing {
        let mut missing = Missing::default();
        for height in heights {
            missing.add(part, height..height + 1);
        }
        missing
    }

    proptest! {
        #[test]
        fn heights_are_a_set_whatever_order_they_came_in(
            adds in prop::collection::vec((0u64..60, 0u64..9), 0..30), floor in 0u64..70, end in 0u64..70,
        ) {
            let mut missing = Missing::default();
            let mut set = BTreeSet::new();
            for (start, length) in adds {
                missing.add(LostPart::Body, start..start + length);
                set.extend(start..start + length);
            }
            for height in 0..80 {
                prop_assert_eq!(missing.has(LostPart::Body, height), set.contains(&height));
                prop_assert_eq!(
                    missing.first_from(LostPart::Body, height),
                    set.range(height..).next().copied()
                );
            }
            prop_assert_eq!(missing.count(LostPart::Body), set.len() as u64);
            // One set has one form, and reads back.
            prop_assert_eq!(&missing, &of(LostPart::Body, set.iter().copied()));
            prop_assert_eq!(&Missing::decode(&missing.encode().unwrap()).unwrap(), &missing);
            let clipped = missing.clipped(|_| floor..end);
            prop_assert_eq!(&clipped, &of(LostPart::Body, set.range(floor..end.max(floor)).copied()));
            prop_assert!(clipped.is_within(&missing));
        }

        #[test]
        fn any_bytes_are_refused_or_are_the_one_form(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let bytes = [&MAGIC[..], &bytes].concat();
            if let Ok(missing) = Missing::decode(&bytes) {
                prop_assert_eq!(missing.encode().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn golden_bytes() {
        let mut missing = of(LostPart::Body, [3, 4]);
        missing.add(LostPart::Leaves, 7..9);
        let mut expected = b"HLMISS\0\x01".to_vec();
        let number = |value: u64| value.to_le_bytes();
        for ranges in [&[][..], &[], &[(3, 5)], &[], &[(7, 9)]] {
            expected.extend_from_slice(&(ranges.len() as u32).to_le_bytes());
            for (first, end) in ranges {
                expected.extend_from_slice(&number(*first));
                expected.extend_from_slice(&number(*end));
            }
        }
        assert_eq!(missing.encode().unwrap(), expected);
        assert_eq!(
            missing.to_string(),
            "body 3-4 (2 blocks); leaves 7-8 (2 blocks)"
        );
    }

    #[test]
    fn ranges_that_touch_or_are_empty_are_refused() {
        let encode = |ranges: &[(u64, u64)]| {
            let mut out = MAGIC.to_vec();
            codec::put_count(&mut out, ranges.len());
            for (first, end) in ranges {
                codec::put_u64(&mut out, *first);
                codec::put_u64(&mut out, *end);
            }
            out.extend_from_slice(&[0; 16]);
            Missing::decode(&out)
        };
        assert!(encode(&[(1, 2), (3, 4)]).is_ok());
        for refused in [
            &[(1, 2), (2, 4)][..],
            &[(3, 4), (1, 2)],
            &[(5, 5)],
            &[(5, 4)],
        ] {
            assert!(encode(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn texts_are_bounded() {
        let every_other = of(LostPart::Index, (0..1_000).map(|number| 2 * number));
        let text = every_other.to_string();
        assert!(text.len() < 300, "{text}");
        assert!(
            text.ends_with("and 968 more ranges (1000 blocks)"),
            "{text}"
        );
        let mut losses = Losses::default();
        for height in 0..100 {
            losses.note(LostPart::Body, height..height + 1, &format!("no {height}"));
        }
        assert_eq!((losses.reasons.len(), losses.unlisted), (LISTED_MAX, 68));
    }
}
