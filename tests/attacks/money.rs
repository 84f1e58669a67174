//! Spending what isn't there.

use hubledger::rejection::Reason;

use super::in_version;
use crate::common::{Chain, Numbers, account};

fn chain() -> Chain {
    in_version(1, |fields| {
        fields.rules.balances = true;
        fields.rules.fee_min = 1;
        fields
            .accounts
            .extend([account("alice", 100), account("bob", 10)]);
    })
}

#[test]
fn spending_more_than_held() {
    let mut chain = chain();
    for (amount, fee) in [
        (100, 1),
        (1, 100),
        (101, 1),
        (u64::MAX, 1),
        (u64::MAX, u64::MAX),
        (0, 101),
    ] {
        let block = chain.block(&[chain.transfer("alice", "bob", (amount, fee), 1)]);
        assert_eq!(
            chain.refusal(&block),
            (Some(0), Reason::Balance),
            "{amount} and {fee}"
        );
    }
    chain.extend(&[chain.transfer("alice", "bob", (99, 1), 1)]);
    assert_eq!(chain.state().account("alice").balance, 0);
    assert_eq!(chain.state().account("bob").balance, 109);
    let producer = &chain.last().header().producer;
    assert_eq!(
        chain.state().account(producer).balance,
        1,
        "the fee is the producer's"
    );
    let again = chain.block(&[chain.transfer("alice", "bob", (0, 1), 2)]);
    assert_eq!(chain.refusal(&again), (Some(0), Reason::Balance));
}

#[test]
fn spending_twice_within_a_block() {
    let chain = chain();
    let spend = |nonce| chain.transfer("alice", "bob", (60, 1), nonce);
    assert_eq!(
        chain.refusal(&chain.block(&[spend(1), spend(2)])),
        (Some(1), Reason::Balance)
    );
}

#[test]
fn a_transfer_to_oneself_makes_nothing() {
    let mut chain = chain();
    chain.extend(&[chain.transfer("alice", "alice", (50, 5), 1)]);
    assert_eq!(chain.state().account("alice").balance, 95);
}

#[test]
fn a_fee_below_the_minimum() {
    let chain = chain();
    let block = chain.block(&[chain.transfer("alice", "bob", (1, 0), 1)]);
    assert_eq!(chain.refusal(&block), (Some(0), Reason::Fee));
}

#[test]
fn no_sequence_of_transfers_makes_or_loses_money() {
    let names = ["alice", "bob", "carol", "hub-0"];
    let mut chain = chain();
    let mut numbers = Numbers(1);
    let mut nonces = [0u64; 4];
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..300 {
        let (from, to) = (numbers.below(4) as usize, numbers.below(4) as usize);
        let transfer = (numbers.below(80), 1 + numbers.below(3));
        let block =
            chain.block(&[chain.transfer(names[from], names[to], transfer, nonces[from] + 1)]);
        let state = chain.state().clone();
        match chain.check(&block) {
            Ok(_) => {
                chain.push(block);
                nonces[from] += 1;
                taken += 1;
            }
            Err(rejected) => {
                assert_eq!(rejected.reason, Reason::Balance);
                assert_eq!(*chain.state(), state);
                refused += 1;
            }
        }
        let others = ["hub-1", "hub-2", "hub-3"];
        let total: u64 = names
            .iter()
            .chain(&others)
            .map(|name| chain.state().account(name).balance)
            .sum();
        assert_eq!(total, 110);
    }
    assert!(
        taken > 30 && refused > 20,
        "{taken} taken, {refused} refused"
    );
}
