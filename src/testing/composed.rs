//! Chains of every composition: what their specifications say, and blocks with whatever seal each asks for.

use super::{Chain, SECOND, hub, key};
use crate::consensus;
use crate::format::model::{Block, Header, HeaderFields, Transaction};
use crate::format::signature::KeyPair;
use crate::format::spec::{Composition, Consensus, ConsensusName, Finality, SealRule, SpecFields};

/// Hashes that a block takes on average where work seals: so few that a test has as many blocks as it likes.
pub const DIFFICULTY: u64 = 16;

/// Blocks after which one is final where work seals and nothing else is said.
pub const DEPTH: u32 = 10;

/// Hashes that are tried for a block; of what claims to be harder, none is found.
const HASHES_MAX: u64 = 1 << 14;

/// Gives the specification a composition, with its authorities as the members: what each is called stays, and where members have
/// weights these differ. Stakes need balances, which are kept then.
pub fn compose(name: ConsensusName, fields: &mut SpecFields) {
    let mut members = fields.consensus.members().to_vec();
    match name {
        ConsensusName::ProofOfWork => members.clear(),
        ConsensusName::ProofOfStake
        | ConsensusName::DelegatedProofOfStake
        | ConsensusName::FederatedByzantine => {
            for (member, number) in members.iter_mut().zip(100..) {
                member.weight = number;
            }
        }
        _ => {}
    }
    let mut parts = Composition::named(name, members);
    let is_at_once = fields.terms.finality == Finality::Immediate;
    fields.terms.block_time_us = SECOND;
    match &mut parts.seal {
        SealRule::Work(work) => {
            work.difficulty = DIFFICULTY;
            if is_at_once {
                fields.terms.finality = Finality::Depth(DEPTH);
            }
        }
        SealRule::Quorum(_) => fields.terms.finality = Finality::Immediate,
        SealRule::Signature => {}
    }
    if let (Some(checkpoints), Finality::Depth(depth)) =
        (&mut parts.checkpoints, fields.terms.finality)
    {
        checkpoints.interval = depth.min(3);
    }
    fields.rules.balances |= parts.stake().is_some();
    fields.consensus = Consensus::of(parts);
}

impl Chain {
    /// Who makes the next block, if nobody says otherwise: whoever's turn it is, or `hub-0`.
    #[must_use]
    pub fn producer(&self) -> String {
        self.proposer(0).unwrap_or_else(|| hub(0))
    }

    /// Who proposes the next block in a round; `None` if anybody may.
    #[must_use]
    pub fn proposer(&self, round: u32) -> Option<String> {
        let (spec, state) = (self.spec(), self.state());
        let place = consensus::proposer(spec, state, round)?;
        let members = consensus::members(spec, state, state.height() + 1);
        members.get(place).map(|member| member.name.clone())
    }

    /// The keys of the members of the next height, that of `first` before them.
    #[must_use]
    pub fn seal_keys(&self, first: &str) -> Vec<KeyPair> {
        let (spec, state) = (self.spec(), self.state());
        let members = consensus::members(spec, state, state.height() + 1);
        let names = members.iter().map(|member| member.name.as_str());
        let others = names.filter(|name| *name != first);
        std::iter::once(first).chain(others).map(key).collect()
    }

    /// A block of these header fields, with all the work and all the signatures that it needs, where there are such: what those can do who
    /// may extend the chain. One signature is that of `sealer`.
    #[must_use]
    pub fn sealed_as(
        &self,
        sealer: &str,
        fields: HeaderFields,
        transactions: &[Transaction],
    ) -> Block {
        let keys = self.seal_keys(sealer);
        let keys: Vec<&KeyPair> = keys.iter().collect();
        self.sealed_in(0, &keys, fields, transactions)
    }

    /// The same with the signatures of these, in a round.
    #[must_use]
    pub fn sealed_in(
        &self,
        round: u32,
        keys: &[&KeyPair],
        fields: HeaderFields,
        transactions: &[Transaction],
    ) -> Block {
        let (spec, state) = (self.spec(), self.state());
        let header = Header::new(fields).unwrap();
        let worked = consensus::with_work(spec, header.clone(), HASHES_MAX);
        let header = worked.unwrap_or(header);
        let seal = consensus::seal_by(spec, state, keys, round, &header);
        Block::assemble(header, seal, transactions).unwrap()
    }
}

/// The members of the next height.
pub(super) fn members_of(chain: &Chain) -> Vec<String> {
    let (spec, state) = (chain.spec(), chain.state());
    let members = consensus::members(spec, state, state.height() + 1);
    members.iter().map(|member| member.name.clone()).collect()
}
