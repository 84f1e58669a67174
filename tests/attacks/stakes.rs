//! Weight that nobody put up, value taken back twice, too early or from others, and keys that are somebody else's.

use hubledger::consensus;
use hubledger::model::{Block, Transaction};
use hubledger::payload::{Delegate, Payload, Release, Stake, Withdraw};
use hubledger::rejection::Reason;
use hubledger::signature::{KeyPair, PublicKey};
use hubledger::spec::{Authority, StakeTerms};
use hubledger::state::tables::{Pools, Shares};

use crate::common::{Chain, account, hub, key, stakes};

const TERMS: StakeTerms = StakeTerms {
    epoch: 3,
    members_max: 2,
    release_delay: 4,
    delegation: true,
};

/// Members `hub-0` with 60 and `hub-1` with 40; alice and bob have 100 each. Members change at heights 4, 7, 10, …
fn chain_under(terms: StakeTerms) -> Chain {
    let member = |number: usize, weight| Authority {
        key: key(&hub(number)).public_key(),
        name: hub(number),
        weight,
    };
    Chain::of(stakes::spec(
        terms,
        vec![member(0, 60), member(1, 40)],
        |fields| fields.accounts = [account("alice", 100), account("bob", 100)].into(),
    ))
}

fn chain() -> Chain {
    chain_under(TERMS)
}

fn says(chain: &Chain, name: &str, nonce: u64, payload: Payload) -> Transaction {
    chain.signed(name, nonce, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

fn stake(whose: &str, amount: u64) -> Payload {
    let key = key(whose).public_key();
    Payload::Stake(Stake { key, amount })
}

fn delegate(to: &str, amount: u64) -> Payload {
    let to = to.to_owned();
    Payload::Delegate(Delegate { to, amount })
}

fn release(from: &str, amount: u64) -> Payload {
    let from = from.to_owned();
    Payload::Release(Release { from, amount })
}

fn withdraw(from: &str, boundary: u64) -> Payload {
    let from = from.to_owned();
    Payload::Withdraw(Withdraw { from, boundary })
}

#[track_caller]
fn refused(chain: &Chain, name: &str, nonce: u64, payload: Payload) -> Reason {
    let transaction = says(chain, name, nonce, payload);
    let (index, reason) = chain.refusal(&chain.block(&[transaction]));
    assert_eq!(index, Some(0));
    reason
}

#[track_caller]
fn say(chain: &mut Chain, name: &str, nonce: u64, payload: Payload) {
    let transaction = says(chain, name, nonce, payload);
    chain.extend(&[transaction]);
}

fn members_at(chain: &Chain, height: u64) -> Vec<(String, u64)> {
    let members = consensus::members(chain.spec(), chain.state(), height);
    let members = members.iter().map(|one| (one.name.clone(), one.weight));
    members.collect()
}

fn named(members: &[(&str, u64)]) -> Vec<(String, u64)> {
    let members = members.iter();
    members
        .map(|(name, weight)| ((*name).to_owned(), *weight))
        .collect()
}

/// A block that a key seals under a name, whether it may or not.
fn sealed_by(chain: &Chain, name: &str, sealer: &KeyPair) -> Block {
    let mut fields = hubledger::testing::fields(&chain.block(&[]));
    fields.producer = name.to_owned();
    let counted = consensus::clock_name(chain.spec(), fields.height, name);
    fields.vector_clock = chain.state().clock().increment(counted).unwrap();
    hubledger::testing::sealed(fields, sealer, &[])
}

#[test]
fn value_that_nobody_has_is_put_up() {
    let chain = chain();
    assert_eq!(
        refused(&chain, "alice", 1, stake("alice", 101)),
        Reason::Balance
    );
    assert_eq!(
        refused(&chain, "alice", 1, stake("alice", u64::MAX)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "alice", 1, delegate("hub-0", 101)),
        Reason::Balance
    );
    assert_eq!(
        refused(&chain, "alice", 1, stake("alice", 0)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "alice", 1, delegate("hub-0", 0)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "alice", 1, delegate("bob", 10)),
        Reason::Stake,
        "nobody's pool"
    );
    let alone = chain_under(StakeTerms {
        delegation: false,
        ..TERMS
    });
    assert_eq!(
        refused(&alone, "alice", 1, delegate("hub-0", 10)),
        Reason::Stake
    );
}

#[test]
fn a_key_that_is_anothers_or_nobodys() {
    let mut chain = chain();
    assert_eq!(
        refused(&chain, "alice", 1, stake("hub-0", 50)),
        Reason::Stake
    );
    let no_point = (0..=u8::MAX).map(|byte| PublicKey::from_bytes([byte; 32]));
    let mut no_point = no_point.filter(|key| hubledger::signature::check_key(key).is_err());
    let key = no_point.next().unwrap();
    let payload = Payload::Stake(Stake { key, amount: 50 });
    assert_eq!(refused(&chain, "alice", 1, payload), Reason::Stake);
    assert_eq!(
        refused(&chain, "hub-1", 1, stake("hub-1", 0)),
        Reason::Stake,
        "its own"
    );
    // What is too little for a member may have any key, until others make it one.
    say(&mut chain, "alice", 1, stake("hub-0", 5));
    assert_eq!(
        refused(&chain, "bob", 1, delegate("alice", 50)),
        Reason::Stake
    );
}

#[test]
fn a_stake_makes_a_member_at_the_boundary_and_not_before() {
    let mut chain = chain();
    say(&mut chain, "alice", 1, stake("alice", 41));
    let (before, after) = (
        [("hub-0", 60), ("hub-1", 40)],
        [("hub-0", 60), ("alice", 41)],
    );
    assert_eq!(members_at(&chain, 3), named(&before));
    for _ in 0..2 {
        let early = sealed_by(&chain, "alice", &key("alice"));
        assert_eq!(chain.refusal(&early), (None, Reason::Producer));
        chain.extend(&[]);
    }
    assert_eq!(
        (chain.state().height(), members_at(&chain, 4)),
        (3, named(&after))
    );
    let late = sealed_by(&chain, "hub-1", &key("hub-1"));
    assert_eq!(
        chain.refusal(&late),
        (None, Reason::Producer),
        "alice took its place"
    );
    chain.push(chain.block_by("alice", &[]));
    // As much as the least has is not more.
    say(&mut chain, "bob", 1, stake("bob", 41));
    assert_eq!(members_at(&chain, 7), named(&after));
    say(&mut chain, "bob", 2, stake("bob", 1));
    chain.extend(&[]);
    chain.extend(&[]);
    chain.extend(&[]);
    assert_eq!(members_at(&chain, 10), named(&[("hub-0", 60), ("bob", 42)]));
}

#[test]
fn an_exchanged_key_seals_from_the_boundary_on_and_the_old_one_before() {
    let mut chain = chain();
    say(&mut chain, "hub-1", 1, stake("new", 0));
    chain.extend(&[]);
    let early = sealed_by(&chain, "hub-1", &key("new"));
    assert_eq!(chain.refusal(&early), (None, Reason::Seal));
    chain.push(sealed_by(&chain, "hub-1", &key("hub-1")));
    let late = sealed_by(&chain, "hub-1", &key("hub-1"));
    assert_eq!(chain.refusal(&late), (None, Reason::Seal));
    chain.push(sealed_by(&chain, "hub-1", &key("new")));
}

#[test]
fn more_is_taken_back_than_is_there_or_than_the_chain_can_go_on_without() {
    let mut chain = chain();
    assert_eq!(
        refused(&chain, "hub-0", 1, release("hub-0", 61)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "hub-0", 1, release("hub-0", 0)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "alice", 1, release("hub-0", 1)),
        Reason::Stake,
        "others' stake"
    );
    say(&mut chain, "alice", 1, delegate("hub-0", 10));
    assert_eq!(
        refused(&chain, "alice", 2, release("hub-0", 11)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "hub-0", 1, release("hub-0", 61)),
        Reason::Stake,
        "alice's"
    );
    // hub-1 leaves; then hub-0 is the last, and stays one while it has the least that makes a member.
    say(&mut chain, "hub-1", 1, release("hub-1", 21));
    assert_eq!(
        refused(&chain, "hub-0", 1, release("hub-0", 51)),
        Reason::Stake
    );
    say(&mut chain, "hub-0", 1, release("hub-0", 50));
    assert_eq!(members_at(&chain, 4), named(&[("hub-0", 70)]));
    chain.extend(&[]);
    chain.extend(&[]);
    assert_eq!(members_at(&chain, 7), named(&[("hub-0", 20)]));
}

#[test]
fn what_was_taken_back_is_paid_out_once_and_not_before_its_time() {
    let mut chain = chain();
    say(&mut chain, "hub-1", 1, release("hub-1", 30));
    assert_eq!(
        refused(&chain, "hub-1", 2, withdraw("hub-1", 0)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "hub-1", 2, withdraw("hub-1", 7)),
        Reason::Stake,
        "none there"
    );
    assert_eq!(
        refused(&chain, "alice", 1, withdraw("hub-1", 4)),
        Reason::Stake,
        "others'"
    );
    while chain.state().height() < 7 {
        assert_eq!(
            refused(&chain, "hub-1", 2, withdraw("hub-1", 4)),
            Reason::Stake
        );
        chain.extend(&[]);
    }
    let twice = [
        says(&chain, "hub-1", 2, withdraw("hub-1", 4)),
        says(&chain, "hub-1", 3, withdraw("hub-1", 4)),
    ];
    let block = chain.block(&twice);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Stake));
    assert!(chain.check(&block).is_err());
    chain.extend(&twice[..1]);
    assert_eq!(chain.state().height(), 8);
    assert_eq!(chain.state().account("hub-1").balance, 30);
    assert!(
        chain
            .state()
            .value::<Pools>(&Pools::key("hub-1", 4))
            .is_none()
    );
    assert!(
        chain
            .state()
            .value::<Shares>(&Shares::key("hub-1", "hub-1", 4))
            .is_none()
    );
    assert_eq!(
        refused(&chain, "hub-1", 3, withdraw("hub-1", 4)),
        Reason::Stake
    );
}

#[test]
fn stakes_where_members_have_none() {
    let chain = Chain::in_version(hubledger::format::FormatVersion::V2, 1, |fields| {
        fields.rules.identity = hubledger::spec::Identity::Pinned;
        fields.rules.balances = true;
        fields.accounts = [account("alice", 100)].into();
    });
    assert_eq!(
        refused(&chain, "alice", 1, stake("alice", 50)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "alice", 1, delegate("hub-0", 50)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "alice", 1, release("alice", 50)),
        Reason::Stake
    );
    assert_eq!(
        refused(&chain, "alice", 1, withdraw("alice", 50)),
        Reason::Stake
    );
}

#[test]
fn a_chain_that_takes_over_gives_its_members_stakes_once() {
    let mut chain = chain();
    say(&mut chain, "hub-1", 1, release("hub-1", 10));
    let mut chain = chain.succeeded(|_| {});
    let pool = |chain: &Chain, name: &str| {
        let pool = chain.state().value::<Pools>(&Pools::key(name, 0));
        pool.map(|pool| pool.tokens)
    };
    chain.push(chain.block_by("hub-0", &[]));
    // What was behind a name stays; a change of members that was still to come is none any more.
    assert_eq!(
        (pool(&chain, "hub-0"), pool(&chain, "hub-1")),
        (Some(60), Some(30))
    );
    let listed = [("hub-0", 60), ("hub-1", 40)];
    assert_eq!(members_at(&chain, 4), named(&listed));
    say(&mut chain, "alice", 1, delegate("hub-0", 5));
    for _ in 0..3 {
        chain.extend(&[]);
    }
    assert_eq!(
        members_at(&chain, 7),
        named(&[("hub-0", 65), ("hub-1", 30)])
    );
}
