//! Changing what the chain goes by, without the say of enough members, or into what it can't live by.

use hubledger::format::FormatVersion;
use hubledger::model::Transaction;
use hubledger::payload::{Approve, ParameterValue, Payload, Propose};
use hubledger::rejection::Reason;
use hubledger::spec::{Authority, Parameter, SpecFields, Terms};
use hubledger::state::InForce;
use hubledger::state::tables::{ParameterRow, Parameters, Proposals};

use crate::common::{Chain, account, hub, key, sealed};

/// A chain of `authorities` that can change everything, with a root in every block.
fn chain_of(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Chain {
    Chain::in_version(FormatVersion::V2, authorities, |fields| {
        fields.terms = Terms {
            changeable: Parameter::ALL.iter().copied().collect(),
            ..Terms::of_new_chains()
        };
        change(fields);
    })
}

fn says(chain: &Chain, name: &str, nonce: u64, payload: &Payload) -> Transaction {
    chain.signed(name, nonce, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

fn propose(parameter: Parameter, value: u64, effective: u64) -> Payload {
    Payload::Propose(Propose {
        parameter,
        value: ParameterValue::Number(value),
        effective,
    })
}

fn approve(proposer: &str, proposal: &Transaction) -> Payload {
    Payload::Approve(Approve {
        proposer: proposer.to_owned(),
        proposal: proposal.id(),
    })
}

#[track_caller]
fn refused(chain: &Chain, transaction: Transaction) -> Reason {
    let (index, reason) = chain.refusal(&chain.block(&[transaction]));
    assert_eq!(index, Some(0));
    reason
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

#[test]
fn a_second_change_of_a_parameter_before_the_first_is_in_force() {
    let mut chain = chain_of(1, |_| {});
    chain.extend(&[says(
        &chain,
        &hub(0),
        1,
        &propose(Parameter::BlockTimeUs, 7, 4),
    )]);
    let again = says(&chain, &hub(0), 2, &propose(Parameter::BlockTimeUs, 8, 9));
    assert_eq!(refused(&chain, again.clone()), Reason::Parameter);
    chain.extend(&[]);
    chain.extend(&[]);
    chain.extend(&[again]);
    // What was in force at every height, from one state.
    let at = |height| InForce::at(chain.spec(), Some(chain.state()), height).block_time_us;
    let values: Vec<u64> = (1..=10).map(at).collect();
    assert_eq!(values, [0, 0, 0, 7, 7, 7, 7, 7, 8, 8]);
    let row = chain
        .state()
        .value::<Parameters>(&Parameters::key(Parameter::BlockTimeUs, 4));
    let Some(ParameterRow::Change(_, change)) = row else {
        panic!("{row:?}");
    };
    assert_eq!((change.until, change.before), (9, 0));
}

#[test]
fn limits_of_blocks_change_at_their_height() {
    let mut chain = chain_of(1, |_| {});
    chain.extend(&[says(
        &chain,
        &hub(0),
        1,
        &propose(Parameter::TransactionsMax, 1, 3),
    )]);
    let two = |chain: &Chain, first: u64| {
        [
            chain.message("alice", first),
            chain.message("alice", first + 1),
        ]
    };
    chain.extend(&two(&chain, 1));
    let block = chain.block(&two(&chain, 3));
    assert_eq!(chain.refusal(&block), (None, Reason::Limit));
    chain.extend(&[chain.message("alice", 3)]);
}

fn members(names: &[&str]) -> ParameterValue {
    let member = |name: &&str| Authority {
        name: (*name).to_owned(),
        key: key(name).public_key(),
        weight: 1,
    };
    ParameterValue::Members(names.iter().map(member).collect())
}

#[test]
fn an_authority_that_was_exchanged_seals_no_more_and_the_new_one_not_before() {
    let mut chain = chain_of(2, |_| {});
    let propose = |value, effective| {
        Payload::Propose(Propose {
            parameter: Parameter::Members,
            value,
            effective,
        })
    };
    // A name that is nobody's yet would be taken by whoever signs first.
    let free = says(
        &chain,
        &hub(0),
        1,
        &propose(members(&["hub-0", "hub-9"]), 9),
    );
    assert_eq!(refused(&chain, free), Reason::Member);
    for unfit in [members(&[]), members(&["hub-0", "hub-0"])] {
        let unfit = says(&chain, &hub(0), 1, &propose(unfit, 9));
        assert_eq!(refused(&chain, unfit), Reason::Parameter);
    }
    chain.extend(&[chain.message("hub-9", 1)]);
    let soon = says(
        &chain,
        &hub(0),
        1,
        &propose(members(&["hub-0", "hub-9"]), 3),
    );
    assert_eq!(
        refused(&chain, soon),
        Reason::Proposal,
        "headers name the next members"
    );
    let proposal = says(
        &chain,
        &hub(0),
        1,
        &propose(members(&["hub-0", "hub-9"]), 5),
    );
    let agrees = says(&chain, &hub(1), 1, &approve(&hub(0), &proposal));
    chain.extend(&[proposal, agrees]);
    let early = chain.block_by("hub-9", &[]);
    assert_eq!(chain.refusal(&early), (None, Reason::Producer));
    chain.push(chain.block_by("hub-1", &[]));
    let before = chain.last().header().members_root;
    chain.push(chain.block_by("hub-1", &[]));
    assert_ne!(
        chain.last().header().members_root,
        before,
        "of the next height"
    );
    let late = chain.block_by("hub-1", &[]);
    assert_eq!(chain.refusal(&late), (None, Reason::Producer));
    let mut forged = (**chain.block_by("hub-9", &[]).header()).clone();
    forged.members_root = before;
    let forged = sealed(forged, &key("hub-9"), &[]);
    assert_eq!(chain.refusal(&forged), (None, Reason::MembersRoot));
    let stolen = (**chain.block_by("hub-9", &[]).header()).clone();
    let stolen = sealed(stolen, &key("hub-1"), &[]);
    assert_eq!(chain.refusal(&stolen), (None, Reason::Seal));
    chain.push(chain.block_by("hub-9", &[]));
    let gone = says(&chain, &hub(1), 2, &self::propose(Parameter::FeeMin, 1, 99));
    assert_eq!(refused(&chain, gone), Reason::Member);
}

#[test]
fn an_account_of_genesis_keeps_nobody_from_becoming_a_member_or_from_being_none() {
    // The name of an authority has its key, and its account none.
    let mut of_hub = account("hub-1", 5);
    of_hub.1.key = None;
    let mut chain = chain_of(2, |fields| {
        fields.rules.balances = true;
        fields.accounts = [account("hub-9", 5), of_hub].into();
    });
    let exchange = Payload::Propose(Propose {
        parameter: Parameter::Members,
        value: members(&["hub-0", "hub-9"]),
        effective: 4,
    });
    let proposal = says(&chain, &hub(0), 1, &exchange);
    let agrees = says(&chain, &hub(1), 1, &approve(&hub(0), &proposal));
    chain.extend(&[proposal, agrees]);
    chain.extend(&[]);
    chain.extend(&[]);
    let late = chain.block_by("hub-1", &[]);
    assert_eq!(chain.refusal(&late), (None, Reason::Producer));
    chain.push(chain.block_by("hub-9", &[]));
    assert_eq!(chain.state().account("hub-9").balance, 5);
}
