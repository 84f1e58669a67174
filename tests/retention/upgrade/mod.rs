//! Going on under another specification in the store where a chain is, in every backend.

mod crash;
mod kept;
mod refused;

use std::ops::ControlFlow;

use hubledger::engine::{Change, Engine, Outcome, verify_store};
use hubledger::format::FormatVersion;
use hubledger::ledger::{Ledger, Lookup, Staging, UpgradeError};
use hubledger::spec::{ChainSpec, Consensus, SpecFields, Terms};

use crate::common::{Chain, clock, hub, key};
use crate::places::{Place, chain};

fn go_on<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The chain under version 2, with a state root in every block, as `upgrade` takes it over when nobody asks for more.
fn succeeded(before: &Chain) -> Chain {
    before.succeeded(|fields| fields.terms = Terms::of_new_chains())
}

/// The chain under the same specification but for smaller payloads.
fn smaller(before: &Chain) -> Chain {
    before.succeeded(|fields| fields.limits.payload_bytes_max -= 1)
}

/// Blocks of one message each, by names that nobody else has.
fn extend(chain: &mut Chain, blocks: u64) {
    for _ in 0..blocks {
        let sender = format!("sender-{}", chain.state().height());
        chain.extend(&[chain.message(&sender, 1)]);
    }
}

/// What the ledger says that it would go on under.
fn successor(ledger: &Ledger, fields: SpecFields) -> Result<Option<ChainSpec>, UpgradeError> {
    ledger.reader().successor(ledger.state(), fields)
}

/// Goes on under the specification of `next`, whose blocks so far are the ledger's.
fn upgraded(ledger: Ledger, next: &Chain) -> Ledger {
    let ledger = ledger.upgrade(next.spec()).unwrap();
    assert_eq!(ledger.spec(), next.spec());
    ledger
}

/// Stages and commits what the ledger lacks of a chain.
fn follow(ledger: &mut Ledger, chain: &Chain) {
    let next = ledger.state().height() as usize + 1;
    for block in &chain.blocks[next..] {
        assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
    }
    assert_eq!(ledger.state(), chain.state());
}

/// The chain's place, opened again: the same state, and every block and the stored state are valid.
fn assert_holds(place: &Place, chain: &Chain) {
    let ledger = place.again(chain);
    assert_eq!(ledger.spec(), chain.spec(), "{place}");
    assert_eq!(ledger.state(), chain.state(), "{place}");
    drop(ledger);
    let report = verify_store(place.open().reader, chain.now(), &mut go_on).unwrap();
    assert!(report.rejected.is_none(), "{place}: {:?}", report.rejected);
    assert_eq!(report.head, chain.state().head(), "{place}");
    let mut damage = Vec::new();
    if place.name != "memory" {
        place.url.check(&mut |found| damage.push(found)).unwrap();
    }
    assert!(damage.is_empty(), "{place}: {damage:?}");
}

#[test]
fn a_chain_goes_on_under_the_next_specification_and_the_one_after() {
    for place in Place::all() {
        let first = chain(12);
        let ledger = place.ledger(&first);
        let mut second = succeeded(&first);
        let fields = first.spec().successor_fields();
        let next = successor(&ledger, fields).unwrap();
        assert_eq!(next.as_ref(), Some(second.spec()), "{place}");
        let ledger = upgraded(ledger, &second);
        assert_eq!(ledger.state(), second.state());
        ledger.close().unwrap();
        assert_holds(&place, &second);

        let mut ledger = place.again(&second);
        extend(&mut second, 5);
        follow(&mut ledger, &second);
        // From version 2 to version 2, and to another authority.
        let mut third = second.succeeded(|fields| {
            let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
                unreachable!("the only consensus");
            };
            consensus.authorities.truncate(1);
        });
        let mut ledger = upgraded(ledger, &third);
        let by_the_other = second.block_by(&hub(1), &[]);
        assert!(matches!(
            ledger.stage(&by_the_other).unwrap(),
            Staging::Rejected(_)
        ));
        extend(&mut third, 3);
        follow(&mut ledger, &third);
        ledger.close().unwrap();
        assert_holds(&place, &third);
    }
}

#[test]
fn old_blocks_are_held_and_their_transactions_proved_against_new_heads() {
    for place in Place::all() {
        let first = chain(12);
        let mut second = succeeded(&first);
        let mut ledger = upgraded(place.ledger(&first), &second);
        extend(&mut second, 4);
        follow(&mut ledger, &second);
        for block in &second.blocks {
            assert_eq!(ledger.stage(block).unwrap(), Staging::Held, "{place}");
        }
        let (reader, head) = (ledger.reader(), second.state().head());
        for block in &first.blocks {
            for (index, transaction) in block.transactions().iter().enumerate() {
                let Lookup::Found(found) = reader.transaction(&transaction.id()).unwrap() else {
                    panic!("{place}: not found");
                };
                assert_eq!((found.height, found.index), (block.height(), index as u32));
                let proof = reader.prove(found.height, found.index, None).unwrap();
                assert_eq!(proof.verify(&head).unwrap().height, block.height());
            }
        }
        let state = ledger.state();
        for (name, is_known) in [("alice", true), ("sender-12", true), ("nobody", false)] {
            let proof = reader.prove_account(state, name, None).unwrap();
            let proven = proof.verify(&head).unwrap();
            assert_eq!(proven.value.is_some(), is_known, "{place}: {name}");
        }
        let extends = reader.prove_extends(&first.blocks[3].hash(), None).unwrap();
        extends.verify(&first.blocks[3].hash(), &head).unwrap();
    }
}

#[test]
fn an_engine_goes_on_and_makes_blocks_and_its_followers_stay() {
    for place in Place::all() {
        let first = chain(6);
        let engine = Engine::builder().clock(clock(first.now()));
        let engine = engine.create(place.open(), first.spec()).unwrap();
        let held = first.blocks[1..].iter().map(|block| block.encode().into());
        for outcome in engine.import(held) {
            assert!(matches!(outcome.unwrap(), Outcome::Committed(_)));
        }
        let mut follower = engine.register("search", 0).unwrap();
        follower.next().unwrap().unwrap();
        follower.finished(0).unwrap();
        engine.shutdown().unwrap();
        drop((follower, engine));

        let second = succeeded(&first);
        upgraded(place.again(&first), &second).close().unwrap();
        let engine = Engine::builder().clock(clock(second.now()));
        let engine = engine.open(place.open()).unwrap();
        assert_eq!(engine.spec(), second.spec());
        let mut follower = engine.resume("search").unwrap();
        let outcome = engine.produce(&key(&hub(0))).unwrap();
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
        let made = engine.head().unwrap();
        assert_eq!((made.version, made.height), (FormatVersion::V2, 7));
        assert_eq!(made.previous_hash, first.state().head());
        // From the first block that it hasn't finished on, across the border.
        let followed = std::iter::from_fn(|| follower.next()).take(7);
        let heights = followed.map(|change| match change.unwrap() {
            Change::Committed { block } => block.height(),
            Change::Reverted { .. } => panic!("this chain doesn't fork"),
        });
        assert_eq!(
            heights.collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7],
            "{place}"
        );
        engine.shutdown().unwrap();
    }
}

#[test]
fn an_upgrade_that_was_made_is_no_other_one() {
    let first = chain(4);
    let place = Place::new("memory").unwrap();
    let second = succeeded(&first);
    let ledger = upgraded(place.ledger(&first), &second);
    // The whole specification, its fields without a predecessor, and the successor that changes nothing.
    let plain = SpecFields {
        predecessor: None,
        ..(**second.spec()).clone()
    };
    let again = second.spec().successor_fields();
    for fields in [(**second.spec()).clone(), plain, again] {
        assert!(successor(&ledger, fields).unwrap().is_none());
    }
    let ledger = ledger.upgrade(second.spec()).unwrap();
    assert_eq!(ledger.spec().predecessors(), 1);
    // So is the specification of version 1 as long as it is in force.
    let young = first.ledger();
    assert!(
        successor(&young, (**first.spec()).clone())
            .unwrap()
            .is_none()
    );
}
