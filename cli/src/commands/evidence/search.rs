//! What no honest member signs, searched in blocks of the same height and in the certificates of checkpoints.
//!
//! Blocks of files may be anybody's invention. So nothing counts whose signatures don't verify, and nobody is named whom the judging
//! chain doesn't find guilty.

use std::collections::{HashMap, HashSet};

use hubledger::consensus;
use hubledger::consensus::conflict::Conflict;
use hubledger::digest::BlockHash;
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence, UnauthorisedSeal};
use hubledger::model::{Block, QuorumSeal, Seal};
use hubledger::payload::Payload;
use hubledger::signature::{self, PublicKey, Signature};
use hubledger::spec::Authority;
use hubledger::vote::{Vote, VoteKind};

use super::has_good_signatures;
use super::judge::{Judge, Verdict};
use super::sources::Sighting;
use crate::failure::Result;

/// So many contradictions that convict nobody, and so many conflicts, are kept to be listed: each height of two long histories may be one.
const LISTED_MAX: usize = 100;

/// The most votes on checkpoints that are remembered, so that no file fills the memory.
const VOTES_MAX: usize = 1_000_000;

/// What was found so far.
pub(super) struct Search<'a> {
    judge: &'a Judge,
    pub(super) found: Vec<(Evidence, Verdict)>,
    /// Contradictions that are no fault, or no more: the first ones, and how many others there are.
    pub(super) convicting_nobody: Vec<(Evidence, Verdict)>,
    pub(super) convicting_nobody_unlisted: u64,
    /// Certificates that decide differently, alike.
    pub(super) conflicts: Vec<Decided>,
    pub(super) conflicts_unlisted: u64,
    /// Whether some of them are of different rounds.
    pub(super) halts: bool,
    /// Of what is in the lists: whether it convicts; key, kind of fault, height and round.
    known: HashSet<(bool, PublicKey, u8, u64, u32)>,
    /// Votes on checkpoints, for the zero block, by whom.
    votes: HashMap<(PublicKey, Vote), (Vote, Signature)>,
}

/// Two blocks that certificates of one height are for.
pub(super) struct Decided {
    pub(super) height: u64,
    pub(super) blocks: [BlockHash; 2],
    pub(super) rounds: [u32; 2],
    /// The names of those who signed both in one round; nobody if the rounds differ.
    pub(super) guilty: Vec<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(judge: &'a Judge) -> Self {
        Self {
            judge,
            found: Vec::new(),
            convicting_nobody: Vec::new(),
            convicting_nobody_unlisted: 0,
            conflicts: Vec::new(),
            conflicts_unlisted: 0,
            halts: false,
            known: HashSet::new(),
            votes: HashMap::new(),
        }
    }

    /// Looks at all blocks of a height, each of them there once.
    pub(super) fn look_at(&mut self, height: u64, blocks: &[Sighting]) -> Result {
        for (index, block) in blocks.iter().enumerate() {
            self.look_at_seal(block)?;
            if let Some(block) = &block.block {
                self.look_at_votes(block)?;
            }
            for other in &blocks[..index] {
                if other.header.hash() != block.header.hash() {
                    self.compare(height, other, block)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a block was another's to seal.
    fn look_at_seal(&mut self, block: &Sighting) -> Result {
        let Seal::Authority { key, signature } = &block.seal else {
            return Ok(());
        };
        let fault = UnauthorisedSeal::new(*key, block.header.clone(), *signature);
        let evidence = Evidence::UnauthorisedSeal(fault);
        let verdict = self.judge.verdict(&evidence)?;
        // Nearly every block is in order, which is nothing to tell.
        if verdict.is_guilty() {
            self.take(evidence, verdict);
        }
        Ok(())
    }

    fn compare(&mut self, height: u64, one: &Sighting, other: &Sighting) -> Result {
        match (&one.seal, &other.seal) {
            (
                Seal::Authority { key, signature },
                Seal::Authority {
                    key: second_key,
                    signature: second,
                },
            ) if key == second_key => {
                let one = (one.header.clone(), *signature);
                let other = (other.header.clone(), *second);
                if let Ok(fault) = DoubleProposal::new(*key, one, other) {
                    self.judge_and_take(Evidence::DoubleProposal(fault))?;
                }
                Ok(())
            }
            (Seal::Quorum(seal), Seal::Quorum(second)) => {
                self.compare_certificates(height, (one, seal), (other, second))
            }
            _ => Ok(()),
        }
    }

    fn compare_certificates(
        &mut self,
        height: u64,
        (one, seal): (&Sighting, &QuorumSeal),
        (other, second): (&Sighting, &QuorumSeal),
    ) -> Result {
        let Some(members) = self.judge.members(height) else {
            return Ok(());
        };
        let guilty = match seal.round() == second.round() {
            true => self.double_votes(&members, (one, seal), (other, second))?,
            // Whoever signed both may have had reason to ("Conflict").
            false => Vec::new(),
        };
        if !self.is_certified(one, &members) || !self.is_certified(other, &members) {
            return Ok(());
        }
        self.halts |= Conflict::between(seal, second) == Conflict::OtherRound;
        if self.conflicts.len() >= LISTED_MAX {
            self.conflicts_unlisted += 1;
            return Ok(());
        }
        self.conflicts.push(Decided {
            height,
            blocks: [one.header.hash(), other.header.hash()],
            rounds: [seal.round(), second.round()],
            guilty,
        });
        Ok(())
    }

    /// The names of members who signed two blocks in one round. A member's two votes convict it, also where too few others signed.
    fn double_votes(
        &mut self,
        members: &[Authority],
        (one, seal): (&Sighting, &QuorumSeal),
        (other, second): (&Sighting, &QuorumSeal),
    ) -> Result<Vec<String>> {
        let vote = |block: &Sighting, round| Vote {
            chain: block.header.chain,
            height: block.header.height,
            round,
            kind: VoteKind::Precommit,
            block: block.header.hash(),
        };
        let (vote, second_vote) = (vote(one, seal.round()), vote(other, second.round()));
        let by_place: HashMap<usize, Signature> = second.signed().collect();
        let mut guilty = Vec::new();
        for (place, signed) in seal.signed() {
            let (Some(member), Some(later)) = (members.get(place), by_place.get(&place)) else {
                continue;
            };
            let votes = ((vote, signed), (second_vote, *later));
            let Ok(fault) = DoubleVote::new(member.key, votes.0, votes.1) else {
                continue;
            };
            let evidence = Evidence::DoubleVote(fault);
            if has_good_signatures(&evidence) {
                guilty.push(member.name.clone());
                self.judge_and_take(evidence)?;
            }
        }
        Ok(guilty)
    }

    /// Whether a certificate is one: of a quorum of these members, whose signatures all hold.
    fn is_certified(&self, block: &Sighting, members: &[Authority]) -> bool {
        let (spec, header, seal) = (self.judge.spec(), &block.header, &block.seal);
        let mut is_good = header.chain == spec.at(header.height).id()
            && consensus::check_seal_by(spec, members, None, header, seal).is_ok();
        if is_good {
            consensus::claims_by(members, header, seal, |key, message, signed| {
                is_good &= signature::verify(&key, message, &signed).is_ok();
            });
        }
        is_good
    }

    /// Remembers the votes of certificates that the block carries for checkpoints, and finds those that contradict earlier ones.
    fn look_at_votes(&mut self, block: &Block) -> Result {
        let spec = self.judge.spec().at(block.height());
        if spec.composition().checkpoints.is_none() {
            return Ok(());
        }
        for transaction in block.transactions() {
            if let Some(Payload::Certify(certify)) = Payload::said_in(spec, transaction) {
                for (key, signature) in certify.signed() {
                    self.look_at_vote(*certify.vote(), *key, *signature)?;
                }
            }
        }
        Ok(())
    }

    fn look_at_vote(&mut self, vote: Vote, key: PublicKey, signed: Signature) -> Result {
        if signature::verify(&key, &vote.message(), &signed).is_err() {
            return Ok(());
        }
        let subject = Vote {
            block: BlockHash([0; 32]),
            ..vote
        };
        let earlier = self.votes.get(&(key, subject)).copied();
        match earlier {
            Some(earlier) => {
                if let Ok(fault) = DoubleVote::new(key, earlier, (vote, signed)) {
                    self.judge_and_take(Evidence::DoubleVote(fault))?;
                }
            }
            None if self.votes.len() < VOTES_MAX => {
                self.votes.insert((key, subject), (vote, signed));
            }
            None => {}
        }
        Ok(())
    }

    fn judge_and_take(&mut self, evidence: Evidence) -> Result {
        let verdict = self.judge.verdict(&evidence)?;
        self.take(evidence, verdict);
        Ok(())
    }

    /// Takes what has good signatures, once for each fault: further statements of one round say no more against a member.
    fn take(&mut self, evidence: Evidence, verdict: Verdict) {
        let convicts = verdict.convicts();
        if !convicts && self.convicting_nobody.len() >= LISTED_MAX {
            self.convicting_nobody_unlisted += 1;
            return;
        }
        let (kind, height, round) = (evidence.tag(), evidence.height(), evidence.round());
        let fault = (convicts, evidence.key(), kind, height, round);
        if !self.known.contains(&fault) && has_good_signatures(&evidence) {
            self.known.insert(fault);
            let list = match convicts {
                true => &mut self.found,
                false => &mut self.convicting_nobody,
            };
            list.push((evidence, verdict));
        }
    }
}
