//! The table `consensus` of the TOML text: the name of a composition, which says what its parts are, and what is to be otherwise.

use serde::{Deserialize, Serialize};

use super::check::Problem;
use super::{
    Authority, Checkpoints, Composition, Consensus, ConsensusName, Membership, Penalties, Proposer,
    Quorum, Retarget, SealRule, StakeTerms,
};

/// The fields of every name. Not an enum with its kind as a tag: that would be read in two steps, and the second doesn't know the
/// lines any more.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsensusToml {
    kind: ConsensusName,
    /// Of proof of authority: [`Proposer::Turn`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round_robin: Option<bool>,
    /// The time between two blocks in seconds, as MPREG writes it; the specification's `block_time_us` is finer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block_time_target: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposer: Option<ProposerWord>,
    /// Written where it isn't the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    membership: Option<MembershipWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed_epoch: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<SealWord>,
    /// `n/d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorum: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members_max: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release_delay: Option<u32>,
    /// Written where it isn't the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegation: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    difficulty: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    difficulty_rule: Option<Retarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    difficulty_adjustment_interval: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint_interval: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authorities: Vec<Authority>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    penalties: Option<PenaltiesToml>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProposerWord {
    Open,
    Turn,
    WeightedTurn,
    Seeded,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MembershipWord {
    Anyone,
    Listed,
    Staked,
}

impl MembershipWord {
    const fn of(membership: &Membership) -> Self {
        match membership {
            Membership::Anyone => Self::Anyone,
            Membership::Listed => Self::Listed,
            Membership::Staked(_) => Self::Staked,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SealWord {
    Signature,
    Quorum,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PenaltiesToml {
    double_signing_bp: u16,
    offline_bp: u16,
    byzantine_bp: u16,
    evidence_blocks: u32,
    offline_after: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    treasury: Option<String>,
}

impl Default for PenaltiesToml {
    fn default() -> Self {
        Self::of(&Penalties::default())
    }
}

impl PenaltiesToml {
    fn of(penalties: &Penalties) -> Self {
        Self {
            double_signing_bp: penalties.double_signing,
            offline_bp: penalties.offline,
            byzantine_bp: penalties.byzantine,
            evidence_blocks: penalties.evidence_blocks,
            offline_after: penalties.offline_after,
            treasury: penalties.treasury.clone(),
        }
    }

    fn read(self) -> Penalties {
        Penalties {
            double_signing: self.double_signing_bp,
            offline: self.offline_bp,
            byzantine: self.byzantine_bp,
            evidence_blocks: self.evidence_blocks,
            offline_after: self.offline_after,
            treasury: self.treasury,
        }
    }
}

impl ConsensusToml {
    /// With every field that its parts have.
    pub(super) fn of(consensus: &Consensus) -> Self {
        let parts = consensus.composition().into_owned();
        let is_plain = parts.is_plain();
        let (work, stake) = (parts.work().copied(), parts.stake().cloned());
        let quorum = parts.quorum();
        let own = Composition::named(parts.name, Vec::new());
        let membership = MembershipWord::of(&parts.membership);
        let delegates = |parts: &Composition| parts.stake().is_some_and(|stake| stake.delegation);
        let unless_plain = |word| (!is_plain && parts.work().is_none()).then_some(word);
        Self {
            kind: parts.name,
            round_robin: is_plain.then_some(parts.proposer == Proposer::Turn),
            block_time_target: None,
            proposer: unless_plain(()).map(|()| match parts.proposer {
                Proposer::Open => ProposerWord::Open,
                Proposer::Turn => ProposerWord::Turn,
                Proposer::WeightedTurn => ProposerWord::WeightedTurn,
                Proposer::Seeded { .. } => ProposerWord::Seeded,
            }),
            seed_epoch: match parts.proposer {
                Proposer::Seeded { epoch } => Some(epoch),
                _ => None,
            },
            seal: unless_plain(()).map(|()| match parts.seal {
                SealRule::Quorum(_) => SealWord::Quorum,
                SealRule::Signature | SealRule::Work(_) => SealWord::Signature,
            }),
            quorum: quorum.map(|part| format!("{}/{}", part.numerator(), part.denominator())),
            epoch: stake.as_ref().map(|stake| stake.epoch),
            members_max: stake.as_ref().map(|stake| stake.members_max),
            release_delay: stake.as_ref().map(|stake| stake.release_delay),
            membership: (membership != MembershipWord::of(&own.membership)).then_some(membership),
            delegation: stake
                .map(|stake| stake.delegation)
                .filter(|delegation| *delegation != delegates(&own)),
            difficulty: work.map(|work| work.difficulty),
            difficulty_rule: work.map(|work| work.retarget),
            difficulty_adjustment_interval: work.map(|work| work.interval),
            checkpoint_interval: parts.checkpoints.map(|one| one.interval),
            penalties: (!is_plain
                && (parts.work().is_none() || parts.penalties != Penalties::default()))
            .then(|| PenaltiesToml::of(&parts.penalties)),
            authorities: parts.members,
        }
    }

    /// The time between two blocks, which the text may give here or beside the table, but not both in two ways.
    pub(super) fn block_time_us(&self, beside: Option<u64>) -> Result<Option<u64>, Problem> {
        const FIELD: &str = "consensus.block_time_target";
        let Some(seconds) = self.block_time_target else {
            return Ok(beside);
        };
        let Some(us) = seconds.checked_mul(1_000_000) else {
            let problem = format!("{seconds} seconds are no time");
            return Err(Problem::new(FIELD, problem));
        };
        match beside {
            Some(other) if other != us => {
                let problem = format!("{seconds} seconds, but block_time_us is {other} µs");
                Err(Problem::new(FIELD, problem).beside("block_time_us"))
            }
            _ => Ok(Some(us)),
        }
    }

    /// The composition that the table names, with what it says otherwise.
    pub(super) fn read(self) -> Result<Consensus, Problem> {
        let mut parts = Composition::named(self.kind, self.authorities);
        match (self.kind, self.round_robin) {
            (_, None) => {}
            (ConsensusName::ProofOfAuthority, Some(true)) => parts.proposer = Proposer::Turn,
            (ConsensusName::ProofOfAuthority, Some(false)) => {}
            (_, Some(_)) => return Err(foreign("consensus.round_robin", "proposer = \"turn\"")),
        }
        match self.proposer {
            None => {}
            Some(ProposerWord::Open) => parts.proposer = Proposer::Open,
            Some(ProposerWord::Turn) => parts.proposer = Proposer::Turn,
            Some(ProposerWord::WeightedTurn) => parts.proposer = Proposer::WeightedTurn,
            Some(ProposerWord::Seeded) => parts.proposer = Proposer::Seeded { epoch: 30 },
        }
        match (&mut parts.proposer, self.seed_epoch) {
            (_, None) => {}
            (Proposer::Seeded { epoch }, Some(heights)) => *epoch = heights,
            _ => return Err(foreign("consensus.seed_epoch", "proposer = \"seeded\"")),
        }
        read_seal(&mut parts, self.seal, self.quorum.as_deref())?;
        match self.membership {
            Some(word) if word != MembershipWord::of(&parts.membership) => {
                parts.membership = membership(word);
            }
            _ => {}
        }
        let stakes = [self.epoch, self.members_max, self.release_delay];
        match &mut parts.membership {
            Membership::Staked(stake) => {
                set_stake(stake, stakes);
                stake.delegation = self.delegation.unwrap_or(stake.delegation);
            }
            _ if stakes.iter().any(Option::is_some) || self.delegation.is_some() => {
                return Err(foreign(
                    "consensus.epoch",
                    "a kind whose members put up stakes",
                ));
            }
            _ => {}
        }
        match &mut parts.seal {
            SealRule::Work(work) => {
                work.difficulty = self.difficulty.unwrap_or(work.difficulty);
                work.retarget = self.difficulty_rule.unwrap_or(work.retarget);
                let interval = self.difficulty_adjustment_interval;
                work.interval = interval.unwrap_or(work.interval);
            }
            _ if self.difficulty.is_some()
                || self.difficulty_rule.is_some()
                || self.difficulty_adjustment_interval.is_some() =>
            {
                return Err(foreign("consensus.difficulty", "a kind with work"));
            }
            _ => {}
        }
        match (&mut parts.checkpoints, self.checkpoint_interval) {
            (_, None) => {}
            (Some(checkpoints), Some(interval)) => checkpoints.interval = interval,
            (None, Some(_)) => {
                return Err(foreign(
                    "consensus.checkpoint_interval",
                    "kind = \"hybrid\"",
                ));
            }
        }
        if let Some(penalties) = self.penalties {
            parts.penalties = penalties.read();
        }
        Ok(Consensus::of(parts))
    }
}

/// Another membership than that of the kind, before the table says more of it.
fn membership(word: MembershipWord) -> Membership {
    match word {
        MembershipWord::Anyone => Membership::Anyone,
        MembershipWord::Listed => Membership::Listed,
        MembershipWord::Staked => {
            Composition::named(ConsensusName::ProofOfStake, Vec::new()).membership
        }
    }
}

fn set_stake(stake: &mut StakeTerms, [epoch, members_max, release_delay]: [Option<u32>; 3]) {
    stake.epoch = epoch.unwrap_or(stake.epoch);
    stake.members_max = members_max.unwrap_or(stake.members_max);
    stake.release_delay = release_delay.unwrap_or(stake.release_delay);
}

fn read_seal(
    parts: &mut Composition,
    seal: Option<SealWord>,
    quorum: Option<&str>,
) -> Result<(), Problem> {
    match (seal, parts.work().is_some()) {
        (None, _) => {}
        (Some(_), true) => return Err(foreign("consensus.seal", "a kind without work")),
        (Some(SealWord::Signature), _) => parts.seal = SealRule::Signature,
        (Some(SealWord::Quorum), _) => parts.seal = SealRule::Quorum(Quorum::TWO_THIRDS),
    }
    let Some(text) = quorum else {
        return Ok(());
    };
    let fraction = text.split_once('/').and_then(|(numerator, denominator)| {
        let part = |text: &str| text.trim().parse::<u32>().ok();
        Some((part(numerator)?, part(denominator)?))
    });
    let Some((numerator, denominator)) = fraction else {
        let problem = format!("{text:?} is no part of a whole such as \"2/3\"");
        return Err(Problem::new("consensus.quorum", problem));
    };
    let new = Quorum::new(numerator, denominator)
        .map_err(|error| Problem::new("consensus.quorum", error.problem))?;
    match (&mut parts.seal, &mut parts.checkpoints) {
        (SealRule::Quorum(quorum), _) | (_, Some(Checkpoints { quorum, .. })) => *quorum = new,
        _ => {
            return Err(foreign(
                "consensus.quorum",
                "seal = \"quorum\" or kind = \"hybrid\"",
            ));
        }
    }
    Ok(())
}

/// A field that goes with something else than what the table has.
fn foreign(field: &'static str, with: &str) -> Problem {
    Problem::new(field, format!("this goes with {with}"))
}
