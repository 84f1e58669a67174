//! The causal order against a naive one.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use hubledger::digest::TransactionId;
use hubledger::model::{Block, Causality, Draft, Operation, VectorClock};
use hubledger::testing::{Chain, Numbers, entries};
use hubledger_services::causal::{
    Causal, CausalEvent, CausalPayload, CausalView, Refusal, Relation, Standing,
};
use hubledger_services::payload::Fields;
use hubledger_services::testing::{Trial, made_anew, memory};
use hubledger_services::view::{CommittedBlock, Snapshot, ViewError};
use proptest::prelude::*;

const NODES: [&str; 4] = ["hub_a", "hub_b", "hub_c", "hub_d"];
const RELATIONS: [Relation; 3] = [Relation::Before, Relation::After, Relation::Concurrent];

fn said(clock: &[(&str, u64)]) -> CausalPayload {
    CausalPayload::CausalEvent(CausalEvent {
        vector_clock: entries(clock),
        body: b"it happened".to_vec(),
    })
}

/// The clock that a transaction carries, by which the tests go.
fn clock_of(payload: &[u8]) -> Option<VectorClock> {
    if let Ok(CausalPayload::CausalEvent(event)) = CausalPayload::decode(payload) {
        return Some(event.vector_clock);
    }
    let fields = Fields::read(payload)?;
    let entries = fields.value("vector_clock")?.as_object()?.iter();
    let entries: Option<Vec<_>> = entries
        .map(|(name, counter)| Some((name.clone(), counter.as_u64()?)))
        .collect();
    VectorClock::new(entries?).ok()
}

/// Mostly clocks as honest nodes make them, which know some message of the chain; and some that can't be.
fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let sender = NODES[numbers.below(4) as usize];
    let mut draft = chain.draft(sender, 1);
    let clocks: Vec<(String, VectorClock)> = chain
        .blocks
        .iter()
        .flat_map(|block| block.transactions())
        .filter_map(|one| Some((one.sender().to_owned(), clock_of(one.payload())?)))
        .collect();
    let mut clock = VectorClock::empty();
    if let Some((_, own)) = clocks.iter().rev().find(|(by, _)| by == sender) {
        clock = own.clone();
    }
    if !clocks.is_empty() && numbers.below(3) > 0 {
        let recent = numbers.below(clocks.len().min(8) as u64) as usize;
        clock = clock.merge(&clocks[clocks.len() - 1 - recent].1).unwrap();
    }
    for _ in 0..numbers.below(8) / 5 + u64::from(numbers.below(10) > 0) {
        clock = clock.increment(sender).unwrap();
    }
    if numbers.below(6) == 0 {
        // What it can't have known, or hadn't when it knew the rest.
        let other = NODES[numbers.below(4) as usize];
        let entries = clock
            .iter()
            .map(|(name, counter)| (name.to_owned(), counter));
        let mut entries: BTreeMap<String, u64> = entries.collect();
        entries.insert(other.to_owned(), numbers.below(9));
        clock = VectorClock::new(entries).unwrap();
    }
    let event = CausalPayload::CausalEvent(CausalEvent {
        vector_clock: clock.clone(),
        body: Vec::new(),
    });
    draft.payload = match numbers.below(8) {
        0 => draft.payload,
        1 => event.to_json().into_bytes(),
        2 => serde_json::json!({ "action": "anything", "vector_clock": clock })
            .to_string()
            .into_bytes(),
        3 => b"{\"action\":\"causal_event\",\"vector_clock\":{\"hub_a\":-1}}".to_vec(),
        _ => event.encode(),
    };
    if numbers.below(2) == 0 {
        draft.operation = Operation::NodeUpdate;
    }
    draft
}

struct NaiveEvent {
    id: TransactionId,
    node: String,
    counter: u64,
    /// Counters of the last events known, by node.
    knows: BTreeMap<String, u64>,
}

/// All events in the order of the chain, and what was refused.
fn naive(blocks: &[Block]) -> (Vec<NaiveEvent>, BTreeMap<TransactionId, Refusal>) {
    let (mut events, mut refused) = (Vec::<NaiveEvent>::new(), BTreeMap::new());
    for block in blocks {
        for entry in CommittedBlock::new(block).entries() {
            let Some(clock) = clock_of(entry.transaction().payload()) else {
                continue;
            };
            if clock.is_empty() {
                continue;
            }
            let (node, id) = (entry.sender().to_owned(), entry.id());
            let counter = clock.get(&node);
            let own = events.iter().filter(|event| event.node == node);
            if counter <= own.map(|event| event.counter).max().unwrap_or(0) {
                refused.insert(id, Refusal::Repeated);
                continue;
            }
            let known = |event: &&NaiveEvent| event.counter <= clock.get(&event.node);
            let mut knows = BTreeMap::new();
            for event in events.iter().filter(known) {
                // Counters of a node grow in the chain.
                knows.insert(event.node.clone(), event.counter);
            }
            let is_consistent = knows.iter().all(|(node, counter)| {
                let mut same = events.iter();
                let event = same
                    .find(|event| event.node == *node && event.counter == *counter)
                    .unwrap();
                let mut deeper = event.knows.iter();
                deeper.all(|(node, counter)| knows.get(node).unwrap_or(&0) >= counter)
            });
            if !is_consistent {
                refused.insert(id, Refusal::Inconsistent);
                continue;
            }
            events.push(NaiveEvent {
                id,
                node,
                counter,
                knows,
            });
        }
    }
    (events, refused)
}

/// Pairs of which the first is before the second, by going from what each knows to what that knows, and so on.
fn closure(events: &[NaiveEvent]) -> BTreeSet<(TransactionId, TransactionId)> {
    let mut before = BTreeSet::new();
    for (at, event) in events.iter().enumerate() {
        for earlier in &events[..at] {
            if event.knows.get(&earlier.node) >= Some(&earlier.counter) {
                before.insert((earlier.id, event.id));
            }
        }
    }
    for (earlier, event) in &before.clone() {
        for (first, second) in &before.clone() {
            if second == earlier {
                assert!(
                    before.contains(&(*first, *event)),
                    "the order is transitive"
                );
            }
        }
    }
    before
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let causal = Causal::new(snapshot.clone());
    let (events, refused) = naive(blocks);
    for (id, refusal) in refused {
        let standing = causal.standing(&id).unwrap();
        assert_eq!(standing, Some(Standing::Refused(refusal)));
    }
    // The last ones are enough: all of them were compared when they were new.
    let last = &events[events.len().saturating_sub(60)..];
    let before = closure(last);
    let ids: BTreeSet<_> = last.iter().map(|event| event.id).collect();
    for event in last.iter().rev().take(12) {
        for relation in RELATIONS {
            let found = causal
                .events(&event.id, relation, None, usize::MAX)
                .unwrap();
            assert_eq!(found.next, None);
            let found = found.events;
            let all: Vec<_> = found.iter().map(|event| event.id).collect();
            let distinct: BTreeSet<_> = found.iter().map(|event| event.id).collect();
            assert_eq!(distinct.len(), found.len());
            let expected = ids.iter().copied().filter(|other| {
                let is_before = before.contains(&(*other, event.id));
                let is_after = before.contains(&(event.id, *other));
                match relation {
                    Relation::Before => is_before,
                    Relation::After => is_after,
                    Relation::Concurrent => !is_before && !is_after && *other != event.id,
                }
            });
            let found: BTreeSet<_> = distinct.intersection(&ids).copied().collect();
            assert_eq!(found, expected.collect(), "{relation:?} {}", event.id);
            for other in &found {
                assert_eq!(causal.relation(&event.id, other).unwrap(), Some(relation));
            }
            assert_eq!(page_by_page(&causal, &event.id, relation, 3), all);
        }
    }
    compare_blocks(blocks, &causal);
}

fn page_by_page(
    causal: &Causal,
    id: &TransactionId,
    relation: Relation,
    limit: usize,
) -> Vec<TransactionId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = causal.events(id, relation, after.as_ref(), limit).unwrap();
        assert!(page.events.len() <= limit);
        ids.extend(page.events.iter().map(|event| event.id));
        after = match page.next {
            Some(last) => Some(last),
            None => return ids,
        };
    }
}

fn compare_blocks(blocks: &[Block], causal: &Causal) {
    let full = blocks
        .iter()
        .filter(|block| !block.transactions().is_empty());
    for block in full.clone().rev().take(4) {
        for relation in RELATIONS {
            let (height, clock) = (block.height(), &block.header().vector_clock);
            let found = causal.blocks(height, relation, 0, usize::MAX).unwrap();
            let expected = full.clone().filter(|other| {
                let compared = other.header().vector_clock.compare(clock);
                match relation {
                    Relation::Before => compared == Causality::Before,
                    Relation::After => compared == Causality::After,
                    Relation::Concurrent => compared == Causality::Equal,
                }
            });
            let expected: Vec<_> = expected
                .map(|block| (block.height(), block.transactions().len() as u32))
                .collect();
            assert_eq!((&found.blocks, found.next), (&expected, None));
            let (mut pages, mut next) = (Vec::new(), Some(0));
            while let Some(from) = next {
                let page = causal.blocks(height, relation, from, 2).unwrap();
                pages.extend(page.blocks);
                next = page.next;
            }
            assert_eq!(pages, expected);
        }
    }
}

#[test]
fn whatever_happens_to_the_chain_the_causal_order_is_what_a_naive_one_is() {
    for seed in 0..45 {
        let trial = Trial {
            view: &|| Box::new(CausalView),
            store: &memory(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

/// A chain of these events, one in each block, and the view of it.
fn order(events: &[(&str, &[(&str, u64)])]) -> (Vec<TransactionId>, Causal) {
    let mut chain = Chain::new(1, |_| {});
    let mut ids = Vec::new();
    for (nonce, (sender, clock)) in (1..).zip(events) {
        let event = chain.signed(sender, nonce, |draft| draft.payload = said(clock).encode());
        ids.push(event.id());
        chain.extend(&[event]);
    }
    (ids, Causal::new(made_anew(&chain, Box::new(CausalView), 0)))
}

#[test]
fn messages_that_could_not_know_of_each_other_are_concurrent_whatever_blocks_say() {
    let (ids, causal) = order(&[
        ("a", &[("a", 1)]),
        ("b", &[("b", 1)]),
        ("b", &[("a", 1), ("b", 2)]),
        ("a", &[("a", 2)]),
    ]);
    let relation =
        |first: usize, second: usize| causal.relation(&ids[first], &ids[second]).unwrap();
    assert_eq!(relation(0, 1), Some(Relation::Concurrent));
    assert_eq!(relation(0, 2), Some(Relation::After));
    assert_eq!(relation(2, 1), Some(Relation::Before));
    assert_eq!(relation(3, 2), Some(Relation::Concurrent));
    assert_eq!(relation(1, 1), None);
    let by_blocks = causal.blocks(3, Relation::Before, 0, 100).unwrap();
    assert_eq!(by_blocks.blocks, [(1, 1), (2, 1)]);
}

#[test]
fn nobody_can_claim_to_have_known_what_was_still_to_come() {
    let (ids, causal) = order(&[
        ("liar", &[("a", u64::MAX), ("liar", 1)]),
        ("a", &[("a", 1)]),
        ("a", &[("a", 2)]),
        ("liar", &[("a", 1), ("liar", 2)]),
    ]);
    let relation = causal.relation(&ids[0], &ids[1]).unwrap();
    assert_eq!(relation, Some(Relation::Concurrent));
    let known = causal.events(&ids[3], Relation::Before, None, 100).unwrap();
    let known: Vec<_> = known.events.iter().map(|event| event.id).collect();
    assert_eq!(known, [ids[0], ids[1]]);
}

#[test]
fn an_answer_goes_on_behind_an_event_and_nothing_else() {
    let (ids, causal) = order(&[("a", &[("a", 1)]), ("a", &[("a", 2)]), ("a", &[("a", 2)])]);
    let behind = |after: &TransactionId| causal.events(&ids[0], Relation::After, Some(after), 9);
    assert_eq!(behind(&ids[1]).unwrap().events, []);
    for no_event in [ids[2], TransactionId([7; 32])] {
        assert!(matches!(behind(&no_event), Err(ViewError::Cursor { .. })));
    }
}

#[test]
fn clocks_that_go_back_or_contradict_the_chain_do_not_count() {
    let (ids, causal) = order(&[
        ("a", &[("a", 1)]),
        ("b", &[("a", 1), ("b", 1)]),
        ("a", &[("a", 1)]),
        ("a", &[("b", 1)]),
        ("c", &[("b", 1), ("c", 1)]),
        ("c", &[("a", 1), ("b", 1), ("c", 1)]),
    ]);
    let standing = |at: usize| causal.standing(&ids[at]).unwrap();
    assert_eq!(standing(2), Some(Standing::Refused(Refusal::Repeated)));
    assert_eq!(standing(3), Some(Standing::Refused(Refusal::Repeated)));
    assert_eq!(standing(4), Some(Standing::Refused(Refusal::Inconsistent)));
    assert!(matches!(
        standing(5),
        Some(Standing::Event { counter: 1, .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_mean_themselves(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut payload = vec![0, b'h', b'l', 50];
        payload.append(&mut bytes);
        if let Ok(said) = CausalPayload::decode(&payload) {
            prop_assert_eq!(said.encode(), payload);
        }
    }

    #[test]
    fn payloads_have_one_encoding(clock in proptest::collection::btree_map("[a-z]{1,9}", 1..u64::MAX, 1..64)) {
        let event = CausalPayload::CausalEvent(CausalEvent {
            vector_clock: VectorClock::new(clock).unwrap(),
            body: b"text".to_vec(),
        });
        prop_assert_eq!(CausalPayload::decode(&event.encode()), Ok(event.clone()));
        let fields = Fields::read(event.to_json().as_bytes()).unwrap();
        prop_assert_eq!(CausalPayload::from_fields(&fields), Some(event));
    }
}
