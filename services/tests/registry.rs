//! The registry against a naive one.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "registry/model.rs"]
mod model;

use std::cell::RefCell;
use std::collections::BTreeSet;

use hubledger::digest::BlockHash;
use hubledger::format::FormatVersion;
use hubledger::model::{Draft, Operation};
use hubledger::payload::{KeySet, Leave, Payload, Profile, Recover, Register, Revoke, Rotate};
use hubledger::spec::ChainSpec;
use hubledger::state::tables::{Registration, Registrations, Standing};
use hubledger::testing::{Chain, Numbers, key};
use hubledger_services::registry::{
    Announce, Heartbeat, Registry, RegistryPayload, RegistryView, UpdateProfile,
};
use hubledger_services::testing::{Trial, made_anew, memory};
use hubledger_storage::StoreUrl;

const ROLES: [&str; 3] = ["hub", "node", ""];
const REGIONS: [&str; 4] = ["us_east", "eu_west", "asia_pacific", ""];
const CAPABILITIES: [&str; 4] = ["routing", "storage", "consensus", "r"];

/// The names that are nobody's any more, or have used up what they can say in one block.
type Silent = RefCell<(BlockHash, BTreeSet<String>)>;

fn profile(numbers: &mut Numbers) -> Profile {
    let count = numbers.below(4);
    let capabilities = (0..count).map(|_| CAPABILITIES[numbers.below(4) as usize].to_owned());
    Profile {
        capabilities: capabilities.collect(),
        node_type: "full_node".to_owned(),
        role: ROLES[numbers.below(3) as usize].to_owned(),
        region: REGIONS[numbers.below(4) as usize].to_owned(),
        network_address: format!("10.0.0.{}:4000", numbers.below(256)),
    }
}

/// Keys with which the name can always sign, and now and then another one.
fn keys(numbers: &mut Numbers, name: &str) -> KeySet {
    let mut keys = vec![key(name).public_key()];
    for spare in 0..numbers.below(3) {
        keys.push(key(&format!("spare-{spare}")).public_key());
    }
    KeySet::new(1, keys).unwrap()
}

fn update(numbers: &mut Numbers) -> UpdateProfile {
    match numbers.below(3) {
        0 => UpdateProfile::to(profile(numbers)),
        1 => UpdateProfile {
            region: Some(profile(numbers).region),
            ..UpdateProfile::default()
        },
        _ => UpdateProfile {
            capabilities: Some(profile(numbers).capabilities),
            ..UpdateProfile::default()
        },
    }
}

/// What the registry itself hears, from anybody.
fn own(numbers: &mut Numbers) -> (Operation, Vec<u8>) {
    let said = match numbers.below(5) {
        0 | 1 => RegistryPayload::Heartbeat(Heartbeat {
            registration_ttl: 1 + numbers.below(20) as u32,
            load_percent: numbers.below(101) as u8,
        }),
        2 | 3 => RegistryPayload::UpdateProfile(update(numbers)),
        // Nothing in chains that keep registrations.
        _ => RegistryPayload::Announce(Announce {
            stake: numbers.below(9),
            profile: profile(numbers),
        }),
    };
    let bytes = match numbers.below(3) {
        0 => said.to_json().into_bytes(),
        _ => said.encode(),
    };
    (said.operations()[0], bytes)
}

fn malformed(numbers: &mut Numbers) -> (Operation, Vec<u8>) {
    let texts: [&[u8]; 7] = [
        b"{\"action\":\"heartbeat\",\"registration_ttl\":0}",
        b"{\"action\":\"heartbeat\",\"action\":\"heartbeat\"}",
        b"{\"action\":\"update_profile\",\"capabilities\":\"routing\"}",
        b"{\"action\":\"update_profile\",\"region\":7}",
        b"\0hl\x28\0\0\0\0\0",
        b"\0hl\x29\x02",
        b"{\"action\":[[[[",
    ];
    let operations = [Operation::NodeUpdate, Operation::FederationJoin];
    let operation = operations[numbers.below(2) as usize];
    (operation, texts[numbers.below(7) as usize].to_vec())
}

/// What the chain hears too, in a state in which it is valid; or nothing.
fn of_chain(numbers: &mut Numbers, chain: &Chain, name: &str) -> Option<(Operation, Payload)> {
    let held = chain.state().value::<Registrations>(name.as_bytes());
    let height = chain.state().height() + 1;
    let Some(held) = held else {
        let operation = match numbers.below(2) {
            0 => Operation::NodeRegister,
            _ => Operation::FederationJoin,
        };
        let register = Register {
            keys: keys(numbers, name),
            recovery: Some(KeySet::single(key(name).public_key()).unwrap()),
            stake: numbers.below(100),
            attester: None,
            profile: profile(numbers),
        };
        return Some((operation, Payload::Register(register)));
    };
    let later = match (held.standing, numbers.below(6)) {
        (Standing::Left, _) => return None,
        (Standing::Revoked, _) | (_, 0) => Payload::Recover(Recover {
            keys: keys(numbers, name),
            recovery: None,
        }),
        (_, 1) => Payload::Revoke(Revoke),
        (_, 2) if numbers.below(3) == 0 => Payload::Leave(Leave),
        (_, 3) if !held.is_member => {
            let register = Register {
                keys: held.latest.keys,
                recovery: None,
                stake: 5,
                attester: None,
                profile: profile(numbers),
            };
            return Some((Operation::FederationJoin, Payload::Register(register)));
        }
        _ => {
            let keys = keys(numbers, name);
            if held.latest.from > height || held.latest.keys == keys {
                return None;
            }
            Payload::Rotate(Rotate {
                keys,
                effective: [0, height + numbers.below(4) + 1][numbers.below(2) as usize],
                grace: numbers.below(u64::from(chain.spec().terms.grace_max.min(5)) + 1) as u32,
            })
        }
    };
    Some((later.operations()[0], later))
}

fn speak(numbers: &mut Numbers, chain: &Chain, silent: &Silent) -> Draft {
    let mut silent = silent.borrow_mut();
    if silent.0 != chain.last().hash() {
        *silent = (chain.last().hash(), BTreeSet::new());
    }
    let name = format!("node-{}", numbers.below(24));
    let held = chain.state().value::<Registrations>(name.as_bytes());
    let standing = held.map(|held: Registration| held.standing);
    let chosen = numbers.below(8);
    let is_mute = standing.is_some_and(|standing| standing != Standing::Active);
    if silent.1.contains(&name) || (is_mute && chosen >= 4) {
        return chain.draft("somebody", 1);
    }
    let mut draft = chain.draft(&name, 1);
    match chosen {
        0..4 => {
            if let Some((operation, said)) = of_chain(numbers, chain, &name) {
                silent.1.insert(name);
                (draft.operation, draft.payload) = (operation, said.encode());
            } else {
                return chain.draft("somebody", 1);
            }
        }
        4..7 => (draft.operation, draft.payload) = own(numbers),
        _ => (draft.operation, draft.payload) = malformed(numbers),
    }
    draft
}

fn spec_of_trials() -> ChainSpec {
    let chain = Chain::in_version(FormatVersion::V2, 1, |_| {});
    chain.spec().clone()
}

#[test]
fn whatever_happens_to_the_chain_the_registry_is_what_a_naive_one_is() {
    let spec = spec_of_trials();
    for seed in 0..24 {
        let silent = Silent::new((BlockHash([0; 32]), BTreeSet::new()));
        let trial = Trial {
            view: &|| Box::new(RegistryView::new(spec.clone())),
            store: &memory(),
            speak: &|numbers, chain| speak(numbers, chain, &silent),
            naive: &model::compare,
        };
        trial.run(seed, 40);
    }
}

#[test]
fn the_same_in_stores_with_files() {
    let spec = spec_of_trials();
    for seed in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let scheme = ["log", "sqlite"][seed as usize % 2];
        let url: StoreUrl = format!("{scheme}:{}", folder.path().join("views").display())
            .parse()
            .unwrap();
        let silent = Silent::new((BlockHash([0; 32]), BTreeSet::new()));
        let trial = Trial {
            view: &|| Box::new(RegistryView::new(spec.clone())),
            store: &|| url.open_or_create().unwrap(),
            speak: &|numbers, chain| speak(numbers, chain, &silent),
            naive: &model::compare,
        };
        trial.run(seed / 2, 40);
    }
}

/// A chain of blocks whose transactions [`speak`] thinks up.
fn grown(seed: u64, blocks: u64) -> Chain {
    let mut chain = Chain::in_version(FormatVersion::V2, 1, |_| {});
    let (mut numbers, mut nonce) = (Numbers(seed), 0);
    let silent = Silent::new((BlockHash([0; 32]), BTreeSet::new()));
    for _ in 0..blocks {
        let count = numbers.below(9);
        let transactions: Vec<_> = (0..count)
            .map(|_| {
                let mut draft = speak(&mut numbers, &chain, &silent);
                nonce += 1;
                draft.nonce = nonce;
                let signer = key(&draft.sender);
                draft.sign(&[&signer]).unwrap()
            })
            .collect();
        chain.extend(&transactions);
    }
    chain
}

#[test]
fn standing_keys_and_stake_are_those_of_the_chains_state() {
    let mut seen = BTreeSet::new();
    for seed in 0..9 {
        let chain = grown(seed, 60);
        let view = Box::new(RegistryView::new(chain.spec().clone()));
        let registry = Registry::new(made_anew(&chain, view, 0));
        for number in 0..24 {
            let name = format!("node-{number}");
            let held = chain.state().value::<Registrations>(name.as_bytes());
            let node = registry.node(&name).unwrap();
            assert_eq!(held.is_some(), node.is_some(), "{name}");
            let (Some(held), Some(node)) = (held, node) else {
                continue;
            };
            seen.insert(held.standing.word());
            assert_eq!(
                (held.standing, held.is_member, held.stake, held.since),
                (
                    node.standing,
                    node.is_member,
                    node.stake,
                    node.registered.height
                ),
            );
            assert_eq!(held.recovery, node.recovery);
            assert_eq!(Some(held.latest), node.latest);
            for height in 0..=chain.state().height() {
                let at = model::seen(registry.at(&name, height).unwrap());
                let Some(at) = at.filter(|at| at.is_active()) else {
                    continue;
                };
                // Whoever speaks in the next block. What was said later ends nothing there.
                let tenures = chain.state().tenures(&name).map(|(_, tenure)| tenure);
                let expected: BTreeSet<_> = tenures
                    .filter(|tenure| tenure.holds_at(height + 1))
                    .map(|tenure| tenure.keys.digest().0)
                    .collect();
                let speaking = at.speaking(height + 1);
                let speaking: BTreeSet<_> = speaking.map(|one| one.keys.digest().0).collect();
                assert_eq!(speaking, expected, "{name} behind block {height}");
            }
        }
    }
    assert_eq!(seen, ["active", "left", "revoked"].into());
}
