//! The cache against a naive one.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use hubledger::digest::Digest;
use hubledger::model::{Block, Draft, VectorClock};
use hubledger::payload::MARK;
use hubledger::sparse::PathError;
use hubledger::testing::{Chain, Numbers, entries};
use hubledger_services::cache::{
    Cache, CacheCheckpoint, CacheInvalidate, CachePayload, CacheProof, CachePut, CacheView,
    Namespace,
};
use hubledger_services::testing::{Trial, made_anew, memory};
use hubledger_services::view::{CommittedBlock, Snapshot};
use hubledger_storage::{RangeLimit, StoreUrl};
use proptest::prelude::*;

const NAMESPACES: [&str; 2] = ["users", "users.eu"];
const KEYS: [&str; 3] = ["a", "b", "a/b"];
const HUBS: [&str; 3] = ["hub-a", "hub-b", "hub-c"];
const ALL: RangeLimit = RangeLimit {
    rows: 1 << 20,
    bytes: 1 << 30,
};

fn clock(numbers: &mut Numbers, chain: &Chain, sender: &str) -> VectorClock {
    if numbers.below(4) == 0 {
        return VectorClock::empty();
    }
    let height = chain.state().height();
    let counts: Vec<(&str, u64)> = HUBS
        .iter()
        .filter_map(|hub| {
            let count = match *hub == sender {
                true => height * 4 + numbers.below(6),
                false => numbers.below(height * 3 + 1),
            };
            (numbers.below(5) > 0).then_some((*hub, count))
        })
        .collect();
    entries(&counts)
}

fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let sender = HUBS[numbers.below(3) as usize];
    let mut draft = chain.draft(sender, 1);
    let namespace = NAMESPACES[numbers.below(2) as usize].to_owned();
    let key = KEYS[numbers.below(3) as usize].to_owned();
    let clock = clock(numbers, chain, sender);
    let said = match numbers.below(6) {
        0 => CachePayload::CacheCheckpoint(CacheCheckpoint {
            height: numbers.below(chain.state().height() + 3),
            root: Digest([numbers.below(256) as u8; 32]),
        }),
        1 | 2 => CachePayload::CacheInvalidate(CacheInvalidate {
            namespace,
            key,
            clock,
        }),
        _ => CachePayload::CachePut(CachePut {
            namespace,
            key,
            value: format!("value {}", numbers.draw()).into_bytes(),
            clock,
        }),
    };
    draft.payload = match numbers.below(8) {
        0 => b"{\"action\":\"cache_put\",\"namespace\":\"users\",\"key\":7}".to_vec(),
        1 => [&MARK[..], &[56, 200]].concat(),
        2 | 3 => said.to_json().into_bytes(),
        _ => said.encode(),
    };
    draft
}

#[derive(Clone, Default)]
struct Stands {
    value: Option<Vec<u8>>,
    clock: BTreeMap<String, u64>,
    at: (u64, u32),
}

#[derive(Default)]
struct Model {
    keys: BTreeMap<(String, String), Stands>,
    /// Clocks of all writes of a namespace that were let in.
    seen: Vec<(String, String, BTreeMap<String, u64>)>,
    counts: BTreeMap<String, Namespace>,
    /// Roots by height and sender.
    checkpoints: BTreeMap<(u64, String), Digest>,
}

impl Model {
    fn write(
        &mut self,
        place: (String, String),
        sender: &str,
        value: Option<Vec<u8>>,
        clock: &VectorClock,
        at: (u64, u32),
    ) {
        let clock: BTreeMap<String, u64> =
            clock.iter().map(|(hub, n)| (hub.to_owned(), n)).collect();
        let highest = |hub: &str| {
            let own = self
                .seen
                .iter()
                .filter(|(space, by, _)| *space == place.0 && by == hub);
            own.map(|(_, _, clock)| clock[hub]).max().unwrap_or(0)
        };
        let counts = self.counts.entry(place.0.clone()).or_default();
        if !clock.is_empty() {
            // Names ascend: what is met first counts.
            for (hub, count) in &clock {
                if hub == sender && *count <= highest(hub) {
                    counts.stale += 1;
                    return;
                }
                if hub != sender && *count > highest(hub) {
                    counts.unseen += 1;
                    return;
                }
            }
            if !clock.contains_key(sender) {
                counts.stale += 1;
                return;
            }
            self.seen
                .push((place.0.clone(), sender.to_owned(), clock.clone()));
        }
        let stands = match self.keys.get(&place) {
            Some(held) if clock.is_empty() => held.clock.clone(),
            Some(held)
                if held
                    .clock
                    .iter()
                    .any(|(hub, n)| clock.get(hub).unwrap_or(&0) < n) =>
            {
                if held.value.is_none() && value.is_some() {
                    counts.lost += 1;
                    return;
                }
                counts.conflicts += 1;
                let mut merged = clock.clone();
                for (hub, n) in &held.clock {
                    let own = merged.entry(hub.clone()).or_default();
                    *own = (*own).max(*n);
                }
                merged
            }
            _ => clock,
        };
        counts.writes += 1;
        let stands = Stands {
            value,
            clock: stands,
            at,
        };
        self.keys.insert(place, stands);
    }
}

fn naive(blocks: &[Block]) -> Model {
    let mut model = Model::default();
    for block in blocks {
        for entry in CommittedBlock::new(block).entries() {
            let at = (block.height(), entry.index);
            match CachePayload::of(&entry) {
                Some(CachePayload::CachePut(said)) => model.write(
                    (said.namespace, said.key),
                    entry.sender(),
                    Some(said.value),
                    &said.clock,
                    at,
                ),
                Some(CachePayload::CacheInvalidate(said)) => model.write(
                    (said.namespace, said.key),
                    entry.sender(),
                    None,
                    &said.clock,
                    at,
                ),
                Some(CachePayload::CacheCheckpoint(said)) if said.height < at.0 => {
                    let key = (said.height, entry.sender().to_owned());
                    model.checkpoints.insert(key, said.root);
                }
                _ => {}
            }
        }
    }
    for ((namespace, _), stands) in &model.keys {
        let counts = model.counts.get_mut(namespace).unwrap();
        match stands.value {
            Some(_) => counts.values += 1,
            None => counts.invalidated += 1,
        }
    }
    model
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let (cache, model) = (Cache::new(snapshot.clone()), naive(blocks));
    let tree = cache.tree().unwrap();
    let said = cache.checkpoints(2..30, ALL).unwrap().into_iter();
    let said: Vec<_> = said
        .map(|one| ((one.height, one.sender), one.root))
        .collect();
    let heights = model
        .checkpoints
        .range((2, String::new())..(30, String::new()));
    let expected: Vec<_> = heights
        .rev()
        .map(|(key, root)| (key.clone(), *root))
        .collect();
    assert_eq!(said, expected);
    for namespace in NAMESPACES {
        let counts = model.counts.get(namespace).copied();
        assert_eq!(cache.namespace(namespace).unwrap(), counts);
        for key in KEYS {
            let place = (namespace.to_owned(), key.to_owned());
            let (entry, stands) = (cache.entry(namespace, key).unwrap(), model.keys.get(&place));
            assert_eq!(entry.is_some(), stands.is_some());
            let proof = tree.prove(namespace, key).unwrap();
            let proof = CacheProof::decode(&proof.encode()).unwrap();
            let proven = proof.verify(&tree.root()).unwrap();
            assert_eq!(
                proven.map(|one| one.recorded),
                entry.as_ref().map(|one| one.recorded)
            );
            let (Some(entry), Some(stands)) = (entry, stands) else {
                continue;
            };
            assert_eq!(entry.value.as_deref(), stands.value.as_deref());
            assert_eq!((entry.recorded.height, entry.recorded.index), stands.at);
            let clock = entry.clock.iter().map(|(hub, n)| (hub.to_owned(), n));
            assert_eq!(clock.collect::<BTreeMap<_, _>>(), stands.clock);
        }
        compare_since(&cache, &model, namespace, blocks.len() as u64 / 2);
    }
}

/// What is lacked since a height comes in the order of the chain, in answers of any size.
fn compare_since(cache: &Cache, model: &Model, namespace: &str, height: u64) {
    let mut expected: Vec<_> = model
        .keys
        .iter()
        .filter(|((space, _), stands)| space == namespace && stands.at.0 >= height)
        .map(|((_, key), stands)| (stands.at, key.clone()))
        .collect();
    expected.sort();
    let small = RangeLimit {
        rows: 2,
        bytes: 1 << 20,
    };
    let tiny = RangeLimit {
        rows: 100,
        bytes: 1,
    };
    for limit in [ALL, small, tiny] {
        let (mut found, mut from) = (Vec::new(), Some((height, 0)));
        while let Some(place) = from {
            let missed = cache.since(namespace, place, limit).unwrap();
            assert!(missed.entries.len() <= limit.rows);
            let places = missed
                .entries
                .iter()
                .map(|(key, entry)| ((entry.recorded.height, entry.recorded.index), key.clone()));
            found.extend(places);
            from = missed.next;
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn whatever_happens_to_the_chain_the_cache_is_what_a_naive_one_is() {
    for seed in 0..40 {
        let trial = Trial {
            view: &|| Box::new(CacheView),
            store: &memory(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

#[test]
fn the_same_in_a_store_with_files() {
    for seed in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let url: StoreUrl = format!("log:{}", folder.path().join("views").display())
            .parse()
            .unwrap();
        let trial = Trial {
            view: &|| Box::new(CacheView),
            store: &|| url.open_or_create().unwrap(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 30);
    }
}

/// A put, or an invalidation without a value.
type Written<'a> = (&'a str, Option<&'a str>, &'a [(&'a str, u64)]);

fn after(writes: &[Written<'_>]) -> (Chain, Cache) {
    let mut chain = Chain::new(1, |_| {});
    for (nonce, (sender, value, counts)) in (1..).zip(writes) {
        let (namespace, key) = ("users".to_owned(), "a".to_owned());
        let clock = entries(counts);
        let said = match value {
            Some(value) => CachePayload::CachePut(CachePut {
                namespace,
                key,
                value: value.as_bytes().to_vec(),
                clock,
            }),
            None => CachePayload::CacheInvalidate(CacheInvalidate {
                namespace,
                key,
                clock,
            }),
        };
        let signed = chain.signed(sender, nonce, |draft| draft.payload = said.encode());
        chain.extend(&[signed]);
    }
    let cache = Cache::new(made_anew(&chain, Box::new(CacheView), 0));
    (chain, cache)
}

fn value(writes: &[Written<'_>]) -> Option<String> {
    let entry = after(writes).1.entry("users", "a").unwrap().unwrap();
    entry
        .value
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn a_value_that_could_not_know_of_an_invalidation_does_not_stand_against_it() {
    let put = ("hub-a", Some("1"), &[("hub-a", 1)][..]);
    let invalidate = ("hub-b", None, &[("hub-a", 1), ("hub-b", 1)][..]);
    let late = ("hub-a", Some("2"), &[("hub-a", 2)][..]);
    let knowing = ("hub-a", Some("3"), &[("hub-a", 3), ("hub-b", 1)][..]);
    assert_eq!(value(&[put, invalidate, late]), None);
    assert_eq!(
        value(&[put, invalidate, late, knowing]).as_deref(),
        Some("3")
    );
}

#[test]
fn of_two_values_apart_the_later_in_the_chain_stands_until_somebody_saw_both() {
    let first = ("hub-a", Some("1"), &[("hub-a", 1)][..]);
    let second = ("hub-b", Some("2"), &[("hub-b", 1)][..]);
    let behind_first = ("hub-a", None, &[("hub-a", 2)][..]);
    assert_eq!(value(&[first, second]).as_deref(), Some("2"));
    let (_, cache) = after(&[first, second, behind_first]);
    assert_eq!(cache.namespace("users").unwrap().unwrap().conflicts, 2);
}

#[test]
fn a_clock_can_not_speak_for_others() {
    let put = ("hub-a", Some("1"), &[("hub-a", 1)][..]);
    let boasting = ("hub-b", Some("2"), &[("hub-a", u64::MAX), ("hub-b", 1)][..]);
    let repeated = ("hub-a", Some("3"), &[("hub-a", 1)][..]);
    let (_, cache) = after(&[put, boasting, repeated]);
    let counts = cache.namespace("users").unwrap().unwrap();
    assert_eq!((counts.unseen, counts.stale, counts.writes), (1, 1, 1));
}

#[test]
fn values_and_absences_are_proved_to_whoever_has_a_head_and_a_root() {
    let (chain, cache) = after(&[("hub-a", Some("1"), &[])]);
    let tree = cache.tree().unwrap();
    let standing = tree
        .prove("users", "a")
        .unwrap()
        .verify(&tree.root())
        .unwrap()
        .unwrap();
    let ledger = chain.ledger();
    let proof = standing.recorded.prove(&ledger.reader(), None).unwrap();
    let proven = proof.verify(&chain.last().hash()).unwrap();
    assert_eq!(proven.id, standing.recorded.id);
    let absent = tree.prove("users", "b").unwrap();
    assert_eq!(absent.verify(&tree.root()), Ok(None));
    assert_eq!(absent.verify(&Digest([1; 32])), Err(PathError::Root));
}

fn payloads() -> impl Strategy<Value = CachePayload> {
    let name = "[a-z.]{1,20}";
    let clock = proptest::collection::btree_map("[a-z]{1,8}", 1..u64::MAX, 0..5);
    let clock = clock.prop_map(|counts| VectorClock::new(counts).unwrap());
    (
        name,
        name,
        "[a-z \"\\\\]{0,40}",
        clock,
        0..3u8,
        any::<u64>(),
    )
        .prop_map(|(namespace, key, value, clock, kind, height)| match kind {
            0 => CachePayload::CachePut(CachePut {
                namespace,
                key,
                value: value.into_bytes(),
                clock,
            }),
            1 => CachePayload::CacheInvalidate(CacheInvalidate {
                namespace,
                key,
                clock,
            }),
            _ => CachePayload::CacheCheckpoint(CacheCheckpoint {
                height,
                root: Digest([height as u8; 32]),
            }),
        })
}

proptest! {
    #[test]
    fn both_forms_give_back_what_was_said(said in payloads()) {
        prop_assert_eq!(&CachePayload::decode(&said.encode()).unwrap(), &said);
        let fields = hubledger_services::payload::Fields::read(said.to_json().as_bytes()).unwrap();
        prop_assert_eq!(CachePayload::from_fields(&fields), Some(said));
    }

    #[test]
    fn what_decodes_is_canonical(tag in 56u8..60, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = [&MARK[..], &[tag], &bytes].concat();
        if let Ok(said) = CachePayload::decode(&bytes) {
            prop_assert_eq!(said.encode(), bytes);
        }
    }
}
