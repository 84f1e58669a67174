//! What counts in the registry of a chain that keeps no registrations itself; payloads, proofs and files.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::format::FormatVersion;
use hubledger::model::{Draft, Operation, Transaction};
use hubledger::payload::{KeySet, Leave, Payload, Profile, Register, Rotate};
use hubledger::spec::Identity;
use hubledger::testing::{Chain, SECOND, key};
use hubledger_services::payload::Fields;
use hubledger_services::registry::{
    Announce, AtHeight, Criteria, Facet, Heartbeat, Registry, RegistryPayload, RegistryView, Said,
    Standing, UpdateProfile, file, proof,
};
use hubledger_services::testing::made_anew;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

/// A chain in which names belong to nobody.
fn open_chain() -> Chain {
    Chain::new(1, |fields| fields.rules.identity = Identity::Open)
}

fn registry(chain: &Chain) -> Registry {
    let view = Box::new(RegistryView::new(chain.spec().clone()));
    Registry::new(made_anew(chain, view, 0))
}

fn say(
    chain: &Chain,
    name: &str,
    operation: Operation,
    payload: impl Into<Vec<u8>>,
) -> Transaction {
    let nonce = chain.state().account(name).nonce + 1;
    chain.signed(name, nonce, |draft: &mut Draft| {
        draft.operation = operation;
        draft.payload = payload.into();
    })
}

fn tell(chain: &mut Chain, name: &str, operation: Operation, payload: impl Into<Vec<u8>>) {
    let transaction = say(chain, name, operation, payload);
    chain.extend(&[transaction]);
}

fn register(name: &str, role: &str, stake: u64) -> Payload {
    Payload::Register(Register {
        keys: KeySet::single(key(name).public_key()).unwrap(),
        recovery: None,
        stake,
        attester: None,
        profile: Profile {
            role: role.to_owned(),
            region: "us_east".to_owned(),
            capabilities: vec!["routing".to_owned(), "storage".to_owned()],
            ..Profile::default()
        },
    })
}

fn found(registry: &Registry, facets: &[Facet<'_>]) -> Vec<String> {
    let criteria = Criteria {
        facets,
        alive_at: None,
    };
    let found = registry.find(criteria, 0, 100).unwrap();
    let names = found.iter().map(|number| registry.name(*number).unwrap());
    names.map(Option::unwrap).collect()
}

#[test]
fn what_mpregs_hubs_write_counts_where_the_chain_keeps_no_registrations() {
    let mut chain = open_chain();
    let hub = json!({ "role": "hub", "region": "eu_west", "capabilities": ["routing"], "stake_amount": 10_000, "version": "1.0" });
    tell(&mut chain, "a", Operation::FederationJoin, hub.to_string());
    let node = json!({ "node_type": "full_node", "network_address": "10.0.0.1:1", "public_key": key("b").public_key().to_string() });
    tell(&mut chain, "b", Operation::NodeRegister, node.to_string());
    let registry_then = registry(&chain);
    assert_eq!(found(&registry_then, &[]), ["a", "b"]);
    assert_eq!(found(&registry_then, &[Facet::Member]), ["a"]);
    let a = registry_then.node("a").unwrap().unwrap();
    assert_eq!((a.stake, a.latest.is_some()), (10_000, false));
    let b = registry_then.node("b").unwrap().unwrap();
    let keys = b.latest.unwrap().keys;
    assert_eq!(keys.keys(), [key("b").public_key()]);

    tell(
        &mut chain,
        "a",
        Operation::NodeUpdate,
        "{\"region\":\"us_east\"}",
    );
    tell(&mut chain, "b", Operation::FederationLeave, "so long");
    let after = registry(&chain);
    assert_eq!(found(&after, &[Facet::Region("us_east")]), ["a"]);
    assert_eq!(found(&after, &[Facet::Region("eu_west")]), [""; 0]);
    let AtHeight::Seen(then) = after.active_at(3, 0, 9).unwrap() else {
        panic!("all was seen");
    };
    assert_eq!((then.len(), found(&after, &[])), (2, vec!["a".to_owned()]));
    assert_eq!(after.node("b").unwrap().unwrap().standing, Standing::Left);
}

#[test]
fn whoever_registers_again_in_such_a_chain_replaces_what_was_or_begins_anew() {
    let mut chain = open_chain();
    let first = register("a", "hub", 100);
    tell(&mut chain, "a", Operation::FederationJoin, first.encode());
    let rotate = Payload::Rotate(Rotate {
        keys: KeySet::single(key("new").public_key()).unwrap(),
        effective: 0,
        grace: 3,
    });
    tell(&mut chain, "a", Operation::NodeUpdate, rotate.to_json());
    let rotated = registry(&chain).node("a").unwrap().unwrap();
    assert_eq!(rotated.speaking(4).count(), 2, "in the time of grace");
    assert_eq!(rotated.speaking(6).count(), 1);
    let again = register("a", "node", 7);
    tell(&mut chain, "a", Operation::NodeRegister, again.encode());
    let replaced = registry(&chain).node("a").unwrap().unwrap();
    assert_eq!((replaced.stake, &*replaced.profile.role), (7, "node"));
    assert_eq!((replaced.registered.height, replaced.is_member), (1, true));

    let leave = Payload::Leave(Leave).encode();
    tell(&mut chain, "a", Operation::FederationLeave, leave);
    tell(
        &mut chain,
        "a",
        Operation::NodeUpdate,
        "{\"region\":\"nowhere\"}",
    );
    assert_eq!(registry(&chain).node("a").unwrap().unwrap().events, 4);
    tell(&mut chain, "a", Operation::NodeRegister, first.to_json());
    let anew = registry(&chain).node("a").unwrap().unwrap();
    assert_eq!((anew.registered.height, anew.is_member), (6, false));
    assert_eq!((anew.number, anew.stake), (0, 100));
}

#[test]
fn words_that_the_chain_does_not_hear_enter_nobody_where_it_keeps_registrations() {
    let mut chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.payload_json = false;
    });
    let announce = RegistryPayload::Announce(Announce::default());
    tell(&mut chain, "a", Operation::NodeRegister, announce.encode());
    tell(
        &mut chain,
        "b",
        Operation::NodeRegister,
        register("b", "hub", 1).to_json(),
    );
    tell(
        &mut chain,
        "c",
        Operation::NodeRegister,
        "{\"role\":\"hub\"}",
    );
    assert_eq!(found(&registry(&chain), &[]), [""; 0]);
    tell(
        &mut chain,
        "d",
        Operation::NodeRegister,
        register("d", "hub", 1).encode(),
    );
    let registry = registry(&chain);
    assert_eq!(found(&registry, &[Facet::Role("hub")]), ["d"]);
    let stake = registry.node("d").unwrap().unwrap().stake;
    assert_eq!(stake, 0, "without balances nothing is put up");
}

#[test]
fn a_node_is_alive_until_its_last_sign_is_too_old() {
    let mut chain = open_chain();
    tell(
        &mut chain,
        "a",
        Operation::NodeRegister,
        register("a", "hub", 0).encode(),
    );
    let born = chain.state().timestamp();
    let alive = |chain: &Chain, now_us| {
        let criteria = Criteria {
            facets: &[Facet::Role("hub")],
            alive_at: Some(now_us),
        };
        !registry(chain).find(criteria, 0, 1).unwrap().is_empty()
    };
    assert!(alive(&chain, born + 300 * SECOND));
    assert!(!alive(&chain, born + 300 * SECOND + 1));
    let beat = RegistryPayload::Heartbeat(Heartbeat {
        registration_ttl: 5,
        load_percent: 40,
    });
    tell(&mut chain, "a", Operation::NodeUpdate, beat.encode());
    let seen = chain.state().timestamp();
    assert!(alive(&chain, seen + 5 * SECOND) && !alive(&chain, seen + 5 * SECOND + 1));
    // Nobody else's heart.
    tell(
        &mut chain,
        "stranger",
        Operation::NodeUpdate,
        beat.to_json(),
    );
    assert_eq!(registry(&chain).count().unwrap(), 1);
    let node = registry(&chain).node("a").unwrap().unwrap();
    let life = registry(&chain).life(&node).unwrap().unwrap();
    assert_eq!(
        (life.heartbeats, life.load_percent, life.last_seen),
        (1, 40, seen)
    );
    assert_eq!(node.events, 1, "heartbeats aren't history");
}

#[test]
fn registration_and_absence_are_proved_to_whoever_knows_the_head_alone() {
    let mut chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.root_interval = 1;
    });
    let joins = register("a", "hub", 0);
    tell(&mut chain, "a", Operation::FederationJoin, joins.encode());
    tell(&mut chain, "b", Operation::Message, "hello");
    let (reader, head) = (chain.ledger().reader(), chain.last().hash());
    let node = registry(&chain).node("a").unwrap().unwrap();
    let (transaction, shown) = proof::of_registration(&node, &reader, None).unwrap();
    let proven = proof::check_registration(&transaction, &shown, "a", &head).unwrap();
    assert_eq!((proven.height, proven.id), (1, node.registered.id));
    assert!(proof::check_registration(&transaction, &shown, "b", &head).is_err());
    let (message, shown) = (
        chain.last().transactions()[0].clone(),
        reader.prove(2, 0, None).unwrap(),
    );
    assert!(proof::check_registration(&message, &shown, "b", &head).is_err());

    let row = proof::of_row("a", &reader).unwrap().unwrap();
    let row_a = proof::check_row(&row, "a", &head).unwrap().unwrap();
    assert_eq!((row_a.since, row_a.is_member), (1, true));
    assert!(proof::check_row(&row, "b", &head).is_err());
    let absent = proof::of_row("b", &reader).unwrap().unwrap();
    assert_eq!(proof::check_row(&absent, "b", &head).unwrap(), None);
    assert!(proof::check_row(&absent, "b", &chain.blocks[1].hash()).is_err());
    // A chain that keeps no registrations has no rows of them.
    let open = open_chain().ledger().reader();
    assert!(proof::of_row("a", &open).unwrap().is_none());
}

#[test]
fn a_file_of_mpregs_form_is_brought_onto_a_chain_and_is_the_same_there() {
    let public = key("c").public_key().to_string();
    let text = json!({
        "registry_id": "planet",
        "registered_hubs": {
            "global-1": { "hub_id": "global-1", "hub_tier": "global", "region": "eu_west", "connection_url": "ws://a:1",
                "hub_capabilities": { "max_clusters": 9 }, "supports_discovery": true, "supports_failover": false },
            "c": { "role": "node", "capabilities": ["routing", "storage"], "stake_amount": 5, "public_key": public },
            "gone": { "is_active": false },
        },
    });
    let listed = file::read(text.to_string().as_bytes()).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].profile.node_type, "global_hub");
    assert_eq!(listed[0].profile.capabilities, ["discovery"]);
    assert_eq!(listed[0].left_aside, ["hub_capabilities"]);
    let mut chain = open_chain();
    assert_eq!(file::compare(&listed, &registry(&chain)).unwrap().len(), 2);
    for one in &listed {
        let payload = match one.said(one.keys.clone()) {
            Said::Chain(said) => said.encode(),
            Said::Registry(said) => said.encode(),
        };
        tell(&mut chain, &one.name, Operation::FederationJoin, payload);
    }
    assert_eq!(file::compare(&listed, &registry(&chain)).unwrap(), []);
    tell(
        &mut chain,
        "c",
        Operation::NodeUpdate,
        "{\"region\":\"moon\"}",
    );
    tell(&mut chain, "global-1", Operation::FederationLeave, "");
    tell(&mut chain, "more", Operation::NodeRegister, "{}");
    let differences = file::compare(&listed, &registry(&chain)).unwrap();
    let differences: Vec<_> = differences
        .iter()
        .map(|one| (&*one.name, one.field))
        .collect();
    assert_eq!(
        differences,
        [
            ("global-1", "standing"),
            ("c", "region"),
            ("more", "standing")
        ]
    );
}

#[test]
fn a_file_that_is_no_registry_says_what_is_wrong_with_it() {
    for (text, problem) in [
        ("7", "a registry"),
        ("{\"a\":1}", "no list of nodes"),
        ("[{}]", "node 0 \"\": no node_id or hub_id"),
        (
            "[{\"hub_id\":\"a\"},{\"node_id\":\"a\"}]",
            "node 1 \"a\": is there twice",
        ),
        ("{\"nodes\":{\"a\":{\"role\":1}}}", "role: not a text"),
        ("{\"nodes\":{\"a\":{\"public_key\":7}}}", "public_key"),
        ("{\"nodes\":[],\"hubs\":[]}", "listed twice"),
        (
            "{\"nodes\":{\"a\":{\"role\":\"b\",\"role\":\"c\"}}}",
            "twice",
        ),
    ] {
        let told = file::read(text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(problem), "{text}: {told}");
    }
}

fn some_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("\\PC{0,20}")
}

fn updates() -> impl Strategy<Value = UpdateProfile> {
    let capabilities = proptest::option::of(vec("\\PC{0,10}", 0..70));
    let texts = (some_text(), some_text(), some_text(), some_text());
    (texts, capabilities).prop_map(
        |((node_type, role, region, network_address), capabilities)| UpdateProfile {
            node_type,
            role,
            region,
            network_address,
            capabilities,
        },
    )
}

proptest! {
    #[test]
    fn what_decodes_has_one_form(said in updates(), stake in any::<u64>(), noise in vec(any::<u8>(), 0..40), cut in 0..99usize) {
        let bytes = RegistryPayload::UpdateProfile(said.clone()).encode();
        match RegistryPayload::decode(&bytes) {
            Ok(decoded) => {
                prop_assert_eq!(decoded.encode(), bytes.clone());
                let fields = Fields::read(decoded.to_json().as_bytes()).unwrap();
                prop_assert_eq!(RegistryPayload::from_fields(&fields), Some(decoded));
            }
            Err(_) => prop_assert!(said.capabilities.is_some_and(|all| all.len() > 64)),
        }
        let mut damaged = bytes[..cut.min(bytes.len())].to_vec();
        damaged.extend(&noise);
        for bytes in [&damaged[..], &noise, &[b"\0hl\x2a", &stake.to_le_bytes()[..], &noise].concat()] {
            if let Ok(decoded) = RegistryPayload::decode(bytes) {
                prop_assert_eq!(&decoded.encode()[..], bytes);
            }
        }
        let _ = file::read(&noise);
    }
}
