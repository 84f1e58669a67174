//! Parameters that the members change: one proposes, enough approve, and at the height that the proposal names the new value is in
//! force in every hub alike.

use super::change::{self, last};
use super::draft::Draft;
use super::{Book, Effects, Place, fault, value};
use crate::consensus;
use crate::format::payload::{Approve, ParameterValue, Propose};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::Parameter;
use crate::state::Speaker;
use crate::state::tables::{Proposal, Proposals};

/// A member proposes, and approves with that.
pub(super) fn propose(
    propose: &Propose,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let name = place.sender();
    check_member(place)?;
    let Propose {
        parameter,
        value,
        effective,
    } = propose;
    if !place.spec.terms.changeable.contains(parameter) {
        let detail = format!("{} is for ever in this chain", parameter.word());
        return fault(Reason::Parameter, detail);
    }
    check_time(*parameter, *effective, place)?;
    check_value(*parameter, value, place, book)?;
    let proposal = Proposal {
        id: place.transaction.id(),
        parameter: *parameter,
        value: value.clone(),
        effective: *effective,
        approvals: vec![name.to_owned()],
    };
    settle(name, proposal, place, book)
}

/// Another member approves.
pub(super) fn approve(
    approve: &Approve,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (name, proposer) = (place.sender(), &approve.proposer);
    check_member(place)?;
    let held = value::<Proposals>(book, proposer.as_bytes());
    let Some(mut proposal) = held.filter(|held| held.id == approve.proposal) else {
        let detail = format!("{proposer:?} has no proposal {}", approve.proposal);
        return fault(Reason::Proposal, detail);
    };
    check_time(proposal.parameter, proposal.effective, place)?;
    match proposal
        .approvals
        .binary_search_by(|held| held.as_str().cmp(name))
    {
        Ok(_) => return fault(Reason::Proposal, format!("{name:?} approved already")),
        Err(at) => proposal.approvals.insert(at, name.to_owned()),
    }
    // Another change may have come since it was proposed, and the two not fit together.
    check_value(proposal.parameter, &proposal.value, place, book)?;
    settle(proposer, proposal, place, book)
}

fn check_member(place: &Place<'_>) -> Result<(), Fault> {
    let name = place.sender();
    match consensus::is_member(place.spec, place.parent, place.height, name) {
        true => Ok(()),
        false => fault(
            Reason::Member,
            format!("{name:?} takes no part in the consensus"),
        ),
    }
}

/// That the height is still to come. A header names the members of the height after it, so these have to be known a block
/// earlier.
fn check_time(parameter: Parameter, effective: u64, place: &Place<'_>) -> Result<(), Fault> {
    let least = place.height.saturating_add(match parameter {
        Parameter::Members => 2,
        _ => 1,
    });
    if effective < least {
        let detail = format!("from height {effective} on, {least} is the first that can be");
        return fault(Reason::Proposal, detail);
    }
    Ok(())
}

/// That a chain could live by the value, beside what else is in force then, and no other change of it is to come.
fn check_value(
    parameter: Parameter,
    new: &ParameterValue,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<(), Fault> {
    let word = parameter.word();
    if let Some(pending) = last(parameter, book).filter(|from| *from > place.height) {
        let detail = format!("{word} changes at height {pending}, and until then not again");
        return fault(Reason::Parameter, detail);
    }
    let mut fields = place.spec.running();
    for other in &place.spec.terms.changeable {
        // What is decided already holds too, whether it is in force yet or not.
        if let Some(from) = last(*other, book)
            && let Some(change) = change::held(*other, from, book)
        {
            let _ = fields.set_parameter(*other, &change.value);
        }
    }
    let set = fields.set_parameter(parameter, new);
    if let Err(error) = set.and_then(|()| fields.check_changed()) {
        return fault(Reason::Parameter, error.to_string());
    }
    if let ParameterValue::Members(members) = new {
        // Whoever signs first under such a name would have its vote.
        let free = members.iter().find(|member| {
            place.spec.rules.identity.binds_names()
                && book.account(&member.name).speaker == Speaker::Open
        });
        if let Some(free) = free {
            let detail = format!("{:?} belongs to nobody's keys yet", free.name);
            return fault(Reason::Member, detail);
        }
    }
    Ok(())
}

/// Decides what has enough approvals, or keeps it.
fn settle(
    proposer: &str,
    proposal: Proposal,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (spec, parent, height) = (place.spec, place.parent, place.height);
    let mut effects = Effects::default();
    // Who left since doesn't count any more.
    if !consensus::approves(spec, parent, height, &proposal.approvals) {
        effects.put::<Proposals>(proposer.as_bytes(), &proposal);
        return Ok(effects);
    }
    effects.remove::<Proposals>(proposer.as_bytes());
    let mut draft = Draft::new(book, &mut effects);
    let (parameter, from) = (proposal.parameter, proposal.effective);
    change::put(parameter, from, proposal.value, &mut draft);
    Ok(effects)
}
