//! Following a chain by its headers alone, from genesis or from one that is trusted: who its members are, what they signed, how much work is in
//! it, and what of it is final. For clients, bridges, and whoever has no room for blocks.
//!
//! A header names the root over the members of the next height. So a client that knows the members of one height knows those of every later
//! one, if it is shown the lists where they change. Where certificates seal, it may [leave out](LightClient::skip) any number of headers, as long
//! as members of more than two thirds of the weight that it knows have signed the one that it goes to.
//!
//! What headers don't tell is not checked: transactions, the state, who had put up what. Whose turn it was is checked where it follows from the
//! members; where a seed chooses, any member passes.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZero;
use std::thread;

use super::Claims;
use super::headers::{self, Parent};
use crate::consensus::{self, WorkSoFar};
use crate::format::FormatVersion;
use crate::format::merkle::{Frontier, history_leaf};
use crate::format::model::{Header, Seal};
use crate::format::rejection::{Fault, Reason, Rejected};
use crate::format::signature::Verifier;
use crate::format::spec::{
    Authority, ChainSpec, Finality, Proposer, Quorum, SealRule, members_root,
};
use crate::state::tables::Turns;

/// Headers whose seals are checked together: enough for large batches, and few enough to keep them in memory.
const BATCH: usize = 4096;

/// A header with its seal, as somebody hands them on.
#[derive(Debug, Clone)]
pub struct Step {
    /// The header.
    pub header: Header,
    /// What is behind it. No hash covers it.
    pub seal: Seal,
    /// The members of the next height, where they aren't those of this one.
    pub members: Option<Vec<Authority>>,
}

/// What a client knows of a chain. Memory: the members, and as many times as the difficulty follows from.
#[derive(Debug, Clone)]
pub struct LightClient {
    spec: ChainSpec,
    last: Header,
    /// Over all hashes up to the last header; none after headers were left out.
    history: Option<Frontier>,
    /// Those of the next height.
    members: Vec<Authority>,
    /// The priorities before the next height, where turns are weighted and all headers were seen.
    turns: Option<Turns>,
    work: Option<WorkSoFar>,
    /// Times of the last headers, the latest last.
    times: VecDeque<u64>,
    /// Whether it has seen all that the difficulty follows from.
    knows_work: bool,
}

impl LightClient {
    /// A client that knows the specification, from which genesis follows.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let genesis = spec.genesis();
        let mut history = Frontier::new();
        history.push(history_leaf(&genesis.hash()));
        let members = spec.at(1).composition().members.clone();
        let turns = Self::first_turns(&spec, 1, &members);
        Self {
            last: genesis.header().clone(),
            history: Some(history),
            members,
            turns,
            work: None,
            times: VecDeque::new(),
            knows_work: true,
            spec,
        }
    }

    /// A client that believes a header, for whatever reason, and is shown the members of the height after it.
    ///
    /// # Errors
    /// `chain` of a header of another one; `members_root` of other members; `difficulty` where work seals, which has to be followed from
    /// genesis on.
    pub fn trusting(
        spec: ChainSpec,
        header: Header,
        members: Vec<Authority>,
    ) -> Result<Self, Fault> {
        let own = spec.at(header.height);
        if header.chain != own.id() {
            let detail = format!("of chain {}, this is {}", header.chain, own.id());
            return Err(Fault::new(Reason::Chain, detail));
        }
        let next = spec.at(header.height.saturating_add(1));
        match own.version {
            FormatVersion::V2 => check_members(&header, &members)?,
            // Its headers name no members, since no block changes any.
            FormatVersion::V1 if members == next.composition().members => {}
            FormatVersion::V1 => {
                let detail = "not the members that the specification lists";
                return Err(Fault::new(Reason::MembersRoot, detail));
            }
        }
        if own.composition().work().is_some() {
            let detail = "how much work is asked for follows from the headers since genesis";
            return Err(Fault::new(Reason::Difficulty, detail));
        }
        Ok(Self {
            last: header,
            history: None,
            members,
            turns: None,
            work: None,
            times: VecDeque::new(),
            knows_work: false,
            spec,
        })
    }

    /// The specification that it knows.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The last header that it followed to.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.last
    }

    /// The members of the height after it.
    #[must_use]
    pub fn members(&self) -> &[Authority] {
        &self.members
    }

    /// The height up to which the chain is final, as far as headers tell: certificates make every block final, and what is deep enough is.
    /// Checkpoints are in the state, of which the last header names the root.
    #[must_use]
    pub fn final_height(&self) -> u64 {
        let (height, spec) = (self.last.height, self.spec.at(self.last.height));
        match (&spec.composition().seal, spec.terms.finality) {
            (SealRule::Quorum(_), _) | (_, Finality::Immediate) => height,
            (_, Finality::Depth(blocks)) => height.saturating_sub(blocks.into()),
        }
    }

    /// Follows headers one after the other. Those before a faulty one are taken. O(members) each, and their signatures in large batches
    /// on all cores.
    ///
    /// # Errors
    /// The first header that isn't right, with its height and what is wrong: a rule, or a signature.
    pub fn follow(
        &mut self,
        steps: &[Step],
        now_us: u64,
        verifier: &Verifier,
    ) -> Result<(), Rejected> {
        for steps in steps.chunks(BATCH) {
            self.follow_batch(steps, now_us, verifier)?;
        }
        Ok(())
    }

    fn follow_batch(
        &mut self,
        steps: &[Step],
        now_us: u64,
        verifier: &Verifier,
    ) -> Result<(), Rejected> {
        let mut ahead = self.clone();
        let mut claims = Claims::default();
        let mut broken = None;
        for (number, step) in (0u32..).zip(steps) {
            let mut judged = ahead.judge(step, now_us);
            if judged.is_ok() {
                // By those whom the seal was judged by: with others, places beyond them would claim nothing, and nobody would check these.
                if !ahead.spec.is_imported(step.header.height) {
                    claims.add_seal_of(number, &ahead.members, &step.header, &step.seal);
                }
                judged = ahead.go_to(&step.header, step.members.as_deref());
            }
            if let Err(fault) = judged {
                broken = Some((number as usize, fault));
                break;
            }
        }
        if let Some((number, fault)) = first_bad(&claims, verifier) {
            for step in &steps[..number] {
                // Judged a moment ago.
                let _ = self.take(step, now_us);
            }
            return Err(rejected(&steps[number].header, fault));
        }
        *self = ahead;
        match broken {
            Some((number, fault)) => Err(rejected(&steps[number].header, fault)),
            None => Ok(()),
        }
    }

    /// Takes the next header, if every rule but its signatures holds.
    fn take(&mut self, step: &Step, now_us: u64) -> Result<(), Fault> {
        self.judge(step, now_us)?;
        self.go_to(&step.header, step.members.as_deref())
    }

    /// Whether the next header keeps to every rule but those about its signatures and the members after it.
    fn judge(&self, step: &Step, now_us: u64) -> Result<(), Fault> {
        let Step { header, seal, .. } = step;
        let parent = Parent::of_header(&self.last, self.history.as_ref());
        headers::check(&self.spec, &parent, header, Some(now_us))?;
        match self.spec.is_imported(header.height) {
            true => Ok(()),
            false => self.check_seal(header, seal),
        }
    }

    fn check_seal(&self, header: &Header, seal: &Seal) -> Result<(), Fault> {
        let turns = self.turns.as_ref();
        consensus::check_seal_by(&self.spec, &self.members, turns, header, seal)?;
        if !self.knows_work {
            return Ok(());
        }
        let last = self.last.height;
        let time_of = |height: u64| {
            let back = usize::try_from(last.checked_sub(height)?).ok()?;
            let at = self.times.len().checked_sub(back + 1)?;
            self.times.get(at).copied()
        };
        consensus::check_difficulty_by(&self.spec, self.work.as_ref(), time_of, header)
    }

    /// Makes a header the last one.
    fn go_to(&mut self, header: &Header, members: Option<&[Authority]>) -> Result<(), Fault> {
        let next = header.height.saturating_add(1);
        let spec = self.spec.at(next);
        let follows = match members {
            Some(members) => {
                check_members(header, members)?;
                Some(members.to_vec())
            }
            // A specification that takes over says itself who its members are.
            None if next == spec.first_height() => Some(spec.composition().members.clone()),
            None => {
                if consensus::changes_members(&self.spec, header.height) {
                    check_members(header, &self.members)?;
                }
                None
            }
        };
        let members = follows.unwrap_or_else(|| self.members.clone());
        self.turns = match &self.turns {
            Some(turns) if turns.height == header.height => {
                Some(consensus::turns_after(turns, &self.members, &members))
            }
            _ if next == spec.first_height() => Self::first_turns(spec, next, &members),
            _ => None,
        };
        self.note_work(header);
        if let Some(history) = &mut self.history {
            history.push(history_leaf(&header.hash()));
        }
        self.members = members;
        self.last = header.clone();
        Ok(())
    }

    fn first_turns(spec: &ChainSpec, height: u64, members: &[Authority]) -> Option<Turns> {
        let is_weighted = spec.at(height).composition().proposer == Proposer::WeightedTurn;
        is_weighted.then(|| consensus::first_turns(height, members))
    }

    fn note_work(&mut self, header: &Header) {
        let spec = self.spec.at(header.height);
        let Some(work) = spec.composition().work() else {
            self.work = None;
            return;
        };
        let (height, time) = (header.height, header.timestamp);
        let first = self.work.map_or((height, time), |so_far| so_far.first);
        self.work = Some(WorkSoFar {
            first,
            last: (height, time, header.difficulty),
        });
        self.times.push_back(time);
        if self.times.len() > work.interval as usize {
            self.times.pop_front();
        }
    }

    /// Goes to a header further on without those between, by its certificate. `before` is the header right before it, which names the
    /// members who sign it; `members` are these, and `step.members` those of the height after, if they are others.
    ///
    /// # Errors
    /// `seal` where no certificates seal; `quorum` if members of no more than two thirds of the weight that is known signed it: then a header
    /// between has to come first. Else as [`LightClient::follow`].
    pub fn skip(
        &mut self,
        before: &Header,
        members: &[Authority],
        step: &Step,
        now_us: u64,
        verifier: &Verifier,
    ) -> Result<(), Rejected> {
        let skipped = self.skipped(before, members, step, now_us, verifier);
        *self = skipped.map_err(|fault| rejected(&step.header, fault))?;
        Ok(())
    }

    fn skipped(
        &self,
        before: &Header,
        members: &[Authority],
        step: &Step,
        now_us: u64,
        verifier: &Verifier,
    ) -> Result<Self, Fault> {
        let header = &step.header;
        if before.height <= self.last.height {
            let detail = format!("{} is not above {}", before.height, self.last.height);
            return Err(Fault::new(Reason::Height, detail));
        }
        let own = self.spec.at(before.height);
        if before.chain != own.id() || own.first_height() > self.last.height.max(1) {
            let detail = "a header of another specification can't be skipped to";
            return Err(Fault::new(Reason::Chain, detail));
        }
        if before.timestamp <= self.last.timestamp {
            let detail = format!("{} is not after {}", before.timestamp, self.last.timestamp);
            return Err(Fault::new(Reason::Timestamp, detail));
        }
        check_members(before, members)?;
        let Seal::Quorum(certificate) = &step.seal else {
            let detail = "only a certificate tells that the members are behind a header";
            return Err(Fault::new(Reason::Seal, detail));
        };
        let known = |place: usize| {
            let member = members.get(place)?;
            let mut known = self.members.iter();
            known.position(|one| one.name == member.name && one.key == member.key)
        };
        // Each once: nothing but `before`, which may be made up, vouches for a list, and one member could be in it many times.
        let signers: BTreeSet<usize> = certificate.signers().filter_map(known).collect();
        let signed: u64 = signers
            .iter()
            .filter_map(|place| Some(self.members.get(*place)?.weight))
            .sum();
        let total: u64 = self.members.iter().map(|member| member.weight).sum();
        if !Quorum::TWO_THIRDS.is_reached(signed, total) {
            let detail = format!(
                "of the members that are known, {signed} of {total} signed: a header between has to come first"
            );
            return Err(Fault::new(Reason::Quorum, detail));
        }
        let mut client = Self {
            spec: self.spec.clone(),
            last: before.clone(),
            history: None,
            members: members.to_vec(),
            turns: None,
            work: None,
            times: VecDeque::new(),
            knows_work: false,
        };
        client.take(step, now_us)?;
        let mut claims = Claims::default();
        claims.add_seal_of(0, members, header, &step.seal);
        match first_bad(&claims, verifier) {
            Some((_, fault)) => Err(fault),
            None => Ok(client),
        }
    }
}

/// That members are those that a header names for the next height.
fn check_members(header: &Header, members: &[Authority]) -> Result<(), Fault> {
    let (named, found) = (header.members_root, members_root(members));
    match named == found {
        true => Ok(()),
        false => {
            let detail = format!("header names {named}, the members give {found}");
            Err(Fault::new(Reason::MembersRoot, detail))
        }
    }
}

fn rejected(header: &Header, fault: Fault) -> Rejected {
    Rejected::block(header.height, fault.reason, fault.detail)
}

/// The first header with a bad signature, and what is wrong. On all cores.
fn first_bad(claims: &Claims, verifier: &Verifier) -> Option<(usize, Fault)> {
    /// So many are worth a thread.
    const PART_MIN: usize = 2048;
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let part = claims.len().div_ceil(threads).max(PART_MIN);
    let parts = (0..claims.len()).step_by(part);
    let parts: Vec<_> = parts
        .map(|from| from..claims.len().min(from + part))
        .collect();
    let verify = |range| claims.verify(range, verifier).into_iter().next();
    let found = thread::scope(|scope| {
        let mut parts = parts.into_iter();
        let own = parts.next();
        let others: Vec<_> = parts.map(|part| scope.spawn(|| verify(part))).collect();
        let mut found: Vec<_> = own.and_then(verify).into_iter().collect();
        for other in others {
            match other.join() {
                Ok(one) => found.extend(one),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    let (number, findings) = found.into_iter().min_by_key(|(number, _)| *number)?;
    Some((number as usize, findings.into_fault()?))
}
