//! What a chain goes on from: the specification of the blocks before, and the last of them. So a chain can take up another
//! version of the format, other limits or other authorities, and keep its blocks, which stay under the rules that they were
//! made by.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::check::{Problem, check_number};
use super::encoding::SPEC_BYTES_MAX;
use super::{ChainSpec, SpecFields, Terms};
use crate::format::FormatVersion;
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{BlockHash, ChainId, Digest};

/// The most specifications that a specification can go on from, one behind the other.
pub const PREDECESSORS_MAX: usize = 8;

const HEIGHT: &str = "predecessor.height";
const SPECIFICATION: &str = "predecessor.specification";

/// The chain that a chain goes on from. Its blocks up to `height` are this chain's too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its specification, which stays in force up to `height`.
    pub specification: ChainSpec,
    /// The height of its last block that counts.
    pub height: u64,
    /// The hash of that block, to which the first block under the new specification links.
    pub head: BlockHash,
    /// The root over the state after that block.
    pub state_root: Digest,
}

impl Predecessor {
    /// That it is within the limits of the format, and `fields` go on from it.
    pub(super) fn check(&self, fields: &SpecFields) -> Result<(), Problem> {
        let before = &self.specification;
        if before.predecessors() >= PREDECESSORS_MAX {
            return Err(Problem::new(SPECIFICATION, TOO_DEEP));
        }
        check_number(HEIGHT, self.height, "")?;
        // What comes before a specification's first height is pinned whole: a record's evidence is in its last block.
        let least = before.first_height() - 1;
        if self.height < least {
            let problem = format!(
                "{}, but that specification begins behind block {least}",
                self.height
            );
            return Err(Problem::new(HEIGHT, problem));
        }
        if fields.genesis_time != before.genesis_time {
            let problem = format!(
                "{} µs, but the chain that it goes on from began at {} µs",
                fields.genesis_time, before.genesis_time
            );
            return Err(Problem::new("genesis_time", problem).beside(SPECIFICATION));
        }
        if !fields.accounts.is_empty() {
            let problem =
                "there are some, but a chain with a predecessor goes on with its accounts";
            return Err(Problem::new("accounts", problem).beside(SPECIFICATION));
        }
        if fields.import.is_some() {
            let problem = "a chain with a predecessor can't begin with a record";
            return Err(Problem::new("import", problem).beside(SPECIFICATION));
        }
        Ok(())
    }

    /// Appends the canonical encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.specification.bytes());
        codec::put_u64(out, self.height);
        out.extend_from_slice(&self.head.0);
        out.extend_from_slice(&self.state_root.0);
    }

    /// Reads one behind which at most `deeper` others may be; `reader` is over `whole`.
    pub(super) fn decode(
        reader: &mut Reader<'_>,
        whole: &Bytes,
        deeper: Option<usize>,
    ) -> Result<Self, DecodeError> {
        let start = reader.clone();
        // Before the next one is looked at: the depth of a stranger's bytes must not become that of the stack.
        let Some(deeper) = deeper else {
            return Err(start.error(SPECIFICATION, DecodeProblem::Value(TOO_DEEP)));
        };
        let length = reader.bytes(SPECIFICATION, SPEC_BYTES_MAX)?.len();
        let end = reader.position();
        let base = end - length;
        let specification = ChainSpec::decode_within(&whole.slice(base..end), deeper)
            .map_err(|error| error.at_base(base))?;
        Ok(Self {
            specification,
            height: reader.u64(HEIGHT)?,
            head: BlockHash(reader.array("predecessor.head")?),
            state_root: Digest(reader.array("predecessor.state_root")?),
        })
    }
}

const TOO_DEEP: &str = "a specification goes on from at most 8 others, one behind the other";

impl SpecFields {
    /// The names that earlier specifications bound, and that may be in the vector clock.
    pub(super) fn bound_before(&self) -> impl Iterator<Item = &str> {
        let first = self
            .predecessor
            .as_ref()
            .map(|before| &before.specification);
        let earlier = std::iter::successors(first, |spec| spec.before());
        earlier.flat_map(|spec| spec.consensus.bound().map(|(name, _)| name))
    }
}

/// The table `predecessor` of the TOML text.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PredecessorToml {
    /// The encoded specification in hexadecimal digits.
    #[serde(with = "hex")]
    specification: Vec<u8>,
    height: u64,
    head: BlockHash,
    state_root: Digest,
}

impl PredecessorToml {
    pub(super) fn of(predecessor: &Predecessor) -> Self {
        Self {
            specification: predecessor.specification.bytes().to_vec(),
            height: predecessor.height,
            head: predecessor.head,
            state_root: predecessor.state_root,
        }
    }

    pub(super) fn read(self) -> Result<Predecessor, Problem> {
        let specification = ChainSpec::decode(&self.specification)
            .map_err(|error| Problem::new(SPECIFICATION, error.to_string()))?;
        Ok(Predecessor {
            specification,
            height: self.height,
            head: self.head,
            state_root: self.state_root,
        })
    }
}

impl ChainSpec {
    /// The chain that this one goes on from.
    #[must_use]
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.predecessor.as_ref()
    }

    /// How many specifications this one goes on from, one behind the other.
    #[must_use]
    pub fn predecessors(&self) -> usize {
        std::iter::successors(Some(self), |spec| spec.before())
            .skip(1)
            .count()
    }

    /// The specification in force at `height`: this one, or one that it goes on from. O(predecessors).
    #[must_use]
    pub fn at(&self, height: u64) -> &Self {
        let mut spec = self;
        while let Some(predecessor) = spec.predecessor()
            && height <= predecessor.height
        {
            spec = &predecessor.specification;
        }
        spec
    }

    /// The lowest height at which blocks are made under this specification: behind genesis, the predecessor's last block, or
    /// the record with which the chain begins.
    #[must_use]
    pub fn first_height(&self) -> u64 {
        let before = match self.predecessor() {
            Some(predecessor) => predecessor.height,
            None => self.import.as_ref().map_or(0, |import| import.blocks),
        };
        // Within 2^63, as every number of a specification is.
        before + 1
    }

    /// Whether blocks under `other` can be this chain's: it is this specification, or one that this goes on from.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.shared_up_to(other.id()).is_some()
    }

    /// The height up to which the blocks of the chain with this id are this chain's too: of this chain itself all, of one that it goes on
    /// from those up to where it does. `None` of any other. O(predecessors).
    #[must_use]
    pub fn shared_up_to(&self, chain: ChainId) -> Option<u64> {
        let (mut spec, mut last) = (self, u64::MAX);
        while spec.id() != chain {
            let before = spec.predecessor()?;
            // Heights don't grow from one to the one before: each takes over at or above the first height of its predecessor.
            (spec, last) = (&before.specification, before.height);
        }
        Some(last)
    }

    /// The fields of a specification that goes on from this one's chain in version 2 of the format and leaves everything else as it is. It has
    /// no predecessor yet: where it takes over, only the chain can tell.
    #[must_use]
    pub fn successor_fields(&self) -> SpecFields {
        let fields = SpecFields {
            accounts: BTreeMap::new(),
            import: None,
            predecessor: None,
            ..(**self).clone()
        };
        match self.version {
            FormatVersion::V1 => SpecFields {
                version: FormatVersion::V2,
                terms: Terms::of_new_chains(),
                ..fields
            },
            FormatVersion::V2 => fields,
        }
    }

    fn before(&self) -> Option<&Self> {
        self.predecessor().map(|before| &before.specification)
    }
}
