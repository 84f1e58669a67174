//! Who may seal which block: one pure function per consensus, of specification and block alone.

use crate::model::{Block, Header, Seal};
use crate::rejection::Reason;
use crate::signature::{Item, Verifier};
use crate::spec::{ChainSpec, Consensus, ProofOfAuthority};
use crate::validate::Fault;

/// Checks that the block's producer was entitled to it, by the chain's consensus. One signature check.
///
/// # Errors
/// `producer`, `height`, `turn`, `difficulty` or `seal`.
pub fn check_seal(spec: &ChainSpec, block: &Block, verifier: &Verifier) -> Result<(), Fault> {
    check_header_seal(spec, block.header(), block.seal(), verifier)
}

/// [`check_seal`] where the body was pruned: a seal is about the header alone.
///
/// # Errors
/// As [`check_seal`].
pub fn check_header_seal(
    spec: &ChainSpec,
    header: &Header,
    seal: &Seal,
    verifier: &Verifier,
) -> Result<(), Fault> {
    match &spec.consensus {
        Consensus::ProofOfAuthority(consensus) => {
            check_authority(spec, consensus, header, seal, verifier)
        }
    }
}

/// Proof of authority: a listed producer, in its turn where turns are kept, claiming no work, with a signature
/// over the block's hash by its own listed key.
fn check_authority(
    spec: &ChainSpec,
    consensus: &ProofOfAuthority,
    header: &Header,
    seal: &Seal,
    verifier: &Verifier,
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
    let Seal::Authority { key, signature } = seal else {
        return Err(Fault::new(
            Reason::Seal,
            "an authority's signature is required",
        ));
    };
    if *key != authority.key {
        let detail = format!("sealed with {key}, which is not the key of {producer:?}");
        return Err(Fault::new(Reason::Seal, detail));
    }
    let item = Item {
        key,
        message: &Seal::message(&header.hash()),
        signature,
    };
    verifier
        .verify_one(&item)
        .map_err(|error| Fault::new(Reason::Seal, error.to_string()))
}
