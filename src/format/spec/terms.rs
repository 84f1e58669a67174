//! What a specification says since version 2: how nonces are counted, when a block commits to the state, when blocks are made
//! and final, and what of all this the chain itself may change. Their encoding and their words.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::Limits;
use super::check::{Problem, check_name, check_number};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};

/// The terms of a chain. A specification of version 1 has those of [`Terms::default`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// How a sender's nonces follow each other.
    pub nonces: Nonces,
    /// The smallest stake that somebody may have in the consensus.
    pub stake_min: u64,
    /// Every block whose height this divides names the state root, but genesis and those of an imported record; 0: none does.
    pub root_interval: u32,
    /// The time between two blocks, in microseconds; 0: blocks are made when asked for.
    pub block_time_us: u64,
    /// When a block is final.
    pub finality: Finality,
    /// What the chain may change while it runs.
    pub changeable: BTreeSet<Parameter>,
    /// Whether the JSON form of a payload counts where a payload has a meaning.
    pub payload_json: bool,
    /// What somebody needs to register a name.
    pub joining: Joining,
    /// For how many heights keys speak for a registered name, from the one on at which they began; 0: for ever. Recovery keys
    /// don't age.
    pub key_age_max: u64,
    /// For how many heights at most old keys may still speak after a rotation.
    pub grace_max: u32,
    /// Who gets the fees, where balances are kept.
    pub fees_to: FeesTo,
    /// How many members have to approve of a change of a parameter; 0: more than two thirds of them.
    pub approvals_min: u32,
    /// Whether a block is made when it is due and there is nothing to put into it.
    pub empty_blocks: bool,
}

impl Terms {
    /// Those of a new chain of version 2 unless somebody says otherwise: a state root in every block, so that whoever knows a
    /// head can be shown what the chain knows.
    #[must_use]
    pub fn of_new_chains() -> Self {
        Self {
            root_interval: 1,
            grace_max: 1_000,
            ..Self::default()
        }
    }
}

/// How a sender's nonces follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nonces {
    /// Each is above the last one. A lost transaction can't hold up those behind it.
    #[default]
    Growing,
    /// Each is one more than the last one. Nothing can be left out.
    Consecutive,
}

/// The most blocks that a depth has: a hub keeps for each of them how to take it back.
pub const FINALITY_DEPTH_MAX: u32 = 4096;
/// The most bytes of bodies that so many blocks have, if each is as long as the limits allow. What they change in the state is of the same
/// order, and is in memory.
pub const FINALITY_BODY_BYTES_MAX: u64 = 4 << 30;

/// When a block is final, where the consensus doesn't decide that itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Finality {
    /// At once.
    #[default]
    Immediate,
    /// Once this many blocks come after it; at least 1, at most [`FINALITY_DEPTH_MAX`].
    Depth(u32),
}

/// What somebody needs to register a name. Without anything, names are free to mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joining {
    /// Nothing.
    #[default]
    Free,
    /// The smallest stake.
    Stake,
    /// That a member attests to its keys for the purpose `membership`.
    Attested,
    /// One of these.
    StakeOrAttested,
}

/// Who gets the fees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FeesTo {
    /// Whoever made the block.
    #[default]
    Producer,
    /// Nobody: they are gone.
    Burn,
    /// The account of this name.
    Treasury(String),
}

macro_rules! parameters {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $word:literal;)+) => {
        /// A parameter that a chain may be allowed to change while it runs. In the order of their numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Parameter {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Parameter {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The parameter of a number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The parameter of a word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The number that stands for it in the encoding.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The word that stands for it in the TOML text.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

parameters! {
    /// [`Terms::block_time_us`].
    BlockTimeUs = 1, "block_time_us";
    /// [`Limits::transactions_max`](super::Limits::transactions_max).
    TransactionsMax = 2, "transactions_max";
    /// [`Limits::body_bytes_max`](super::Limits::body_bytes_max).
    BodyBytesMax = 3, "body_bytes_max";
    /// [`Limits::payload_bytes_max`](super::Limits::payload_bytes_max).
    PayloadBytesMax = 4, "payload_bytes_max";
    /// [`Limits::name_bytes_max`](super::Limits::name_bytes_max).
    NameBytesMax = 5, "name_bytes_max";
    /// [`Limits::clock_entries_max`](super::Limits::clock_entries_max).
    ClockEntriesMax = 6, "clock_entries_max";
    /// [`Limits::witnesses_max`](super::Limits::witnesses_max).
    WitnessesMax = 7, "witnesses_max";
    /// [`Rules::fee_min`](super::Rules::fee_min).
    FeeMin = 8, "fee_min";
    /// [`Rules::clock_drift_max_us`](super::Rules::clock_drift_max_us).
    ClockDriftMaxUs = 9, "clock_drift_max_us";
    /// [`Rules::clock_advance_max`](super::Rules::clock_advance_max).
    ClockAdvanceMax = 10, "clock_advance_max";
    /// [`Rules::witnesses_min`](super::Rules::witnesses_min).
    WitnessesMin = 11, "witnesses_min";
    /// [`Terms::stake_min`].
    StakeMin = 12, "stake_min";
    /// Who takes part in the consensus.
    Members = 13, "members";
}

impl Serialize for Parameter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::from_word(&word).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|one| one.word()).collect();
            let known = words.join(", ");
            D::Error::custom(format!(
                "{word:?} is no parameter that a chain may change; these are: {known}"
            ))
        })
    }
}

/// Reads a list of parameters in any order, none of them twice.
pub(super) fn distinct<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeSet<Parameter>>, D::Error> {
    let mut found = BTreeSet::new();
    for parameter in Vec::<Parameter>::deserialize(deserializer)? {
        if !found.insert(parameter) {
            let word = parameter.word();
            return Err(D::Error::custom(format!("{word:?} is listed twice")));
        }
    }
    Ok(Some(found))
}

impl Terms {
    /// That every field is within the limits of the format.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Problem> {
        check_number("stake_min", self.stake_min, "")?;
        check_number("block_time_us", self.block_time_us, " µs")?;
        match self.finality {
            Finality::Immediate => {}
            Finality::Depth(depth) => check_depth(depth, limits.body_bytes_max)?,
        }
        check_number("key_age_max", self.key_age_max, " heights")?;
        let name_bytes_max = limits.name_bytes_max as usize;
        match &self.fees_to {
            FeesTo::Treasury(name) => check_name("the treasury's name", name, name_bytes_max)
                .map_err(|text| Problem::new("fees_to", text)),
            FeesTo::Producer | FeesTo::Burn => Ok(()),
        }
    }

    /// The first field that isn't what a specification of version 1 has.
    pub(super) fn first_beyond_version_1(&self) -> Option<&'static str> {
        let plain = Self::default();
        let fields = [
            ("nonces", self.nonces == plain.nonces),
            ("stake_min", self.stake_min == plain.stake_min),
            ("root_interval", self.root_interval == plain.root_interval),
            ("block_time_us", self.block_time_us == plain.block_time_us),
            ("finality", self.finality == plain.finality),
            ("changeable", self.changeable == plain.changeable),
            ("payload_json", self.payload_json == plain.payload_json),
            ("joining", self.joining == plain.joining),
            ("key_age_max", self.key_age_max == plain.key_age_max),
            ("grace_max", self.grace_max == plain.grace_max),
            ("fees_to", self.fees_to == plain.fees_to),
            ("approvals_min", self.approvals_min == plain.approvals_min),
            ("empty_blocks", self.empty_blocks == plain.empty_blocks),
        ];
        let found = fields.into_iter().find(|(_, is_plain)| !is_plain);
        found.map(|(field, _)| field)
    }

    /// Appends the canonical encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.nonces {
            Nonces::Growing => 0,
            Nonces::Consecutive => 1,
        });
        codec::put_u64(out, self.stake_min);
        codec::put_u32(out, self.root_interval);
        codec::put_u64(out, self.block_time_us);
        match self.finality {
            Finality::Immediate => out.push(0),
            Finality::Depth(blocks) => {
                out.push(1);
                codec::put_u32(out, blocks);
            }
        }
        codec::put_count(out, self.changeable.len());
        out.extend(self.changeable.iter().map(|parameter| parameter.number()));
        out.push(self.payload_json.into());
        out.push(match self.joining {
            Joining::Free => 0,
            Joining::Stake => 1,
            Joining::Attested => 2,
            Joining::StakeOrAttested => 3,
        });
        codec::put_u64(out, self.key_age_max);
        codec::put_u32(out, self.grace_max);
        match &self.fees_to {
            FeesTo::Producer => out.push(0),
            FeesTo::Burn => out.push(1),
            FeesTo::Treasury(name) => {
                out.push(2);
                codec::put_bytes(out, name.as_bytes());
            }
        }
        codec::put_u32(out, self.approvals_min);
        out.push(self.empty_blocks.into());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            nonces: match reader.flag("nonces")? {
                false => Nonces::Growing,
                true => Nonces::Consecutive,
            },
            stake_min: reader.u64("stake_min")?,
            root_interval: reader.u32("root_interval")?,
            block_time_us: reader.u64("block_time_us")?,
            finality: match reader.flag("finality")? {
                false => Finality::Immediate,
                true => Finality::Depth(reader.u32("finality")?),
            },
            changeable: decode_changeable(reader)?,
            payload_json: reader.flag("payload_json")?,
            joining: decode_joining(reader)?,
            key_age_max: reader.u64("key_age_max")?,
            grace_max: reader.u32("grace_max")?,
            fees_to: decode_fees_to(reader)?,
            approvals_min: reader.u32("approvals_min")?,
            empty_blocks: reader.flag("empty_blocks")?,
        })
    }
}

fn decode_joining(reader: &mut Reader<'_>) -> Result<Joining, DecodeError> {
    let start = reader.clone();
    match reader.u8("joining")? {
        0 => Ok(Joining::Free),
        1 => Ok(Joining::Stake),
        2 => Ok(Joining::Attested),
        3 => Ok(Joining::StakeOrAttested),
        tag => Err(start.error("joining", DecodeProblem::Tag(tag))),
    }
}

fn decode_fees_to(reader: &mut Reader<'_>) -> Result<FeesTo, DecodeError> {
    let start = reader.clone();
    match reader.u8("fees_to")? {
        0 => Ok(FeesTo::Producer),
        1 => Ok(FeesTo::Burn),
        2 => Ok(FeesTo::Treasury(reader.name("fees_to")?.to_owned())),
        tag => Err(start.error("fees_to", DecodeProblem::Tag(tag))),
    }
}

/// That what so many blocks change can be kept in memory.
fn check_depth(depth: u32, body_bytes_max: u32) -> Result<(), Problem> {
    let refuse = |problem| Err(Problem::new("finality", problem));
    let bytes = u64::from(depth) * u64::from(body_bytes_max);
    if depth == 0 {
        let problem = "a depth of 0 blocks is \"immediate\", a depth is at least 1";
        return refuse(problem.to_owned());
    }
    if depth > FINALITY_DEPTH_MAX {
        return refuse(format!(
            "a depth of {depth} blocks, at most {FINALITY_DEPTH_MAX} are allowed"
        ));
    }
    if bytes > FINALITY_BODY_BYTES_MAX {
        let problem = format!(
            "a depth of {depth} blocks of up to {body_bytes_max} bytes (limits.body_bytes_max) is {bytes} bytes that could be taken \
             back, at most {FINALITY_BODY_BYTES_MAX} are allowed"
        );
        return refuse(problem);
    }
    Ok(())
}

fn decode_changeable(reader: &mut Reader<'_>) -> Result<BTreeSet<Parameter>, DecodeError> {
    const FIELD: &str = "changeable";
    let count = reader.count(FIELD, Parameter::ALL.len(), 1)?;
    let mut found = BTreeSet::new();
    for _ in 0..count {
        let start = reader.clone();
        let number = reader.u8(FIELD)?;
        let Some(parameter) = Parameter::from_number(number) else {
            return Err(start.error(FIELD, DecodeProblem::Tag(number)));
        };
        if found.last().is_some_and(|last| *last >= parameter) {
            return Err(start.error(FIELD, DecodeProblem::Order));
        }
        found.insert(parameter);
    }
    Ok(found)
}
