//! A consensus as the composition of its parts: who its members are and what they weigh, who proposes a block, what seals it, and
//! what makes it final. Their limits, which of them go together, and their encoding; what a chain does with them is in `consensus/`.

use super::authority::{check_members, useless_member_key, weights};
use super::check::{NUMBER_MAX, Problem, check_name};
use super::{Authority, FeesTo, Finality, Parameter, Quorum, SPEC_ENTRIES_MAX, SpecFields};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::payload::VALUE_MEMBERS_MAX;

/// The field of the TOML text with all of it.
const CONSENSUS: &str = "consensus";

/// The most that all members of a chain with priorities or certificates weigh together: sums of several times that, and products with
/// the denominators of fractions, stay within 64 bits.
pub const WEIGHT_MAX: u64 = 1 << 53;

/// The largest denominator of a quorum.
pub const DENOMINATOR_MAX: u32 = 1_000;

/// Parts of a whole in which penalties are given: ten thousand.
pub const BASIS_POINTS: u16 = 10_000;

/// The most epochs that a stake waits before it is given back: each has a pool that a penalty goes through.
pub const RELEASE_EPOCHS_MAX: u32 = 64;

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident: $($(#[doc = $line:literal])+ $variant:ident = $number:literal, $word:literal;)+) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $line])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it in the TOML text and in outputs.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// The name by which a composition goes: what its parts are where the text says nothing of them. What it does is said by its parts alone.
    ConsensusName:
    /// Listed authorities, each alone.
    ProofOfAuthority = 1, "proof_of_authority";
    /// Members by what they put up, in turns by weight.
    ProofOfStake = 2, "proof_of_stake";
    /// Whoever finds a nonce.
    ProofOfWork = 3, "proof_of_work";
    /// Listed members of several weights, in turns, with certificates.
    FederatedByzantine = 4, "federated_byzantine";
    /// Listed members of one weight, in turns, with certificates.
    Pbft = 5, "pbft";
    /// Members by what others put up behind them, in turns.
    DelegatedProofOfStake = 6, "delegated_proof_of_stake";
    /// Work seals, certificates of listed members make checkpoints final.
    Hybrid = 7, "hybrid";
}

words! {
    /// How the difficulty follows the time that blocks take.
    Retarget:
    /// By the absolute schedule since the first block: aserti3-2d, with a half-life of the interval times the block time.
    Asert = 0, "asert";
    /// By the mean time of the last interval, as MPREG does: below half of the block time it doubles, above double it halves.
    Window = 1, "window";
}

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// Anybody, and nobody has a weight.
    Anyone,
    /// The members that the specification lists, and where the chain may change them, those that it voted for since.
    Listed,
    /// At first those listed, each with a stake of its weight; from then on whoever puts up enough.
    Staked(StakeTerms),
}

/// How members are made of stakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StakeTerms {
    /// Members change at heights `k · epoch + 1` alone; at least 2.
    pub epoch: u32,
    /// The most members; who puts up more than the least of them takes its place. At most [`VALUE_MEMBERS_MAX`].
    pub members_max: u32,
    /// For how many heights a stake that was taken back can still be punished before it is paid out.
    pub release_delay: u32,
    /// Whether others than the member itself may put up behind it.
    pub delegation: bool,
}

/// Who proposes the block of a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposer {
    /// Any member at any time; of work, anybody.
    Open,
    /// Member `(h − 1) mod n` of the block at height h.
    Turn,
    /// The member with the highest priority, so that each has as large a part of all blocks as of the weight.
    WeightedTurn,
    /// The member that the seed of its epoch of so many heights chooses, known one epoch before.
    Seeded {
        /// Heights of an epoch; at least 3.
        epoch: u32,
    },
}

/// What is behind a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealRule {
    /// The signature of the member that proposed it.
    Signature,
    /// Signatures of members of more than this part of the weight.
    Quorum(Quorum),
    /// A nonce by which the hash is at most the target.
    Work(WorkTerms),
}

/// How hard work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkTerms {
    /// Hashes that the first block takes on average.
    pub difficulty: u64,
    /// How that changes.
    pub retarget: Retarget,
    /// Blocks of the interval by which it changes.
    pub interval: u32,
}

/// Blocks that certificates of the members make final, although work seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoints {
    /// The blocks whose heights this divides.
    pub interval: u32,
    /// More than this part of the weight.
    pub quorum: Quorum,
}

/// What faults of members cost, in [`BASIS_POINTS`] of the stake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Penalties {
    /// Two proposals of one height, or two votes in one round.
    pub double_signing: u16,
    /// Signing in none of `offline_after` certificates that the chain holds, one after the other. Written down; nothing is taken for it yet.
    pub offline: u16,
    /// A seal of a block that wasn't the member's to seal.
    pub byzantine: u16,
    /// For how many heights after a fault it can be punished.
    pub evidence_blocks: u32,
    /// How many certificates in a row.
    pub offline_after: u32,
    /// Whether what is taken goes to this account; `None`: it is gone.
    pub treasury: Option<String>,
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            double_signing: 500,
            offline: 10,
            byzantine: 3_000,
            evidence_blocks: 100,
            offline_after: 100,
            treasury: None,
        }
    }
}

/// A consensus as its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    /// What it is called.
    pub name: ConsensusName,
    /// The members at genesis, in turn order.
    pub members: Vec<Authority>,
    /// Who takes part.
    pub membership: Membership,
    /// Who proposes.
    pub proposer: Proposer,
    /// What seals.
    pub seal: SealRule,
    /// What is final besides what the seal and the [terms](super::Terms::finality) make so.
    pub checkpoints: Option<Checkpoints>,
    /// What faults cost.
    pub penalties: Penalties,
}

impl Composition {
    /// The parts that a name stands for.
    #[must_use]
    pub fn named(name: ConsensusName, members: Vec<Authority>) -> Self {
        let work = SealRule::Work(WorkTerms {
            difficulty: 1,
            retarget: Retarget::Asert,
            interval: 100,
        });
        let stake = |delegation| {
            Membership::Staked(StakeTerms {
                epoch: 10,
                members_max: 100,
                release_delay: 200,
                delegation,
            })
        };
        let quorum = SealRule::Quorum(Quorum::TWO_THIRDS);
        let (membership, proposer, seal) = match name {
            ConsensusName::ProofOfAuthority => {
                (Membership::Listed, Proposer::Open, SealRule::Signature)
            }
            ConsensusName::ProofOfStake => {
                (stake(false), Proposer::WeightedTurn, SealRule::Signature)
            }
            ConsensusName::DelegatedProofOfStake => {
                (stake(true), Proposer::WeightedTurn, SealRule::Signature)
            }
            ConsensusName::FederatedByzantine | ConsensusName::Pbft => {
                (Membership::Listed, Proposer::Turn, quorum)
            }
            ConsensusName::ProofOfWork => (Membership::Anyone, Proposer::Open, work),
            ConsensusName::Hybrid => (Membership::Listed, Proposer::Open, work),
        };
        let checkpoints = (name == ConsensusName::Hybrid).then_some(Checkpoints {
            interval: 10,
            quorum: Quorum::TWO_THIRDS,
        });
        Self {
            name,
            members,
            membership,
            proposer,
            seal,
            checkpoints,
            penalties: Penalties::default(),
        }
    }

    /// How work is sealed, where it is.
    #[must_use]
    pub const fn work(&self) -> Option<&WorkTerms> {
        match &self.seal {
            SealRule::Work(work) => Some(work),
            SealRule::Signature | SealRule::Quorum(_) => None,
        }
    }

    /// How members are made of stakes, where they are.
    #[must_use]
    pub const fn stake(&self) -> Option<&StakeTerms> {
        match &self.membership {
            Membership::Staked(stake) => Some(stake),
            Membership::Anyone | Membership::Listed => None,
        }
    }

    /// The part of the weight that has to be behind a certificate, of blocks or of checkpoints.
    #[must_use]
    pub const fn quorum(&self) -> Option<Quorum> {
        match (&self.seal, &self.checkpoints) {
            (SealRule::Quorum(quorum), _) => Some(*quorum),
            (_, Some(checkpoints)) => Some(checkpoints.quorum),
            _ => None,
        }
    }

    /// Whether it says no more than the plain form of proof of authority does, which is how it is encoded then.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.name == ConsensusName::ProofOfAuthority
            && self.membership == Membership::Listed
            && matches!(self.proposer, Proposer::Open | Proposer::Turn)
            && self.seal == SealRule::Signature
            && self.checkpoints.is_none()
            && self.penalties == Penalties::default()
            && self.members.iter().all(|member| member.weight == 1)
    }

    /// That the parts are within the limits of the format and of the chain, and go together.
    pub(super) fn check(&self, fields: &SpecFields) -> Result<(), Problem> {
        let names = fields.limits.name_bytes_max as usize;
        check_members(&self.members, names)?;
        let total = weights(&self.members).filter(|total| *total <= WEIGHT_MAX);
        let Some(total) = total else {
            let problem = format!("the members weigh more than {WEIGHT_MAX} (2^53) together");
            return refuse("consensus.authorities", problem);
        };
        if self.members.iter().any(|member| member.weight == 0) {
            return refuse("consensus.authorities", "a member weighs 0, at least 1");
        }
        if self.is_plain() {
            return refuse(CONSENSUS, "this is the plain form, which is encoded so");
        }
        self.check_seal(fields, total)?;
        self.check_proposer()?;
        self.check_checkpoints(fields, total)?;
        self.check_stake(fields, total)?;
        self.check_penalties(names)
    }

    fn has_members(&self) -> bool {
        self.membership != Membership::Anyone
    }

    fn check_seal(&self, fields: &SpecFields, total: u64) -> Result<(), Problem> {
        let (count, most) = (self.members.len(), VALUE_MEMBERS_MAX);
        if count > most {
            let problem =
                format!("{count} members, at most {most} but of plain proof of authority");
            return refuse("consensus.authorities", problem);
        }
        if self.has_members() && self.members.is_empty() {
            let problem = "there is no member, so that nobody could ever seal a block";
            return refuse("consensus.authorities", problem);
        }
        if !self.has_members() && !self.members.is_empty() {
            let problem = "members are listed, but anybody takes part, and none has a say";
            return refuse("consensus.authorities", problem);
        }
        if self.name == ConsensusName::Pbft && self.members.iter().any(|member| member.weight != 1)
        {
            let problem = "members of pbft have one vote each; \"federated_byzantine\" has weights";
            return refuse("consensus.authorities", problem);
        }
        match self.seal {
            SealRule::Signature if !self.has_members() => refuse(
                "consensus.seal",
                "a signature of anybody would be free, so that the chain had no weight: work, or members",
            ),
            SealRule::Signature => Ok(()),
            SealRule::Quorum(_) if !self.has_members() => refuse(
                "consensus.seal",
                "a certificate is of members, and there are none",
            ),
            SealRule::Quorum(quorum) => {
                check_quorum(quorum, total)?;
                match fields.terms.finality {
                    Finality::Immediate => Ok(()),
                    Finality::Depth(_) => refuse(
                        "finality",
                        "a depth, but a certificate makes each block final at once",
                    ),
                }
            }
            SealRule::Work(work) => self.check_work(&work, fields),
        }
    }

    fn check_work(&self, work: &WorkTerms, fields: &SpecFields) -> Result<(), Problem> {
        if self.has_members() && self.checkpoints.is_none() {
            let problem = "members are listed, but anybody can do the work and nothing asks for their certificates";
            return refuse("consensus.authorities", problem);
        }
        if work.difficulty == 0 {
            return refuse("consensus.difficulty", "0 hashes, a block takes at least 1");
        }
        if work.interval == 0 {
            let field = "consensus.difficulty_adjustment_interval";
            return refuse(field, "0 blocks, an interval has at least 1");
        }
        if fields.terms.block_time_us == 0 {
            let problem = "0 µs, but the difficulty follows the time between two blocks";
            return refuse("block_time_us", problem);
        }
        if fields.terms.finality == Finality::Immediate {
            let problem =
                "at once, but of two blocks that are found at the same time one has to go: a depth";
            return refuse("finality", problem);
        }
        Ok(())
    }

    fn check_proposer(&self) -> Result<(), Problem> {
        const FIELD: &str = "consensus.proposer";
        match (self.proposer, &self.seal) {
            (Proposer::Open, SealRule::Quorum(_)) => refuse(
                FIELD,
                "open, but members can only vote for one block if one of them has to propose it",
            ),
            (Proposer::Open, _) => Ok(()),
            (_, SealRule::Work(_)) => refuse(FIELD, "a turn, but anybody can do the work"),
            (Proposer::Seeded { epoch: 0..=2 }, _) => {
                refuse("consensus.seed_epoch", "an epoch has at least 3 heights")
            }
            _ => Ok(()),
        }
    }

    fn check_checkpoints(&self, fields: &SpecFields, total: u64) -> Result<(), Problem> {
        const FIELD: &str = "consensus.checkpoint_interval";
        let Some(checkpoints) = &self.checkpoints else {
            return match self.name {
                ConsensusName::Hybrid => refuse(FIELD, "it is missing"),
                _ => Ok(()),
            };
        };
        check_quorum(checkpoints.quorum, total)?;
        if !matches!(self.seal, SealRule::Work(_)) {
            let problem = "checkpoints are for chains that work seals; certificates make every block final, and signatures have a depth";
            return refuse(FIELD, problem);
        }
        if !self.has_members() {
            return refuse(FIELD, "a certificate is of members, and there are none");
        }
        let Finality::Depth(depth) = fields.terms.finality else {
            return Ok(());
        };
        if checkpoints.interval == 0 || checkpoints.interval > depth {
            let problem = format!(
                "{}, not 1 to {depth} blocks, after which a block is final without a certificate",
                checkpoints.interval
            );
            return Err(Problem::new(FIELD, problem).beside("finality"));
        }
        Ok(())
    }

    fn check_stake(&self, fields: &SpecFields, total: u64) -> Result<(), Problem> {
        let Some(stake) = self.stake() else {
            return Ok(());
        };
        if !fields.rules.balances {
            return refuse("rules.balances", "off, but members put up stakes");
        }
        if !fields.rules.identity.binds_names() {
            let problem = "stakes are of names that belong to keys: \"pinned\" or \"registered\"";
            return refuse("rules.identity", problem);
        }
        if fields.terms.changeable.contains(&Parameter::Members) {
            return refuse("changeable", "members, but they follow from stakes");
        }
        if stake.epoch < 2 {
            return refuse("consensus.epoch", "an epoch has at least 2 heights");
        }
        let most = stake.members_max as usize;
        if most == 0 || most > VALUE_MEMBERS_MAX || most < self.members.len() {
            let problem = format!(
                "{most} members, not between {} and {VALUE_MEMBERS_MAX}",
                self.members.len().max(1)
            );
            return refuse("consensus.members_max", problem);
        }
        if stake.release_delay <= self.penalties.evidence_blocks {
            let problem = format!(
                "{} heights, but faults are punished for {} after them: who takes its stake back in time pays nothing",
                stake.release_delay, self.penalties.evidence_blocks
            );
            return Err(Problem::new("consensus.release_delay", problem)
                .beside("consensus.penalties.evidence_blocks"));
        }
        if stake.release_delay / stake.epoch >= RELEASE_EPOCHS_MAX {
            let problem = format!(
                "{} heights are {RELEASE_EPOCHS_MAX} epochs of {} or more",
                stake.release_delay, stake.epoch
            );
            return Err(Problem::new("consensus.release_delay", problem).beside("consensus.epoch"));
        }
        let balances = fields.accounts.values().map(|account| account.balance);
        let all = balances.fold(total, u64::saturating_add);
        if all > WEIGHT_MAX {
            let problem = format!(
                "with the stakes of the members the balances add up to {all}, at most {WEIGHT_MAX} (2^53) can be put up"
            );
            return refuse("accounts", problem);
        }
        if let Some(member) = self
            .members
            .iter()
            .find(|one| one.weight < fields.terms.stake_min)
        {
            let problem = format!(
                "{:?} puts up {}, the least is stake_min = {}",
                member.name, member.weight, fields.terms.stake_min
            );
            return Err(Problem::new("consensus.authorities", problem).beside("stake_min"));
        }
        Ok(())
    }

    fn check_penalties(&self, names: usize) -> Result<(), Problem> {
        const FIELD: &str = "consensus.penalties";
        let penalties = &self.penalties;
        let parts = [
            penalties.double_signing,
            penalties.offline,
            penalties.byzantine,
        ];
        if let Some(part) = parts.into_iter().find(|part| *part > BASIS_POINTS) {
            return refuse(
                FIELD,
                format!("{part} of {BASIS_POINTS} parts, nobody has more than all"),
            );
        }
        if penalties.evidence_blocks == 0 || penalties.offline_after == 0 {
            return refuse(FIELD, "0 blocks, within which nothing could be shown");
        }
        match &penalties.treasury {
            Some(name) => check_name("the treasury's name", name, names)
                .map_err(|text| Problem::new(FIELD, text)),
            None => Ok(()),
        }
    }

    /// At most one problem of each kind.
    pub(super) fn contradictions(&self, fields: &SpecFields) -> Vec<Problem> {
        let entries = super::authority::more_than_clock_entries(&self.members, fields);
        let found = [
            // Who doesn't make blocks needs no entry.
            entries.filter(|_| self.work().is_none()),
            useless_member_key(&self.members),
            self.work_without_owner(fields),
        ];
        found.into_iter().flatten().collect()
    }

    /// Whoever finds a block is called what it likes. Where a name belongs to whoever signs first, its fees would be anybody's.
    fn work_without_owner(&self, fields: &SpecFields) -> Option<Problem> {
        let is_free = self.work().is_some()
            && fields.rules.balances
            && fields.terms.fees_to == FeesTo::Producer
            && fields.rules.identity == super::Identity::Open;
        let problem = "anybody speaks for the account that a block's fees go to";
        is_free.then(|| Problem::new("rules.identity", problem).beside("fees_to"))
    }

    /// Appends the canonical encoding, behind the tag of the form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.name.number());
        match &self.membership {
            Membership::Anyone => out.push(0),
            Membership::Listed => out.push(1),
            Membership::Staked(stake) => {
                out.push(2);
                codec::put_u32(out, stake.epoch);
                codec::put_u32(out, stake.members_max);
                codec::put_u32(out, stake.release_delay);
                out.push(stake.delegation.into());
            }
        }
        codec::put_count(out, self.members.len());
        for member in &self.members {
            codec::put_bytes(out, member.name.as_bytes());
            out.extend_from_slice(member.key.as_bytes());
            codec::put_u64(out, member.weight);
        }
        match self.proposer {
            Proposer::Open => out.push(0),
            Proposer::Turn => out.push(1),
            Proposer::WeightedTurn => out.push(2),
            Proposer::Seeded { epoch } => {
                out.push(3);
                codec::put_u32(out, epoch);
            }
        }
        match &self.seal {
            SealRule::Signature => out.push(0),
            SealRule::Quorum(quorum) => {
                out.push(1);
                put_quorum(out, *quorum);
            }
            SealRule::Work(work) => {
                out.push(2);
                codec::put_u64(out, work.difficulty);
                out.push(work.retarget.number());
                codec::put_u32(out, work.interval);
            }
        }
        out.push(self.checkpoints.is_some().into());
        if let Some(checkpoints) = &self.checkpoints {
            codec::put_u32(out, checkpoints.interval);
            put_quorum(out, checkpoints.quorum);
        }
        self.penalties.encode(out);
    }

    /// Reads what stands behind the tag of the form.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: read_word(reader, ConsensusName::from_number)?,
            membership: decode_membership(reader)?,
            members: decode_members(reader)?,
            proposer: decode_proposer(reader)?,
            seal: decode_seal(reader)?,
            checkpoints: match reader.flag("checkpoints")? {
                false => None,
                true => Some(Checkpoints {
                    interval: reader.u32("checkpoints")?,
                    quorum: read_quorum(reader)?,
                }),
            },
            penalties: Penalties::decode(reader)?,
        })
    }
}

impl Penalties {
    fn encode(&self, out: &mut Vec<u8>) {
        for part in [self.double_signing, self.offline, self.byzantine] {
            out.extend_from_slice(&part.to_le_bytes());
        }
        codec::put_u32(out, self.evidence_blocks);
        codec::put_u32(out, self.offline_after);
        out.push(self.treasury.is_some().into());
        if let Some(name) = &self.treasury {
            codec::put_bytes(out, name.as_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = || reader.array("penalties").map(u16::from_le_bytes);
        let [double_signing, offline, byzantine] = [part()?, part()?, part()?];
        Ok(Self {
            double_signing,
            offline,
            byzantine,
            evidence_blocks: reader.u32("penalties")?,
            offline_after: reader.u32("penalties")?,
            treasury: match reader.flag("penalties")? {
                false => None,
                true => Some(reader.name("penalties")?.to_owned()),
            },
        })
    }
}

fn refuse<T>(field: &'static str, problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::new(field, problem))
}

fn check_quorum(quorum: Quorum, total: u64) -> Result<(), Problem> {
    let denominator = quorum.denominator();
    if denominator > DENOMINATOR_MAX {
        let problem = format!(
            "{}/{denominator}, the denominator is at most {DENOMINATOR_MAX}",
            quorum.numerator()
        );
        return refuse("consensus.quorum", problem);
    }
    let fits = quorum.check_total(total.into());
    fits.map_err(|error| Problem::new("consensus.authorities", error.problem))
}

fn put_quorum(out: &mut Vec<u8>, quorum: Quorum) {
    codec::put_u32(out, quorum.numerator());
    codec::put_u32(out, quorum.denominator());
}

fn read_quorum(reader: &mut Reader<'_>) -> Result<Quorum, DecodeError> {
    let start = reader.clone();
    let (numerator, denominator) = (reader.u32("quorum")?, reader.u32("quorum")?);
    let problem = DecodeProblem::Value("no quorum");
    Quorum::new(numerator, denominator).map_err(|_| start.error("quorum", problem))
}

fn read_word<T>(
    reader: &mut Reader<'_>,
    from_number: fn(u8) -> Option<T>,
) -> Result<T, DecodeError> {
    let start = reader.clone();
    let number = reader.u8(CONSENSUS)?;
    from_number(number).ok_or_else(|| start.error(CONSENSUS, DecodeProblem::Tag(number)))
}

fn decode_membership(reader: &mut Reader<'_>) -> Result<Membership, DecodeError> {
    let start = reader.clone();
    match reader.u8("membership")? {
        0 => Ok(Membership::Anyone),
        1 => Ok(Membership::Listed),
        2 => Ok(Membership::Staked(StakeTerms {
            epoch: reader.u32("epoch")?,
            members_max: reader.u32("members_max")?,
            release_delay: reader.u32("release_delay")?,
            delegation: reader.flag("delegation")?,
        })),
        tag => Err(start.error("membership", DecodeProblem::Tag(tag))),
    }
}

fn decode_members(reader: &mut Reader<'_>) -> Result<Vec<Authority>, DecodeError> {
    const FIELD: &str = "authorities";
    let count = reader.count(FIELD, SPEC_ENTRIES_MAX, 45)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(Authority {
            name: reader.name(FIELD)?.to_owned(),
            key: crate::format::signature::PublicKey::from_bytes(reader.array(FIELD)?),
            weight: reader.u64(FIELD)?,
        });
    }
    Ok(members)
}

fn decode_proposer(reader: &mut Reader<'_>) -> Result<Proposer, DecodeError> {
    let start = reader.clone();
    match reader.u8("proposer")? {
        0 => Ok(Proposer::Open),
        1 => Ok(Proposer::Turn),
        2 => Ok(Proposer::WeightedTurn),
        3 => Ok(Proposer::Seeded {
            epoch: reader.u32("seed_epoch")?,
        }),
        tag => Err(start.error("proposer", DecodeProblem::Tag(tag))),
    }
}

fn decode_seal(reader: &mut Reader<'_>) -> Result<SealRule, DecodeError> {
    let start = reader.clone();
    match reader.u8("seal")? {
        0 => Ok(SealRule::Signature),
        1 => Ok(SealRule::Quorum(read_quorum(reader)?)),
        2 => Ok(SealRule::Work(WorkTerms {
            difficulty: reader.u64("difficulty")?,
            retarget: read_word(reader, Retarget::from_number)?,
            interval: reader.u32("difficulty_adjustment_interval")?,
        })),
        tag => Err(start.error("seal", DecodeProblem::Tag(tag))),
    }
}

/// The total weight times any denominator stays within 64 bits.
const _: () =
    assert!(WEIGHT_MAX as u128 * (DENOMINATOR_MAX as u128) < 1 << 64 && WEIGHT_MAX < NUMBER_MAX);
