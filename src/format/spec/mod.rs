//! The chain specification: what every hub of a chain must agree on.
//!
//! People write it as TOML (`toml.rs`); its canonical encoding (`encoding.rs`) is what is hashed, stored, and put at
//! the head of block files. The hash is the [`ChainId`] that every header and transaction carries, so two hubs whose
//! specifications differ in anything can't exchange one block. A [`ChainSpec`] is valid by construction: every field is
//! within the format's limits. Whether the fields also make sense together is another question, which
//! [`SpecFields::contradictions`] answers: TOML that contradicts itself is refused, so that no such chain is begun, but an
//! encoded specification may be that of a chain that exists, and is read all the same.

mod authority;
mod changes;
mod check;
mod composition;
mod consensus_toml;
mod consensus_words;
mod encoding;
mod predecessor;
mod quorum;
mod terms;
mod toml;
mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::format::FormatVersion;
use crate::format::codec::{DecodeError, DecodeProblem, FieldError, Reader};
use crate::format::digest::{BlockHash, ChainId, Digest, sha256};
use crate::format::merkle;
use crate::format::model::{self, Block, Header, HeaderFields, Seal, VectorClock};
use crate::format::payload::ParameterValue;
use crate::format::signature::PublicKey;

pub use self::authority::{Authority, ProofOfAuthority, members_root};
pub use self::changes::Change;
use self::check::Problem;
pub use self::composition::{
    BASIS_POINTS, Checkpoints, Composition, ConsensusName, DENOMINATOR_MAX, Membership, Penalties,
    Proposer, RELEASE_EPOCHS_MAX, Retarget, SealRule, StakeTerms, WEIGHT_MAX, WorkTerms,
};
pub use self::encoding::SPEC_BYTES_MAX;
pub use self::predecessor::{PREDECESSORS_MAX, Predecessor};
pub use self::quorum::{Quorum, total_weight};
pub use self::terms::{
    FINALITY_BODY_BYTES_MAX, FINALITY_DEPTH_MAX, FeesTo, Finality, Joining, Nonces, Parameter,
    Terms,
};
pub use self::toml::SpecFileError;

/// What stands before the specification in the hash.
const fn hash_tag(version: FormatVersion) -> &'static [u8] {
    match version {
        FormatVersion::V1 => b"hubledger/chain/v1",
        FormatVersion::V2 => b"hubledger/chain/v2",
    }
}

/// The most authorities, and the most initial balances, that a specification can list.
pub const SPEC_ENTRIES_MAX: usize = 100_000;

/// The fields of a chain specification, as plain data: what a [`ChainSpec`] is built from and derefs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFields {
    /// The version of the format, of the specification and of its blocks' headers.
    pub version: FormatVersion,
    /// Name of the chain, for people and in records of the source; the [`ChainId`] is what binds.
    pub name: String,
    /// Timestamp of genesis in microseconds since the Unix epoch; at most
    /// [`TIME_US_MAX`](crate::clock::TIME_US_MAX), the end of the year 9999, makes sense.
    pub genesis_time: u64,
    /// Who may seal blocks.
    pub consensus: Consensus,
    /// Sizes and counts that no block may exceed.
    pub limits: Limits,
    /// What transactions must obey.
    pub rules: Rules,
    /// What version 2 adds; [`Terms::default`] in version 1.
    pub terms: Terms,
    /// Accounts that exist from genesis on, by name.
    pub accounts: BTreeMap<String, InitialAccount>,
    /// The chain of another system whose record this chain begins with.
    pub import: Option<Import>,
    /// The chain that this one goes on from; none in version 1.
    pub predecessor: Option<Predecessor>,
}

impl SpecFields {
    /// What in it contradicts itself, so that a chain couldn't do what the specification says it does: at most one line of
    /// each kind, with the field, its value and what that is against. O(names), and a square root for each key.
    ///
    /// - a body that can't hold every transaction within the other limits;
    /// - fewer clock entries than authorities, those of predecessors included, each of which needs one;
    /// - names that predecessors may have left in the vector clock, above the limit;
    /// - authorities whose keys can seal nothing, and accounts whose keys can sign nothing (see
    ///   [`check_key`](crate::format::signature::check_key));
    /// - a genesis, or what the clock drift allows after it, beyond the year 9999;
    /// - more witnesses demanded than the senders' identities can have;
    /// - a smallest fee that no account can pay;
    /// - a stake or a recipient of fees where no balances are kept;
    /// - more approvals than there are members;
    /// - more members than a chain can change;
    /// - parameters to change where names belong to nobody.
    #[must_use]
    pub fn contradictions(&self) -> Vec<FieldError> {
        let problems = check::contradictions(self).into_iter();
        problems.map(FieldError::from).collect()
    }
}

impl SpecFields {
    /// Sets a parameter that the chain changed.
    ///
    /// # Errors
    /// A value of another kind, or beyond the field.
    pub fn set_parameter(
        &mut self,
        parameter: Parameter,
        value: &ParameterValue,
    ) -> Result<(), FieldError> {
        let number = match value {
            ParameterValue::Members(members) if parameter == Parameter::Members => {
                self.consensus.set_members(members);
                return Ok(());
            }
            ParameterValue::Number(number) if parameter != Parameter::Members => *number,
            _ => return Err(FieldError::new(parameter.word(), "a value of another kind")),
        };
        let beyond = |_| FieldError::new(parameter.word(), format!("{number} is beyond the field"));
        let short = || u32::try_from(number).map_err(beyond);
        let byte = || u8::try_from(number).map_err(beyond);
        let (limits, rules) = (&mut self.limits, &mut self.rules);
        match parameter {
            Parameter::BlockTimeUs => self.terms.block_time_us = number,
            Parameter::TransactionsMax => limits.transactions_max = short()?,
            Parameter::BodyBytesMax => limits.body_bytes_max = short()?,
            Parameter::PayloadBytesMax => limits.payload_bytes_max = short()?,
            Parameter::NameBytesMax => limits.name_bytes_max = short()?,
            Parameter::ClockEntriesMax => limits.clock_entries_max = short()?,
            Parameter::WitnessesMax => limits.witnesses_max = byte()?,
            Parameter::FeeMin => rules.fee_min = number,
            Parameter::ClockDriftMaxUs => rules.clock_drift_max_us = number,
            Parameter::ClockAdvanceMax => rules.clock_advance_max = number,
            Parameter::WitnessesMin => rules.witnesses_min = byte()?,
            Parameter::StakeMin => self.terms.stake_min = number,
            Parameter::Members => {}
        }
        Ok(())
    }

    /// The fields of a chain that runs: without the accounts that it had at genesis, which are long other ones.
    #[must_use]
    pub fn running(&self) -> Self {
        Self {
            version: self.version,
            name: self.name.clone(),
            genesis_time: self.genesis_time,
            consensus: self.consensus.clone(),
            limits: self.limits.clone(),
            rules: self.rules.clone(),
            terms: self.terms.clone(),
            accounts: BTreeMap::new(),
            import: self.import.clone(),
            predecessor: self.predecessor.clone(),
        }
    }

    /// That a [running](SpecFields::running) chain can go on by fields which it changed: the limits of the format, and all contradictions
    /// but a fee that nobody can pay, which its accounts tell.
    ///
    /// # Errors
    /// The first of them.
    pub fn check_changed(&self) -> Result<(), FieldError> {
        check::check(self)?;
        let found = self.contradictions().into_iter();
        let mut found = found.filter(|problem| problem.field != "rules.fee_min");
        found.next().map_or(Ok(()), Err)
    }
}

/// Who may seal blocks, in one of two forms that are encoded differently. What they do is in [`consensus`](crate::consensus), which
/// knows the [parts](Consensus::composition) alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consensus {
    /// Listed authorities, each alone: what every version of the format has. See [`ProofOfAuthority`].
    ProofOfAuthority(ProofOfAuthority),
    /// Any other composition of parts. Of version 2.
    Composed(Box<Composition>),
}

const TAG_PROOF_OF_AUTHORITY: u8 = 1;
const TAG_COMPOSED: u8 = 2;

impl Consensus {
    /// The form of a composition: the plain one where that says all of it.
    #[must_use]
    pub fn of(composition: Composition) -> Self {
        match composition.is_plain() {
            true => Self::ProofOfAuthority(ProofOfAuthority {
                authorities: composition.members,
                round_robin: composition.proposer == Proposer::Turn,
            }),
            false => Self::Composed(Box::new(composition)),
        }
    }

    /// Its parts. O(members) of the plain form.
    #[must_use]
    pub fn composition(&self) -> Cow<'_, Composition> {
        match self {
            Self::ProofOfAuthority(plain) => {
                let members = plain.authorities.clone();
                Cow::Owned(Composition {
                    proposer: match plain.round_robin {
                        true => Proposer::Turn,
                        false => Proposer::Open,
                    },
                    ..Composition::named(ConsensusName::ProofOfAuthority, members)
                })
            }
            Self::Composed(composition) => Cow::Borrowed(composition),
        }
    }

    /// The members that are listed, in turn order.
    #[must_use]
    pub fn members(&self) -> &[Authority] {
        match self {
            Self::ProofOfAuthority(plain) => &plain.authorities,
            Self::Composed(composition) => &composition.members,
        }
    }

    /// The names that belong to keys from genesis on, with these keys, in the order of the specification: those of the members. An
    /// account can't have such a name and another key, and no transaction can pin one.
    pub fn bound(&self) -> impl Iterator<Item = (&str, PublicKey)> {
        let members = self.members().iter();
        members.map(|member| (member.name.as_str(), member.key))
    }

    /// RFC 9162 root over the members: the hashes of name, key and weight, in turn order.
    fn members_root(&self) -> Digest {
        authority::members_root(self.members())
    }

    /// Exchanges the members.
    fn set_members(&mut self, members: &[Authority]) {
        match self {
            Self::ProofOfAuthority(plain) => plain.authorities = members.to_vec(),
            Self::Composed(composition) => composition.members = members.to_vec(),
        }
    }

    /// What somebody with a bound name is, for people.
    const fn role(&self) -> &'static str {
        match self {
            Self::ProofOfAuthority(_) => "an authority",
            Self::Composed(_) => "a member",
        }
    }

    /// That the parameters are within the limits of the format and of the chain. `names` is the chain's limit of a name, in bytes.
    fn check(&self, names: usize, fields: &SpecFields) -> Result<(), Problem> {
        match self {
            Self::ProofOfAuthority(plain) => plain.check(names, fields.import.is_some()),
            Self::Composed(composition) => composition.check(fields),
        }
    }

    /// What of the parameters contradicts itself or other fields: at most one problem of each kind.
    fn contradictions(&self, fields: &SpecFields) -> Vec<Problem> {
        match self {
            Self::ProofOfAuthority(plain) => plain.contradictions(fields),
            Self::Composed(composition) => composition.contradictions(fields),
        }
    }

    /// Appends the canonical encoding: the tag of the form and what it says.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ProofOfAuthority(plain) => {
                out.push(TAG_PROOF_OF_AUTHORITY);
                plain.encode(out);
            }
            Self::Composed(composition) => {
                out.push(TAG_COMPOSED);
                composition.encode(out);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        match reader.u8("consensus")? {
            TAG_PROOF_OF_AUTHORITY => Ok(Self::ProofOfAuthority(ProofOfAuthority::decode(reader)?)),
            TAG_COMPOSED => Ok(Self::Composed(Box::new(Composition::decode(reader)?))),
            tag => Err(start.error("consensus", DecodeProblem::Tag(tag))),
        }
    }
}

/// Sizes and counts that no block of the chain may exceed. All are within the limits of the format.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Transactions in a block.
    pub transactions_max: u32,
    /// Bytes of a block's body; at least [`Limits::transaction_bytes_max`] makes sense.
    pub body_bytes_max: u32,
    /// Bytes of a transaction's payload.
    pub payload_bytes_max: u32,
    /// Bytes of the name of a sender, receiver, producer or clock entry.
    pub name_bytes_max: u32,
    /// Entries of a block's vector clock; at least as many as there are authorities makes sense.
    pub clock_entries_max: u32,
    /// Witnesses of a transaction.
    pub witnesses_max: u8,
}

impl Limits {
    /// The longest encoding of a native transaction within these limits, in bytes. A body that is shorter makes some of
    /// them impossible.
    #[must_use]
    pub const fn transaction_bytes_max(&self) -> u64 {
        model::transaction_bytes_max(
            self.name_bytes_max as u64,
            self.payload_bytes_max as u64,
            self.witnesses_max as u64,
        )
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions_max: 10_000,
            body_bytes_max: 16 * 1024 * 1024,
            payload_bytes_max: 64 * 1024,
            name_bytes_max: 128,
            clock_entries_max: 1024,
            witnesses_max: 4,
        }
    }
}

/// What transactions and blocks must obey.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whose keys speak for a sender.
    pub identity: Identity,
    /// The fewest witnesses a transaction needs; 0 allows unsigned transactions.
    pub witnesses_min: u8,
    /// Whether balances are kept: fees and transfers need cover, and move it.
    pub balances: bool,
    /// The smallest fee.
    pub fee_min: u64,
    /// How far, in microseconds, a block may be ahead of this machine's clock, and a transaction ahead of its block.
    pub clock_drift_max_us: u64,
    /// How far one block may advance the vector clock entry of a node other than its producer.
    pub clock_advance_max: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            identity: Identity::Pinned,
            witnesses_min: 1,
            balances: false,
            fee_min: 0,
            clock_drift_max_us: 300_000_000,
            clock_advance_max: 1_000_000,
        }
    }
}

/// An account that exists from genesis on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitialAccount {
    /// The key that speaks for the account; without one, under [`Identity::Pinned`], whoever signs first, and under
    /// [`Identity::Registered`] whoever registers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    /// What it holds.
    #[serde(default)]
    pub balance: u64,
}

/// Whose keys speak for a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Anybody's. Only for chains in which names mean nothing.
    Open,
    /// Those that signed the sender's first transaction, from then on for ever.
    Pinned,
    /// The one key whose lower-case hexadecimal form is the sender's name.
    Key,
    /// Those that it registered, or that the specification lists for it. Of version 2.
    Registered,
}

impl Identity {
    /// Whether names belong to keys that the state knows, so that those which the specification binds have theirs from genesis on.
    #[must_use]
    pub const fn binds_names(self) -> bool {
        matches!(self, Self::Pinned | Self::Registered)
    }
}

/// The record of an MPREG chain with which this chain begins, at heights 1 to `blocks`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// MPREG's id of the chain.
    pub chain: String,
    /// Number of its blocks, with its genesis.
    pub blocks: u64,
    /// MPREG's hash of its last block. The import is invalid unless the rebuilt hashes end in it.
    pub head: Digest,
    /// Digest of all that MPREG's hashes don't cover: names, signatures, keys, clocks, producers, difficulties.
    pub record: Digest,
}

/// A valid chain specification with its canonical encoding and its hash. Clones are cheap.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    fields: Arc<SpecFields>,
    /// Places of the names that the consensus binds, sorted by name.
    by_name: Arc<[u32]>,
    /// The parts of its consensus.
    composition: Arc<Composition>,
    bytes: Bytes,
    id: ChainId,
    /// Computed when it is asked for first: it takes two hashes for each member, and no chain of version 1 asks.
    members_root: Arc<OnceLock<Digest>>,
}

impl ChainSpec {
    /// Checks, encodes and hashes a specification. Whoever begins a chain also asks for its
    /// [contradictions](SpecFields::contradictions).
    ///
    /// # Errors
    /// Names the field that is out of the format's limits.
    pub fn new(fields: SpecFields) -> Result<Self, FieldError> {
        Ok(Self::build(fields)?)
    }

    fn build(fields: SpecFields) -> Result<Self, Problem> {
        check::check(&fields)?;
        let bytes = encoding::encode(&fields).into();
        Self::of_encoded(fields, bytes)
    }

    /// The specification of checked fields that have this encoding.
    fn of_encoded(fields: SpecFields, bytes: Bytes) -> Result<Self, Problem> {
        if bytes.len() > SPEC_BYTES_MAX {
            let problem = format!(
                "encoded it is {} bytes long, at most {SPEC_BYTES_MAX} bytes are allowed",
                bytes.len()
            );
            return Err(Problem::new("specification", problem));
        }
        let id = ChainId(sha256(&[hash_tag(fields.version), &bytes]));
        Ok(Self {
            by_name: indexes_by_name(&fields.consensus),
            composition: Arc::new(fields.consensus.composition().into_owned()),
            fields: Arc::new(fields),
            bytes,
            id,
            members_root: Arc::default(),
        })
    }

    /// The canonical encoding.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `SHA-256("hubledger/chain/v1" ‖ specification)`, with the number of its version.
    #[must_use]
    pub const fn id(&self) -> ChainId {
        self.id
    }

    /// The index of `name` among the names that the consensus [binds](Consensus::bound). O(log names).
    #[must_use]
    pub fn bound_index(&self, name: &str) -> Option<usize> {
        let order = |index: &u32| name_at(&self.consensus, *index).cmp(name);
        let found = self.by_name.binary_search_by(order).ok()?;
        Some(self.by_name[found] as usize)
    }

    /// The parts of its consensus.
    #[must_use]
    pub fn composition(&self) -> &Composition {
        &self.composition
    }

    /// The RFC 9162 root over the members that the specification lists. The leaf data of each are
    /// `bytes(name) ‖ key ‖ weight u64`. O(members) when it is asked for first.
    #[must_use]
    pub fn members_root(&self) -> Digest {
        *self
            .members_root
            .get_or_init(|| self.consensus.members_root())
    }

    /// Block 0, which follows from the specification alone: that of the chain that this one goes on from, where there is one.
    #[must_use]
    pub fn genesis(&self) -> Block {
        self.at(0).own_genesis()
    }

    fn own_genesis(&self) -> Block {
        let header = Header::new(HeaderFields {
            version: self.version,
            chain: self.id,
            height: 0,
            previous_hash: BlockHash::ZERO,
            merkle_root: merkle::empty_root(),
            history_root: merkle::empty_root(),
            state_root: Digest::ZERO,
            members_root: match self.version {
                FormatVersion::V1 => Digest::ZERO,
                FormatVersion::V2 => self.members_root(),
            },
            weight: 0,
            transactions: 0,
            transaction_count: 0,
            body_size: 0,
            vector_clock: VectorClock::empty(),
            timestamp: self.genesis_time,
            producer: String::new(),
            difficulty: 0,
            nonce: 0,
        });
        let header = header.expect("an empty name and an empty body are within every limit");
        Block::assemble(header, Seal::None, &[]).expect("an empty body holds no transactions")
    }

    /// Whether the block at `height` is part of the imported record.
    #[must_use]
    pub fn is_imported(&self, height: u64) -> bool {
        let import = self.at(height).import.as_ref();
        import.is_some_and(|import| (1..=import.blocks).contains(&height))
    }

    /// How many blocks of the imported record a chain that ends at `height` still lacks. Until there are none, nothing vouches
    /// for those that it has: the evidence is in the last one.
    #[must_use]
    pub fn record_missing(&self, height: u64) -> u64 {
        let import = self.at(0).import.as_ref();
        import.map_or(0, |import| import.blocks.saturating_sub(height))
    }

    /// The longest encoding of a block that this chain can accept, in bytes.
    #[must_use]
    pub fn block_bytes_max(&self) -> usize {
        let body = match self.terms.changeable.contains(&Parameter::BodyBytesMax) {
            true => model::BODY_BYTES_MAX,
            false => self.limits.body_bytes_max as usize,
        };
        let own = Block::encoded_bytes_max(body);
        let before = self.predecessor();
        before.map_or(own, |before| {
            own.max(before.specification.block_bytes_max())
        })
    }
}

impl std::ops::Deref for ChainSpec {
    type Target = SpecFields;

    fn deref(&self) -> &SpecFields {
        &self.fields
    }
}

impl PartialEq for ChainSpec {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for ChainSpec {}

/// At most [`SPEC_ENTRIES_MAX`] by_name, each within `u32`.
fn indexes_by_name(consensus: &Consensus) -> Arc<[u32]> {
    let mut by_name: Vec<u32> = (0u32..).take(consensus.members().len()).collect();
    by_name.sort_unstable_by(|a, b| name_at(consensus, *a).cmp(name_at(consensus, *b)));
    by_name.into()
}

/// The name at an index that came from [`indexes_by_name`], and so exists.
fn name_at(consensus: &Consensus, index: u32) -> &str {
    let member = consensus.members().get(index as usize);
    member.map_or("", |member| &member.name)
}
