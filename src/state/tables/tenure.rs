//! Which keys spoke for a name, and from when to when: every set that it ever had.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::payload::KeySet;

/// Keys that speak for a name at the heights from one up to, and without, another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenure {
    /// The first height.
    pub from: u64,
    /// The height at which they speak no more; 0 while that isn't known.
    pub until: u64,
    /// The keys.
    pub keys: KeySet,
}

impl Tenure {
    /// Whether they speak at this height.
    #[must_use]
    pub const fn holds_at(&self, height: u64) -> bool {
        self.from <= height && (self.until == 0 || height < self.until)
    }

    /// Lets them speak no more from this height on, unless that is so already. A tenure that hasn't begun never does.
    pub fn end_at(&mut self, height: u64) {
        // 0 is no end, and no key speaks at genesis.
        let height = height.max(self.from).max(1);
        if self.until == 0 || self.until > height {
            self.until = height;
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.from);
        codec::put_u64(out, self.until);
        self.keys.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let tenure = Self {
            from: reader.u64("from")?,
            until: reader.u64("until")?,
            keys: KeySet::decode_checked(reader)?,
        };
        if tenure.until != 0 && tenure.until < tenure.from {
            let problem = DecodeProblem::Value("ends before it begins");
            return Err(start.error("until", problem));
        }
        Ok(tenure)
    }
}

/// The table of tenures, by name and number.
#[derive(Debug, Clone, Copy)]
pub struct Tenures;

impl Tenures {
    /// The key of a name's tenure of this number: number u32, big-endian, and the name.
    #[must_use]
    pub fn key(name: &str, number: u32) -> Vec<u8> {
        [&number.to_be_bytes()[..], name.as_bytes()].concat()
    }
}

impl Table for Tenures {
    const NUMBER: u8 = 3;
    type Value = Tenure;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match key.split_first_chunk::<4>() {
            Some((_, name)) => check_name(name),
            None => Err(DecodeProblem::Value("not a number and a name")),
        }
    }

    fn encode(value: &Tenure) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        value.encode(&mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Tenure, DecodeError> {
        whole(bytes, "tenure", Tenure::decode)
    }
}
