//! A registry that remembers every height, for chains that keep registrations. It knows nothing of rows.

use std::collections::{BTreeMap, BTreeSet};

use hubledger::model::{Block, Operation};
use hubledger::payload::{Payload, Profile};
use hubledger_services::payload::Fields;
use hubledger_services::registry::{
    AtHeight, Criteria, Facet, Heartbeat, Registry, RegistryPayload, Standing, UpdateProfile,
};
use hubledger_services::view::Snapshot;

#[derive(Debug, Clone, PartialEq)]
struct Known {
    standing: Standing,
    is_member: bool,
    profile: Profile,
    events: u64,
    first: [u8; 32],
    last_seen: u64,
    ttl: u64,
    beats: u64,
}

type Nodes = BTreeMap<String, Known>;

pub(crate) fn seen<T>(answer: AtHeight<T>) -> T {
    match answer {
        AtHeight::Seen(answer) => answer,
        AtHeight::Unseen { from, end } => panic!("seen from {from} to below {end}"),
    }
}

fn change(profile: &mut Profile, said: UpdateProfile) {
    *profile = Profile {
        node_type: said.node_type.unwrap_or(profile.node_type.clone()),
        role: said.role.unwrap_or(profile.role.clone()),
        region: said.region.unwrap_or(profile.region.clone()),
        network_address: said
            .network_address
            .unwrap_or(profile.network_address.clone()),
        capabilities: said.capabilities.unwrap_or(profile.capabilities.clone()),
    };
}

fn own(payload: &[u8]) -> Option<RegistryPayload> {
    RegistryPayload::decode(payload)
        .ok()
        .or_else(|| RegistryPayload::from_fields(&Fields::read(payload)?))
}

fn take_in(nodes: &mut Nodes, block: &Block) {
    let time = block.header().timestamp;
    for transaction in block.transactions() {
        let name = transaction.sender().to_owned();
        let operation = transaction.operation();
        if let Some(Payload::Register(said)) = Payload::of(transaction, false) {
            let node = nodes.entry(name).or_insert(Known {
                standing: Standing::Active,
                is_member: false,
                profile: Profile::default(),
                events: 0,
                first: transaction.id().0,
                last_seen: time,
                ttl: 300,
                beats: 0,
            });
            node.is_member |= operation == Operation::FederationJoin;
            node.profile = said.profile;
            (node.last_seen, node.events) = (time, node.events + 1);
            continue;
        }
        let Some(node) = nodes.get_mut(&name) else {
            continue;
        };
        let standing = match Payload::of(transaction, false) {
            Some(Payload::Rotate(_)) => node.standing,
            Some(Payload::Recover(_)) => Standing::Active,
            Some(Payload::Revoke(_)) => Standing::Revoked,
            Some(Payload::Leave(_)) => Standing::Left,
            _ if operation != Operation::NodeUpdate => continue,
            _ => match own(transaction.payload()) {
                Some(RegistryPayload::UpdateProfile(said)) => {
                    change(&mut node.profile, said);
                    node.standing
                }
                Some(RegistryPayload::Heartbeat(Heartbeat {
                    registration_ttl, ..
                })) => {
                    (node.last_seen, node.ttl) = (time, registration_ttl.into());
                    node.beats += 1;
                    continue;
                }
                _ => continue,
            },
        };
        if standing == Standing::Active && node.standing != Standing::Active {
            (node.ttl, node.beats) = (300, 0);
        }
        node.is_member &= standing != Standing::Left;
        (node.standing, node.last_seen, node.events) = (standing, time, node.events + 1);
    }
}

/// The nodes after each block.
fn naive(blocks: &[Block]) -> Vec<(u64, Nodes)> {
    let mut nodes = Nodes::new();
    let after = blocks.iter().map(|block| {
        take_in(&mut nodes, block);
        (block.height(), nodes.clone())
    });
    after.collect()
}

fn names(registry: &Registry, numbers: Vec<u32>) -> BTreeSet<String> {
    let named = numbers
        .iter()
        .map(|number| registry.name(*number).unwrap().unwrap());
    let set: BTreeSet<_> = named.collect();
    assert_eq!(set.len(), numbers.len(), "nobody is there twice");
    set
}

fn active(nodes: &Nodes, meets: impl Fn(&Known) -> bool) -> BTreeSet<String> {
    let active = nodes
        .iter()
        .filter(|(_, node)| node.standing == Standing::Active);
    let met = active.filter(|(_, node)| meets(node));
    met.map(|(name, _)| name.clone()).collect()
}

fn compare_finds(registry: &Registry, now: &Nodes, time: u64) {
    let find = |facets: &[Facet<'_>], alive_at| {
        let criteria = Criteria { facets, alive_at };
        let all = registry.find(criteria, 0, usize::MAX).unwrap();
        // In pages the same.
        let (mut pages, mut from) = (Vec::<u32>::new(), 0);
        while let Some(last) = {
            let page = registry.find(criteria, from, 2).unwrap();
            pages.extend(&page);
            page.last().copied()
        } {
            from = last + 1;
        }
        assert_eq!(pages, all);
        names(registry, all)
    };
    assert_eq!(find(&[], None), active(now, |_| true));
    assert_eq!(
        find(&[Facet::Member], None),
        active(now, |node| node.is_member)
    );
    for text in ["hub", "node", "us_east", "routing", "r", "nothing", ""] {
        let has = |found: &str| !text.is_empty() && found == text;
        assert_eq!(
            find(&[Facet::Role(text)], None),
            active(now, |node| has(&node.profile.role))
        );
        assert_eq!(
            find(&[Facet::Region(text)], None),
            active(now, |node| has(&node.profile.region))
        );
        let can = |node: &Known| node.profile.capabilities.iter().any(|one| one == text);
        assert_eq!(find(&[Facet::Capability(text)], None), active(now, can));
        assert_eq!(
            find(&[Facet::Capability(text), Facet::Region("us_east")], None),
            active(now, |node| can(node) && node.profile.region == "us_east"),
        );
    }
    for now_us in [time, time + 7_000_000, time + 400_000_000] {
        let is_alive = |node: &Known| now_us - node.last_seen <= node.ttl * 1_000_000;
        assert_eq!(find(&[], Some(now_us)), active(now, is_alive));
    }
}

/// Compares everything that can be asked.
pub(crate) fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let registry = Registry::new(snapshot.clone());
    let after = naive(blocks);
    let (height, now) = after.last().unwrap();
    assert_eq!(registry.count().unwrap() as usize, now.len());
    for number in 0..24 {
        let name = format!("node-{number}");
        let node = registry.node(&name).unwrap();
        let expected = now.get(&name);
        assert_eq!(node.is_some(), expected.is_some(), "{name}");
        let (Some(node), Some(expected)) = (node, expected) else {
            continue;
        };
        assert_eq!(node.standing, expected.standing);
        assert_eq!(node.is_member, expected.is_member);
        assert_eq!(node.profile, expected.profile);
        assert_eq!(
            (node.events, node.registered.id.0),
            (expected.events, expected.first)
        );
        let events = registry.history(&node, 0, usize::MAX).unwrap();
        assert_eq!(events.len() as u64, node.events);
        assert_eq!(events.last().unwrap().place, node.changed);
        let life = registry.life(&node).unwrap();
        assert_eq!(life.is_some(), node.is_active());
        if let Some(life) = life {
            assert_eq!(
                (life.last_seen, life.heartbeats),
                (expected.last_seen, expected.beats)
            );
        }
        assert_eq!(seen(registry.at(&name, *height).unwrap()), Some(node));
    }
    compare_finds(&registry, now, blocks.last().unwrap().header().timestamp);
    for (height, then) in after.iter().step_by(1 + after.len() / 5) {
        let found = seen(registry.active_at(*height, 0, usize::MAX).unwrap());
        assert_eq!(
            names(&registry, found),
            active(then, |_| true),
            "at {height}"
        );
        for (name, expected) in then {
            let node = seen(registry.at(name, *height).unwrap()).unwrap();
            assert_eq!(
                (node.standing, &node.profile),
                (expected.standing, &expected.profile)
            );
        }
    }
    let (below, above) = (blocks[0].height().checked_sub(1), height + 1);
    for outside in below.into_iter().chain([above]) {
        let answer = registry.active_at(outside, 0, 1).unwrap();
        assert!(matches!(answer, AtHeight::Unseen { .. }));
    }
}
