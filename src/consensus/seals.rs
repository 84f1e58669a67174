//! What has to be behind a block: one signature, a certificate, or work. Checked against members that are given.

use super::order::{Order, weights};
use super::{ConsensusFields, certificate, work};
use crate::format::model::{Header, HeaderFields, QuorumSeal, Seal};
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::{KeyPair, PublicKey, Signature};
use crate::format::spec::{Authority, Composition, ConsensusName, SealRule};
use crate::format::vote::{Vote, VoteKind};

/// No work is claimed, and none is proved.
pub(super) const WITHOUT_WORK: ConsensusFields = ConsensusFields {
    difficulty: 1,
    nonce: 0,
};

/// What the bytes alone tell: a seal of the right kind, and the work that the header claims.
pub(super) fn check_form(parts: &Composition, header: &Header, seal: &Seal) -> Result<(), Fault> {
    if header.height == 0 {
        return fault(Reason::Height, "genesis is nobody's to seal");
    }
    if parts.work().is_some() {
        return check_work(header, seal);
    }
    if header.difficulty != WITHOUT_WORK.difficulty || header.nonce != WITHOUT_WORK.nonce {
        let name = match parts.name {
            ConsensusName::ProofOfAuthority => "proof of authority",
            other => other.word(),
        };
        let detail = format!("{name} has difficulty 1 and nonce 0");
        return fault(Reason::Difficulty, detail);
    }
    match (&parts.seal, seal) {
        (SealRule::Signature, Seal::Authority { .. }) => Ok(()),
        (SealRule::Signature, _) => fault(Reason::Seal, "an authority's signature is required"),
        (SealRule::Quorum(_), Seal::Quorum(_)) => Ok(()),
        (SealRule::Quorum(_), _) => fault(Reason::Seal, "a certificate of members is required"),
        (SealRule::Work(_), _) => check_work(header, seal),
    }
}

/// That the hash is at most the target of the difficulty that the header claims. A hash is all that it costs to refuse one.
fn check_work(header: &Header, seal: &Seal) -> Result<(), Fault> {
    if header.producer.is_empty() {
        return fault(Reason::Producer, "nobody's name is in the block");
    }
    if *seal != Seal::Work {
        let detail = "the nonce is the seal, and nothing else may be one";
        return fault(Reason::Seal, detail);
    }
    match work::Target::from_difficulty(header.difficulty).is_met_by(&header.hash()) {
        true => Ok(()),
        false => {
            let (hash, difficulty) = (header.hash(), header.difficulty);
            let detail = format!("{hash} is above the target of difficulty {difficulty}");
            fault(Reason::Difficulty, detail)
        }
    }
}

/// That the header claims as much work as the chain asks for.
pub(super) fn check_difficulty(header: &HeaderFields, expected: u64) -> Result<(), Fault> {
    let found = header.difficulty;
    match found == expected {
        true => Ok(()),
        false => {
            let detail = format!("{found}, the chain asks for {expected}");
            fault(Reason::Difficulty, detail)
        }
    }
}

/// Checks a seal against the members of its height, in turn order, of which the producer is the one at `index`.
pub(super) fn check(
    parts: &Composition,
    members: &[Authority],
    order: &Order,
    index: Option<usize>,
    header: &Header,
    seal: &Seal,
) -> Result<(), Fault> {
    let producer = &header.producer;
    let found = index.and_then(|index| Some((index, members.get(index)?)));
    let Some((index, member)) = found else {
        let detail = format!("{producer:?} is not an authority");
        return fault(Reason::Producer, detail);
    };
    if header.height == 0 {
        return fault(Reason::Height, "genesis is nobody's to seal");
    }
    let round = match seal {
        Seal::Quorum(certificate) => certificate.round(),
        _ => 0,
    };
    if !order.proposes_by(members, header.height, round, index) {
        let expected = order.proposer(members, header.height, 0);
        let expected = expected.and_then(|index| members.get(index));
        let detail = match expected {
            Some(expected) => format!("{producer:?} sealed in the turn of {:?}", expected.name),
            None => format!("{producer:?} proposes in no round up to {round}"),
        };
        return fault(Reason::Turn, detail);
    }
    check_form(parts, header, seal)?;
    match (&parts.seal, seal) {
        (SealRule::Quorum(quorum), Seal::Quorum(certificate)) => {
            certificate::check_weight(certificate, &weights(members), *quorum)
        }
        (_, Seal::Authority { key, .. }) if *key != member.key => {
            let detail = format!("sealed with {key}, which is not the key of {producer:?}");
            fault(Reason::Seal, detail)
        }
        _ => Ok(()),
    }
}

/// What a seal claims to be signed, by these members where it names them by their index.
pub(super) fn claims(
    members: &[Authority],
    header: &Header,
    seal: &Seal,
    mut claim: impl FnMut(PublicKey, &[u8], Signature),
) {
    match seal {
        Seal::Authority { key, signature } => {
            claim(*key, &Seal::message(&header.hash()), *signature);
        }
        Seal::Quorum(certificate) => {
            let message = vote(header, certificate.round()).message();
            let key_of = |place: usize| members.get(place).map(|member| member.key);
            certificate::claims(certificate, &message, key_of, claim);
        }
        Seal::None | Seal::Work | Seal::Original(_) => {}
    }
}

/// What the members sign whose signatures seal a block.
fn vote(header: &Header, round: u32) -> Vote {
    Vote {
        chain: header.chain,
        height: header.height,
        round,
        kind: VoteKind::Precommit,
        block: header.hash(),
    }
}

/// The certificate of those of `keys` that are members'. With none of them, no seal.
pub(super) fn certified(
    members: &[Authority],
    keys: &[&KeyPair],
    round: u32,
    header: &Header,
) -> Seal {
    let message = vote(header, round).message();
    let signed = members.iter().enumerate().filter_map(|(index, member)| {
        let key = keys.iter().find(|key| key.public_key() == member.key)?;
        Some((index, key.sign(&message)))
    });
    QuorumSeal::new(round, signed).map_or(Seal::None, Seal::Quorum)
}

pub(super) fn fault<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(reason, detail))
}
