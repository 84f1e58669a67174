//! Changing what the chain goes by without the say of enough members, or into what it can't live by.

use hubledger::rejection::Reason;
use hubledger::spec::{Parameter, SpecFields, Terms};
use hubledger::state::InForce;
use hubledger::state::tables::Proposals;

use super::in_version;
use crate::common::{Chain, hub};
use crate::parameters::{approve, propose, refused, says};

/// A chain of `authorities` that can change everything, with a root in every block.
fn chain_of(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Chain {
    in_version(authorities, |fields| {
        fields.terms = Terms {
            changeable: Parameter::ALL.iter().copied().collect(),
            ..Terms::of_new_chains()
        };
        change(fields);
    })
}

fn fee_in_force(chain: &Chain, height: u64) -> u64 {
    InForce::at(chain.spec(), Some(chain.state()), height)
        .rules
        .fee_min
}

#[test]
fn a_change_needs_more_than_two_thirds_of_the_members() {
    let mut chain = chain_of(4, |_| {});
    let proposal = says(&chain, &hub(0), 1, &propose(Parameter::FeeMin, 5, 4));
    let stranger = says(&chain, "alice", 1, &propose(Parameter::FeeMin, 5, 4));
    assert_eq!(refused(&chain, stranger), Reason::Member);
    chain.extend(std::slice::from_ref(&proposal));
    let agrees = approve(&hub(0), &proposal);
    let own = says(&chain, &hub(0), 2, &agrees);
    assert_eq!(refused(&chain, own), Reason::Proposal, "counted already");
    let stranger = says(&chain, "alice", 1, &agrees);
    assert_eq!(refused(&chain, stranger), Reason::Member);
    let second = says(&chain, &hub(1), 1, &agrees);
    let twice = says(&chain, &hub(1), 2, &agrees);
    let block = chain.block(&[second.clone(), twice]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Proposal));
    chain.extend(&[second]);
    assert_eq!(fee_in_force(&chain, 9), 0, "two of four");
    let third = says(&chain, &hub(2), 1, &agrees);
    chain.extend(&[third]);
    assert_eq!(chain.state().height(), 3);
    assert!(chain.state().value::<Proposals>(b"hub-0").is_none());
    assert_eq!((fee_in_force(&chain, 3), fee_in_force(&chain, 4)), (0, 5));
    // In force at its height for transactions and blocks alike, and not before.
    let cheap = chain.signed("alice", 1, |draft| draft.fee = 4);
    assert_eq!(refused(&chain, cheap), Reason::Fee);
    chain.extend(&[chain.signed("alice", 1, |draft| draft.fee = 5)]);
    let late = says(&chain, &hub(3), 1, &agrees);
    assert_eq!(refused(&chain, late), Reason::Fee);
}

#[test]
fn a_proposal_that_is_another_or_too_late() {
    let mut chain = chain_of(3, |_| {});
    let first = says(&chain, &hub(0), 1, &propose(Parameter::FeeMin, 5, 9));
    let second = says(&chain, &hub(0), 2, &propose(Parameter::FeeMin, 1, 3));
    chain.extend(&[first.clone(), second.clone()]);
    let replaced = says(&chain, &hub(1), 1, &approve(&hub(0), &first));
    assert_eq!(refused(&chain, replaced), Reason::Proposal);
    let absent = says(&chain, &hub(1), 1, &approve(&hub(2), &second));
    assert_eq!(refused(&chain, absent), Reason::Proposal);
    chain.extend(&[]);
    let late = says(&chain, &hub(1), 1, &approve(&hub(0), &second));
    assert_eq!(refused(&chain, late), Reason::Proposal);
    let past = says(&chain, &hub(1), 1, &propose(Parameter::FeeMin, 1, 3));
    assert_eq!(refused(&chain, past), Reason::Proposal);
}

#[test]
fn what_the_specification_does_not_list_and_what_no_chain_can_live_by() {
    let few = |fields: &mut SpecFields| fields.terms.changeable = [Parameter::BodyBytesMax].into();
    let chain = chain_of(1, few);
    let fixed = says(&chain, &hub(0), 1, &propose(Parameter::FeeMin, 5, 9));
    assert_eq!(refused(&chain, fixed), Reason::Parameter);
    let tiny = says(&chain, &hub(0), 1, &propose(Parameter::BodyBytesMax, 0, 9));
    assert_eq!(refused(&chain, tiny), Reason::Parameter);
    let chain = chain_of(1, |_| {});
    let values = [
        (Parameter::BodyBytesMax, 1_000),
        (Parameter::BodyBytesMax, u64::from(u32::MAX) + 1),
        (Parameter::WitnessesMax, 256),
        (Parameter::WitnessesMin, 9),
        (Parameter::ClockDriftMaxUs, u64::MAX),
        (Parameter::FeeMin, u64::MAX),
        (Parameter::TransactionsMax, 0),
    ];
    for (parameter, value) in values {
        let transaction = says(&chain, &hub(0), 1, &propose(parameter, value, 9));
        assert_eq!(
            refused(&chain, transaction),
            Reason::Parameter,
            "{parameter:?}"
        );
    }
}
