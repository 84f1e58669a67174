//! Who may seal which block: one pure function per consensus, of specification and block alone. The seal's signature is a
//! claim like those of transactions, checked together with them.

use crate::format::digest::BlockHash;
use crate::format::model::{Block, Header, Seal};
use crate::format::rejection::Fault;
use crate::format::rejection::Reason;
use crate::format::signature::{PublicKey, Signature};
use crate::format::spec::{ChainSpec, Consensus, ProofOfAuthority};

/// Checks that the block's producer was entitled to it, by the chain's consensus, if [`seal_claim`] holds too.
///
/// # Errors
/// `producer`, `height`, `turn`, `difficulty` or `seal`.
pub fn check_seal(spec: &ChainSpec, block: &Block) -> Result<(), Fault> {
    check_header_seal(spec, block.header(), block.seal())
}

/// [`check_seal`] where the body was pruned: a seal is about the header alone.
///
/// # Errors
/// As [`check_seal`].
pub fn check_header_seal(spec: &ChainSpec, header: &Header, seal: &Seal) -> Result<(), Fault> {
    match &spec.consensus {
        Consensus::ProofOfAuthority(consensus) => check_authority(spec, consensus, header, seal),
    }
}

/// What the seal claims to be signed: key, message, signature. `None` for a seal that is no signature.
#[must_use]
pub fn seal_claim(hash: &BlockHash, seal: &Seal) -> Option<(PublicKey, [u8; 41], Signature)> {
    match seal {
        Seal::Authority { key, signature } => Some((*key, Seal::message(hash), *signature)),
        _ => None,
    }
}

/// Proof of authority: a listed producer, in its turn where turns are kept, claiming no work, with a seal by its own
/// listed key.
fn check_authority(
    spec: &ChainSpec,
    consensus: &ProofOfAuthority,
    header: &Header,
    seal: &Seal,
) -> Result<(), Fault> {
    let producer = &header.producer;
    let Some((place, authority)) = spec.authority(producer) else {
        return Err(Fault::new(
            Reason::Producer,
            format!("{producer:?} is not an authority"),
        ));
    };
    let Some(turns_before) = header.height.checked_sub(1) else {
        return Err(Fault::new(Reason::Height, "genesis is nobody's to seal"));
    };
    let turn = turns_before % consensus.authorities.len() as u64;
    if consensus.round_robin && place as u64 != turn {
        let expected = &consensus.authorities[turn as usize].name;
        let detail = format!("{producer:?} sealed in the turn of {expected:?}");
        return Err(Fault::new(Reason::Turn, detail));
    }
    if header.difficulty != 1 || header.nonce != 0 {
        let detail = "proof of authority has difficulty 1 and nonce 0";
        return Err(Fault::new(Reason::Difficulty, detail));
    }
    let Seal::Authority { key, .. } = seal else {
        return Err(Fault::new(
            Reason::Seal,
            "an authority's signature is required",
        ));
    };
    if *key != authority.key {
        let detail = format!("sealed with {key}, which is not the key of {producer:?}");
        return Err(Fault::new(Reason::Seal, detail));
    }
    Ok(())
}
