//! Nodes and what happened to them as JSON.

use hubledger_services::registry::{Event, Life, Node, Said};
use serde_json::{Value, json};

use crate::rows::{key_set, tenure};

/// A description with the name in front.
pub(super) fn named(name: &str, description: Value) -> Value {
    let mut about = json!({ "name": name });
    crate::describe::extend(&mut about, description);
    about
}

pub(super) fn node(node: &Node) -> Value {
    let profile = &node.profile;
    let tenures = [node.latest.as_ref(), node.before.as_ref()];
    json!({
        "number": node.number,
        "standing": node.standing.word(),
        "member": node.is_member,
        "stake": node.stake,
        "node_type": profile.node_type,
        "role": profile.role,
        "region": profile.region,
        "network_address": profile.network_address,
        "capabilities": profile.capabilities,
        "keys": tenures.into_iter().flatten().map(tenure).collect::<Vec<_>>(),
        "recovery": node.recovery.as_ref().map(key_set),
        "registered": { "height": node.registered.height, "transaction": node.registered.id },
        "changed": { "height": node.changed.height, "transaction": node.changed.id },
    })
}

pub(super) fn life(life: &Life, now_us: u64) -> Value {
    json!({
        "alive": life.counts_at(now_us),
        "now": now_us,
        "last_seen": life.last_seen,
        "height": life.height,
        "registration_ttl": life.registration_ttl,
        "load_percent": life.load_percent,
        "heartbeats": life.heartbeats,
    })
}

pub(super) fn event(event: &Event) -> Value {
    let text = match &event.said {
        Said::Chain(said) => said.to_json(),
        Said::Registry(said) => said.to_json(),
    };
    json!({
        "height": event.place.height,
        "index": event.place.index,
        "transaction": event.place.id,
        "timestamp": event.place.timestamp,
        "event": event.said.word(),
        "standing": event.standing.word(),
        "stake": event.stake,
        "said": serde_json::from_str::<Value>(&text).unwrap_or_default(),
    })
}
