//! Chains whose members seal together and change while they run: by votes, or by what stands behind them. Whoever is a member signs with the key
//! of its own name.

mod histories;

pub use self::histories::{
    History, double_vote, federation, listed, staked, staked_quorum, taken_over, vote_for, voted,
};

use super::{Chain, key};
use crate::consensus;
use crate::format::model::{Block, Header, QuorumSeal, Seal, Transaction};
use crate::format::payload::Payload;
use crate::format::signature::KeyPair;
use crate::format::spec::{Authority, SealRule};
use crate::format::vote::{Vote, VoteKind};
use crate::rules::light::Step;
use crate::rules::produce::draft;
use crate::state::State;

impl Chain {
    /// The members of a height, at most two above the last block's, in turn order.
    pub fn members(&self, height: u64) -> Vec<Authority> {
        consensus::members(self.spec(), self.state(), height).into_owned()
    }

    /// Who proposes the next block in a round; where any member may, the first, and where anybody may, `hub-0`.
    pub fn due_proposer(&self, round: u32) -> String {
        let members = self.members(self.state().height() + 1);
        let place = consensus::proposer(self.spec(), self.state(), round);
        let member = members.get(place.unwrap_or(0));
        match self.spec().composition().work() {
            Some(_) => super::hub(0),
            None => member.unwrap().name.clone(),
        }
    }

    /// The next block as it has to be, whatever the consensus: by the proposer of a round, and where a quorum seals, with the signatures of all
    /// members but those at the places `absent`.
    pub fn due(&self, round: u32, absent: &[usize], transactions: &[Transaction]) -> Block {
        let drafted = self.drafted(&self.due_proposer(round), transactions, self.now());
        self.sealed_as_due(drafted, round, absent)
    }

    /// The next block by somebody at a time, without a seal.
    pub fn drafted(&self, producer: &str, transactions: &[Transaction], now_us: u64) -> Block {
        draft(self.spec(), self.state(), producer, transactions, now_us).unwrap()
    }

    /// A draft with the work and the seal that it needs.
    pub fn sealed_as_due(&self, drafted: Block, round: u32, absent: &[usize]) -> Block {
        let header = drafted.header().clone();
        let header = consensus::with_work(self.spec(), header, 1 << 24).unwrap();
        let seal = self.seal_of(&header, &header.producer, round, absent);
        Block::assemble(header, seal, drafted.transactions()).unwrap()
    }

    /// The seal that a header needs at the next height: of its producer alone, or of all members but those at the places `absent`.
    pub fn seal_of(&self, header: &Header, producer: &str, round: u32, absent: &[usize]) -> Seal {
        let members = self.members(header.height);
        let signing = (0..).zip(&members);
        let signing = signing.filter(|(place, _)| !absent.contains(place));
        let keys: Vec<KeyPair> = match &self.spec().composition().seal {
            SealRule::Quorum(_) => signing.map(|(_, member)| key(&member.name)).collect(),
            SealRule::Signature | SealRule::Work(_) => vec![key(producer)],
        };
        let keys: Vec<&KeyPair> = keys.iter().collect();
        consensus::seal_by(self.spec(), self.state(), &keys, round, header)
    }

    /// Appends the next block as it has to be.
    #[track_caller]
    pub fn grow(&mut self, transactions: &[Transaction]) {
        self.push(self.due(0, &[], transactions));
    }

    /// A transaction in which `sender` says this to the chain.
    pub fn says(&self, sender: &str, nonce: u64, payload: &Payload) -> Transaction {
        self.signed(sender, nonce, |draft| {
            draft.operation = payload.operations()[0];
            draft.payload = payload.encode();
        })
    }

    /// What a light client needs of the blocks after genesis: of each the members of the height after it where they are others.
    pub fn steps(&self) -> Vec<Step> {
        let state = self.state();
        let step = |block: &Block| {
            let after = |height| members_at(self, state, height);
            let (own, next) = (after(block.height()), after(block.height() + 1));
            // A specification that takes over says itself who they are.
            let is_told = self.spec().at(block.height() + 1).first_height() == block.height() + 1;
            Step {
                header: block.header().clone(),
                seal: block.seal().clone(),
                members: (own != next && !is_told).then_some(next),
            }
        };
        self.blocks[1..].iter().map(step).collect()
    }
}

fn members_at(chain: &Chain, state: &State, height: u64) -> Vec<Authority> {
    consensus::members(chain.spec(), state, height).into_owned()
}

/// The block under a seal with right signatures by keys that are nobody's: of as many strangers as have signed it, at their places.
pub fn sealed_by_strangers(block: &Block) -> Block {
    let strangers = |place: usize| key(&format!("stranger {place}"));
    sealed_by(block, strangers)
}

/// The block under a seal with right signatures by `key_of` each place that has signed it; of one signature, the first.
pub fn sealed_by(block: &Block, key_of: impl Fn(usize) -> KeyPair) -> Block {
    let header = block.header();
    let seal = match block.seal() {
        Seal::Quorum(certificate) => {
            let vote = Vote {
                chain: header.chain,
                height: header.height,
                round: certificate.round(),
                kind: VoteKind::Precommit,
                block: block.hash(),
            };
            let message = vote.message();
            let signed = certificate.signers();
            let signed = signed.map(|place| (place, key_of(place).sign(&message)));
            Seal::Quorum(QuorumSeal::new(certificate.round(), signed).unwrap())
        }
        _ => Seal::by_authority(&key_of(0), &block.hash()),
    };
    block.clone().sealed(seal)
}
