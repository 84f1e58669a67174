//! The parameters of proof of authority: who may seal, and whether in turns. Their limits, their contradictions, their
//! encoding and their part of the TOML text; what a chain does with them is in `consensus/authority.rs`.

use std::collections::HashSet;

use super::check::{Problem, Step, check_count, check_name, useless_key};
use super::{SPEC_ENTRIES_MAX, SpecFields};
use crate::format::codec::{self, DecodeError, Reader};
use crate::format::digest::Digest;
use crate::format::merkle;
use crate::format::signature::PublicKey;

/// The field of the TOML text in which they are listed.
const AUTHORITIES: &str = "consensus.authorities";

/// The shortest encoding of an authority: a length, a name of one byte and a key.
const AUTHORITY_BYTES_MIN: usize = 37;

/// Only the listed authorities seal, each under its own name and with its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofOfAuthority {
    /// The authorities in turn order.
    pub authorities: Vec<Authority>,
    /// Whether block `h` must be sealed by authority `(h - 1) mod n`, so that none can take another's turn.
    pub round_robin: bool,
}

/// A node that may seal blocks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// The name that its blocks carry as producer.
    pub name: String,
    /// The key that its seals are made with.
    pub key: PublicKey,
    /// What it weighs among the others; 1 where a text says nothing, and in plain proof of authority.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u64,
}

impl Authority {
    /// One that weighs no more than any other.
    #[must_use]
    pub fn new(name: impl Into<String>, key: PublicKey) -> Self {
        Self {
            name: name.into(),
            key,
            weight: 1,
        }
    }
}

const fn one() -> u64 {
    1
}

// By reference, as serde asks it.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_one(weight: &u64) -> bool {
    *weight == 1
}

impl ProofOfAuthority {
    /// That the list is within the format's limits, names and keys are unique, and somebody can seal after the record with
    /// which the chain may begin. `name_bytes_max` is the chain's limit.
    pub(super) fn check(&self, name_bytes_max: usize, has_record: bool) -> Result<(), Problem> {
        let authorities = &self.authorities;
        check_members(authorities, name_bytes_max)?;
        if let Some(index) = authorities.iter().position(|one| one.weight != 1) {
            let problem = "authorities that weigh nothing but 1 are the plain form".to_owned();
            return Err(problem_of(index, "weight", problem));
        }
        if authorities.is_empty() && !has_record {
            let problem = "there is none, so that nobody could ever seal a block";
            return Err(Problem::new(AUTHORITIES, problem));
        }
        Ok(())
    }

    /// At most one problem of each kind: too few clock entries, and keys that can seal nothing.
    pub(super) fn contradictions(&self, fields: &SpecFields) -> Vec<Problem> {
        let found = [
            more_than_clock_entries(&self.authorities, fields),
            useless_member_key(&self.authorities),
        ];
        found.into_iter().flatten().collect()
    }

    /// Appends the canonical encoding, behind the tag of the kind.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.round_robin.into());
        codec::put_count(out, self.authorities.len());
        for authority in &self.authorities {
            codec::put_bytes(out, authority.name.as_bytes());
            out.extend_from_slice(authority.key.as_bytes());
        }
    }

    /// Reads what stands behind the tag of the kind.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let round_robin = reader.flag("round_robin")?;
        let count = reader.count("authorities", SPEC_ENTRIES_MAX, AUTHORITY_BYTES_MIN)?;
        let mut authorities = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.name("authorities")?.to_owned();
            let key = PublicKey::from_bytes(reader.array("authorities")?);
            authorities.push(Authority::new(name, key));
        }
        Ok(Self {
            authorities,
            round_robin,
        })
    }
}

/// That members are within the format's limits, and names and keys are unique. `name_bytes_max` is the chain's limit.
pub(super) fn check_members(members: &[Authority], name_bytes_max: usize) -> Result<(), Problem> {
    check_count(AUTHORITIES, "authorities", members.len())?;
    let mut seen_names = HashSet::new();
    let mut seen_keys = HashSet::new();
    for (index, authority) in members.iter().enumerate() {
        let name = &authority.name;
        check_name("an authority's name", name, name_bytes_max)
            .map_err(|text| problem_of(index, "name", text))?;
        if !seen_names.insert(name) {
            return Err(problem_of(
                index,
                "name",
                format!("{name:?} is listed twice"),
            ));
        }
        if !seen_keys.insert(authority.key) {
            let problem = format!("the key of {name:?}, {}, is listed twice", authority.key);
            return Err(problem_of(index, "key", problem));
        }
    }
    Ok(())
}

/// What members weigh together; `None` beyond 64 bits.
pub(super) fn weights(members: &[Authority]) -> Option<u64> {
    let mut weights = members.iter().map(|member| member.weight);
    weights.try_fold(0u64, u64::checked_add)
}

/// Those that come too late could never seal. Nobody leaves a clock: who is in it since an earlier specification stays.
pub(super) fn more_than_clock_entries(
    members: &[Authority],
    fields: &SpecFields,
) -> Option<Problem> {
    let entries = fields.limits.clock_entries_max;
    let own = members.iter().map(|one| one.name.as_str());
    let names: HashSet<&str> = own.chain(fields.bound_before()).collect();
    let authorities = names.len();
    let problem = || {
        let before = match fields.predecessor {
            Some(_) => ", with those of earlier specifications,",
            None => ",",
        };
        let problem = format!(
            "{entries} entries, but there are {authorities} authorities{before} and each needs one to seal a block"
        );
        Problem::new("limits.clock_entries_max", problem).beside(AUTHORITIES)
    };
    (authorities > entries as usize).then(problem)
}

/// Of a key that can seal nothing.
pub(super) fn useless_member_key(members: &[Authority]) -> Option<Problem> {
    let authorities = members.iter().enumerate();
    let keys = authorities.map(|(index, authority)| ((index, &authority.name), authority.key));
    let ((index, name), what) = useless_key(keys)?;
    let problem = format!("{name:?} could never seal a block {what}");
    Some(problem_of(index, "key", problem))
}

/// RFC 9162 root over members, in turn order. The leaf data of each are `bytes(name) ‖ key ‖ weight u64`.
/// O(members).
#[must_use]
pub fn members_root(members: &[Authority]) -> Digest {
    let leaf = |member: &Authority| {
        let name = member.name.as_bytes();
        // Names are within the format's limits, so the length fits.
        let length = (name.len() as u32).to_le_bytes();
        let key = member.key.as_bytes();
        merkle::leaf_hash(&[&length, name, key, &member.weight.to_le_bytes()])
    };
    let leaves: Vec<Digest> = members.iter().map(leaf).collect();
    merkle::root(&leaves)
}

fn problem_of(index: usize, field: &str, problem: String) -> Problem {
    Problem::within(
        AUTHORITIES,
        vec![Step::Index(index), Step::Key(field.to_owned())],
        problem,
    )
}
