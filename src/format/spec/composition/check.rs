//! Which parts of a consensus are within the limits of the format and of the chain, and which of them go together. What makes no sense is refused
//! with the reason.

use super::{
    BASIS_POINTS, Composition, ConsensusName, DENOMINATOR_MAX, Membership, Proposer,
    RELEASE_EPOCHS_MAX, SealRule, WEIGHT_MAX, WorkTerms,
};
use crate::format::payload::VALUE_MEMBERS_MAX;
use crate::format::spec::authority::{
    check_members, more_than_clock_entries, useless_member_key, weights,
};
use crate::format::spec::check::{Problem, check_name};
use crate::format::spec::{FeesTo, Finality, Identity, Parameter, Quorum, SpecFields};

/// The field of the TOML text with all of it.
const CONSENSUS: &str = "consensus";

impl Composition {
    /// That the parts are within the limits of the format and of the chain, and go together.
    pub(in crate::format::spec) fn check(&self, fields: &SpecFields) -> Result<(), Problem> {
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
        self.check_proposer(fields)?;
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

    fn check_proposer(&self, fields: &SpecFields) -> Result<(), Problem> {
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
            (Proposer::Seeded { .. }, _) if fields.rules.identity == Identity::Open => refuse(
                "rules.identity",
                "open, but where names belong to nobody, members can't reveal anything for a seed",
            ),
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
    pub(in crate::format::spec) fn contradictions(&self, fields: &SpecFields) -> Vec<Problem> {
        let entries = more_than_clock_entries(&self.members, fields);
        let found = [
            // Who shares an entry, or makes no blocks, needs none.
            entries.filter(|_| !self.shares_clock_entry()),
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
            && fields.rules.identity == Identity::Open;
        let problem = "anybody speaks for the account that a block's fees go to";
        is_free.then(|| Problem::new("rules.identity", problem).beside("fees_to"))
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
