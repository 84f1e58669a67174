//! Playing with clocks.

use hubledger::rejection::Reason;

use super::in_version;
use crate::common::SECOND;

#[test]
fn a_block_not_after_the_one_before() {
    let mut chain = in_version(1, |_| {});
    chain.extend(&[]);
    let last = chain.state().timestamp();
    for timestamp in [0, last - 1, last] {
        let block = chain.forged(&[], |header| header.timestamp = timestamp);
        assert_eq!(chain.refusal(&block), (None, Reason::Timestamp));
    }
    chain
        .check(&chain.forged(&[], |header| header.timestamp = last + 1))
        .expect("a microsecond later");
}

#[test]
fn a_block_too_far_ahead_of_this_machines_clock() {
    let chain = in_version(1, |fields| fields.rules.clock_drift_max_us = 5 * SECOND);
    let now = chain.now();
    let border = chain.forged(&[], |header| header.timestamp = now + 5 * SECOND);
    chain.check_at(&border, now).expect("exactly at the border");
    let rejected = chain
        .check_at(&border, now - 1)
        .expect_err("a microsecond too far");
    assert_eq!(rejected.reason, Reason::Timestamp);
    let end = chain.forged(&[], |header| header.timestamp = u64::MAX);
    assert_eq!(
        chain
            .check_at(&end, now)
            .expect_err("the end of time")
            .reason,
        Reason::Timestamp
    );
}

#[test]
fn a_transaction_too_far_ahead_of_its_block() {
    let chain = in_version(1, |fields| fields.rules.clock_drift_max_us = 5 * SECOND);
    let at = chain.now() + 5 * SECOND;
    let border = chain.signed("alice", 1, |draft| draft.timestamp = at);
    chain
        .check(&chain.block(&[border]))
        .expect("exactly at the border");
    let over = chain.signed("alice", 1, |draft| draft.timestamp = at + 1);
    assert_eq!(
        chain.refusal(&chain.block(&[over])),
        (Some(0), Reason::Timestamp)
    );
}

#[test]
fn an_expired_transaction() {
    let chain = in_version(1, |_| {});
    let now = chain.now();
    let alive = chain.signed("alice", 1, |draft| draft.expiry = now + 1);
    chain
        .check(&chain.block(&[alive]))
        .expect("a microsecond is left");
    for expiry in [1, now - 1, now] {
        let dead = chain.signed("alice", 1, |draft| draft.expiry = expiry);
        assert_eq!(
            chain.refusal(&chain.block(&[dead])),
            (Some(0), Reason::Expired)
        );
    }
}
