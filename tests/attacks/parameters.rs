//! Changing what the chain goes by before its height, or so that members are exchanged. Whose say it takes: `votes`.

use hubledger::format::FormatVersion;
use hubledger::model::Transaction;
use hubledger::payload::{Approve, ParameterValue, Payload, Propose};
use hubledger::rejection::Reason;
use hubledger::spec::{Authority, Parameter, SpecFields, Terms};
use hubledger::state::InForce;
use hubledger::state::tables::{ParameterRow, Parameters};

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

pub(crate) fn says(chain: &Chain, name: &str, nonce: u64, payload: &Payload) -> Transaction {
    chain.signed(name, nonce, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

pub(crate) fn propose(parameter: Parameter, value: u64, effective: u64) -> Payload {
    Payload::Propose(Propose {
        parameter,
        value: ParameterValue::Number(value),
        effective,
    })
}

pub(crate) fn approve(proposer: &str, proposal: &Transaction) -> Payload {
    Payload::Approve(Approve {
        proposer: proposer.to_owned(),
        proposal: proposal.id(),
    })
}

#[track_caller]
pub(crate) fn refused(chain: &Chain, transaction: Transaction) -> Reason {
    let (index, reason) = chain.refusal(&chain.block(&[transaction]));
    assert_eq!(index, Some(0));
    reason
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
