//! Whether what is handed in as evidence proves a fault of a member, as far as the state tells.

use super::{finality, members, turns};
use crate::format::evidence::{DoubleProposal, Evidence, UnauthorisedSeal};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::{Authority, ChainSpec, Proposer, SealRule};
use crate::state::State;

/// Whose fault the evidence proves, and what it costs in ten thousandths of the stake, if every signature that it
/// [claims](Evidence::claims) verifies. `parent` is the state before the block at `height` that would convict; what a fault costs, and
/// how long it can be punished, is for the specification in force there to say.
///
/// To be correct, it names nobody who keeps to the rules, whatever branches it has seen. O(members at the height of the fault).
///
/// # Errors
/// `evidence`: it comes too early or too late, the key is no member's of that height, or an honest member may have signed so;
/// `chain`: it is of another chain than this was at that height.
pub fn check_evidence(
    spec: &ChainSpec,
    parent: &State,
    height: u64,
    evidence: &Evidence,
) -> Result<(Authority, u16), Fault> {
    let penalties = &spec.at(height).composition().penalties;
    let at = evidence.height();
    let Some(age) = height.checked_sub(at).filter(|_| at > 0) else {
        return refuse(format!(
            "of a fault at height {at}, which no member had yet"
        ));
    };
    if age > penalties.evidence_blocks.into() {
        let detail = format!(
            "of a fault {age} blocks ago, {} is the most",
            penalties.evidence_blocks
        );
        return refuse(detail);
    }
    let then = spec.at(at);
    evidence.check_form(&then.id())?;
    if spec.is_imported(at) {
        return refuse("of a fault in an imported record, which nobody sealed");
    }
    let members = members(spec, parent, at);
    let key = evidence.key();
    let mut keys = members.iter();
    let Some(place) = keys.position(|member| member.key == key) else {
        return refuse(format!("{key} was no member's key at height {at}"));
    };
    let cost = match evidence {
        Evidence::DoubleVote(_) => penalties.double_signing,
        Evidence::DoubleProposal(fault) => {
            check_double_proposal(then, fault)?;
            penalties.double_signing
        }
        Evidence::UnauthorisedSeal(fault) => {
            check_turn(spec, parent, &members, place, fault)?;
            penalties.byzantine
        }
    };
    let member = members.get(place).cloned();
    // Just found there.
    let member = member.ok_or_else(|| Fault::new(Reason::Evidence, "nobody's fault"))?;
    Ok((member, cost))
}

/// Where a block can be replaced by another branch, a member rightly seals its height again behind another block. Behind the same one it
/// never does.
fn check_double_proposal(then: &ChainSpec, fault: &DoubleProposal) -> Result<(), Fault> {
    let [one, other] = fault.headers();
    if finality::can_be_replaced(then) && one.previous_hash != other.previous_hash {
        return refuse("the two blocks go on from different ones, as branches may");
    }
    Ok(())
}

/// That it wasn't the member's turn at the height. Where anybody may propose there is nothing of the kind. Where turns depend on the branch, it
/// convicts only behind the block that this chain has: on another one it may have been its turn.
fn check_turn(
    spec: &ChainSpec,
    parent: &State,
    members: &[Authority],
    place: usize,
    fault: &UnauthorisedSeal,
) -> Result<(), Fault> {
    let height = fault.header().height;
    let then = spec.at(height);
    let parts = then.composition();
    if parts.seal != SealRule::Signature {
        return refuse("no member seals by itself in this chain");
    }
    if parts.proposer == Proposer::Open {
        return refuse("any member may seal any block of this chain");
    }
    let turn = match turns::depend_on_branch(then) {
        true => {
            let previous = fault.header().previous_hash;
            let turn = turns::proposer_behind(spec, parent, height, previous);
            if turn.is_none() {
                return refuse("whose turn it was behind that block isn't known");
            }
            turn
        }
        false => super::order(spec, parent, height).proposer(members, height, 0),
    };
    match turn {
        Some(turn) if turn != place => Ok(()),
        _ => refuse(format!(
            "the block at height {height} was the member's to seal"
        )),
    }
}

fn refuse<T>(detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(Reason::Evidence, detail))
}
