//! Acts as transactions, with the evidence and the certificates that they hand in.

use hubledger::digest::BlockHash;
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence, UnauthorisedSeal};
use hubledger::model::{Block, Header, HeaderFields, Operation, Seal, Transaction};
use hubledger::payload::{
    Approve, Certify, Commit, Convict, Delegate, ParameterValue, Payload, Propose, Release, Reveal,
    Stake, Withdraw,
};
use hubledger::spec::Parameter;
use hubledger::vote::VoteKind;

use super::acts::{Act, Fault, Shown};
use super::model::Model;
use super::world::{authorities, vote};
use crate::common::{Chain, key};

/// What an act says, signed by its sender.
pub(super) fn transaction(chain: &Chain, model: &Model, sender: &str, act: &Act) -> Transaction {
    let nonce = model.nonces.get(sender).copied().unwrap_or(0) + 1;
    let payload = match act.clone() {
        Act::Transfer(receiver, amount) => {
            return chain.signed(sender, nonce, |draft| {
                draft.operation = Operation::Transfer;
                draft.receiver = receiver;
                draft.amount = amount;
            });
        }
        Act::Stake(amount) => Payload::Stake(Stake {
            key: key(sender).public_key(),
            amount,
        }),
        Act::Delegate(to, amount) => Payload::Delegate(Delegate { to, amount }),
        Act::Release(from, amount) => Payload::Release(Release { from, amount }),
        Act::Withdraw(from, boundary) => Payload::Withdraw(Withdraw { from, boundary }),
        Act::Propose(members, effective) => Payload::Propose(Propose {
            parameter: Parameter::Members,
            value: ParameterValue::Members(authorities(&members)),
            effective,
        }),
        Act::Approve(proposer, proposal) => Payload::Approve(Approve { proposer, proposal }),
        Act::Convict(fault) => Payload::Convict(Convict {
            evidence: evidence(chain, &fault),
        }),
        Act::Certify(shown) => Payload::Certify(certificate(chain, &shown)),
        Act::Commit(layer) => Payload::Commit(Commit { layer }),
        Act::Reveal(layer) => Payload::Reveal(Reveal { layer }),
    };
    chain.says(sender, nonce, &payload)
}

/// Two votes, or headers that are nobody's, with the signatures of the offender.
fn evidence(chain: &Chain, fault: &Fault) -> Evidence {
    let offender = key(&fault.name);
    let public = offender.public_key();
    let header = |number: u64, is_behind_ours: bool| {
        let before = fault.height.saturating_sub(1) as usize;
        let previous = chain.blocks.get(before).filter(|_| is_behind_ours);
        let header = Header::new(HeaderFields {
            height: fault.height,
            previous_hash: previous.map_or(BlockHash([7; 32]), Block::hash),
            timestamp: chain.now() + number,
            producer: fault.name.clone(),
            ..(**chain.last().header()).clone()
        })
        .unwrap();
        let signature = offender.sign(&Seal::message(&header.hash()));
        (header, signature)
    };
    match fault.kind {
        1 => {
            let signed = |number: u8| {
                let block = BlockHash([number; 32]);
                let vote = vote(chain, fault.height, fault.round, VoteKind::Prevote, block);
                (vote, vote.sign(&offender))
            };
            let fault = DoubleVote::new(public, signed(1), signed(2));
            Evidence::DoubleVote(fault.unwrap())
        }
        2 => {
            let other = header(2, fault.is_behind_ours);
            let fault = DoubleProposal::new(public, header(1, true), other);
            Evidence::DoubleProposal(fault.unwrap())
        }
        _ => {
            let (header, signature) = header(1, fault.is_behind_ours);
            Evidence::UnauthorisedSeal(UnauthorisedSeal::new(public, header, signature))
        }
    }
}

fn certificate(chain: &Chain, shown: &Shown) -> Certify {
    let block = chain.blocks.get(shown.height as usize);
    let block = block.filter(|_| shown.is_ours).map(Block::hash);
    let block = block.unwrap_or(BlockHash([9; 32]));
    let vote = vote(chain, shown.height, 0, VoteKind::Precommit, block);
    let signed = shown.signers.iter().map(|name| {
        let key = key(name);
        (key.public_key(), vote.sign(&key))
    });
    Certify::new(vote, signed.collect()).unwrap()
}
