//! Proof of authority: a listed producer, in its turn where turns are kept, claiming no work, with a seal by its own
//! listed key. Everything follows from the specification, so nothing is kept in the state.

use std::borrow::Cow;

use super::ConsensusFields;
use crate::format::digest::BlockHash;
use crate::format::model::{Header, Seal};
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::{PublicKey, Signature};
use crate::format::spec::{Authority, ChainSpec, Finality, ProofOfAuthority};
use crate::state::State;

/// No work is claimed, and none is proved.
pub(super) const FIELDS: ConsensusFields = ConsensusFields {
    difficulty: 1,
    nonce: 0,
};

/// What the bytes alone tell: somebody's signature, and no work.
pub(super) fn check_form(header: &Header, seal: &Seal) -> Result<PublicKey, Fault> {
    if header.height == 0 {
        return Err(Fault::new(Reason::Height, "genesis is nobody's to seal"));
    }
    if header.difficulty != FIELDS.difficulty || header.nonce != FIELDS.nonce {
        let detail = "proof of authority has difficulty 1 and nonce 0";
        return Err(Fault::new(Reason::Difficulty, detail));
    }
    match seal {
        Seal::Authority { key, .. } => Ok(*key),
        _ => Err(Fault::new(
            Reason::Seal,
            "an authority's signature is required",
        )),
    }
}

/// Checks a seal against the authorities of its height, in turn order, of which the producer is the one at `index`.
pub(super) fn check_seal(
    parameters: &ProofOfAuthority,
    authorities: &[Authority],
    index: Option<usize>,
    header: &Header,
    seal: &Seal,
) -> Result<(), Fault> {
    let producer = &header.producer;
    let found = index.and_then(|index| Some((index, authorities.get(index)?)));
    let Some((index, authority)) = found else {
        return Err(Fault::new(
            Reason::Producer,
            format!("{producer:?} is not an authority"),
        ));
    };
    let Some(turns_before) = header.height.checked_sub(1) else {
        return Err(Fault::new(Reason::Height, "genesis is nobody's to seal"));
    };
    // Not a division by zero: the producer was found among the authorities.
    let turn = turns_before % authorities.len() as u64;
    if parameters.round_robin && index as u64 != turn {
        let expected = &authorities[turn as usize].name;
        let detail = format!("{producer:?} sealed in the turn of {expected:?}");
        return Err(Fault::new(Reason::Turn, detail));
    }
    let key = check_form(header, seal)?;
    if key != authority.key {
        let detail = format!("sealed with {key}, which is not the key of {producer:?}");
        return Err(Fault::new(Reason::Seal, detail));
    }
    Ok(())
}

/// One, over the block's hash; none of a seal that is no signature.
pub(super) fn claims(
    hash: &BlockHash,
    seal: &Seal,
    mut claim: impl FnMut(PublicKey, &[u8], Signature),
) {
    if let Seal::Authority { key, signature } = seal {
        claim(*key, &Seal::message(hash), *signature);
    }
}

/// Only authorities enter, of whom there is a bounded number at a time.
pub(super) fn check_clock_entry(is_authority: bool, node: &str) -> Result<(), Fault> {
    match is_authority {
        true => Ok(()),
        false => Err(Fault::new(
            Reason::VectorClock,
            format!("{node:?} is not an authority and can't enter"),
        )),
    }
}

/// What the terms of the chain say. Where a block is final at once, a hub keeps the first valid one of each height and never
/// takes it back. Nothing keeps an authority from sealing two blocks of one height: hubs that saw different ones first stay
/// apart, and each refuses the other's as a `fork`.
pub(super) fn final_height(spec: &ChainSpec, head: &State) -> u64 {
    match spec.terms.finality {
        Finality::Immediate => head.height(),
        Finality::Depth(blocks) => head.height().saturating_sub(blocks.into()),
    }
}

pub(super) fn can_be_replaced(spec: &ChainSpec) -> bool {
    spec.terms.finality != Finality::Immediate
}

/// The name of the authority with this key.
pub(super) fn producer<'a>(
    authorities: Cow<'a, [Authority]>,
    key: &PublicKey,
) -> Result<Cow<'a, str>, Fault> {
    let is_it = |authority: &Authority| authority.key == *key;
    let found = match authorities {
        Cow::Borrowed(listed) => {
            let found = listed.iter().find(|one| is_it(one));
            found.map(|authority| Cow::Borrowed(authority.name.as_str()))
        }
        Cow::Owned(changed) => {
            let found = changed.into_iter().find(is_it);
            found.map(|authority| Cow::Owned(authority.name))
        }
    };
    found.ok_or_else(|| Fault::new(Reason::Producer, format!("{key} is no authority's key")))
}

/// Unless it has to wait for the turns of others.
pub(super) fn goes_on_alone(parameters: &ProofOfAuthority) -> bool {
    !parameters.round_robin || parameters.authorities.len() <= 1
}
