//! A file beside the registry of a chain.

use std::collections::BTreeSet;

use hubledger::payload::KeySet;
use serde_json::{Value, json};

use super::Listed;
use crate::registry::Node;
use crate::registry::reader::{Criteria, Registry};
use crate::view::Result;

/// How a file and the registry differ about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The node.
    pub name: String,
    /// What differs: a field; or `standing`, where only one of them has the node active.
    pub field: &'static str,
    /// What the file says; null if nothing.
    pub listed: Value,
    /// What the registry says; null if nothing.
    pub registered: Value,
}

impl Difference {
    fn new(name: &str, field: &'static str, listed: Value, registered: Value) -> Self {
        Self {
            name: name.to_owned(),
            field,
            listed,
            registered,
        }
    }
}

/// Compares what a file lists with the nodes that are active now. Keys and stakes are compared where the file says any. O((listed + active) · log nodes).
///
/// # Errors
/// The store failed.
pub fn compare(listed: &[Listed], registry: &Registry) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for one in listed {
        let node = registry.node(&one.name)?;
        match node.as_ref().filter(|node| node.is_active()) {
            Some(node) => differences.extend(between(one, node)),
            None => {
                let standing = node.map_or(Value::Null, |node| node.standing.word().into());
                let gone = Difference::new(&one.name, "standing", "active".into(), standing);
                differences.push(gone);
            }
        }
    }
    let names: BTreeSet<&str> = listed.iter().map(|one| &*one.name).collect();
    for number in registry.find(Criteria::default(), 0, usize::MAX)? {
        let name = registry.name(number)?.unwrap_or_default();
        if !names.contains(&*name) {
            let more = Difference::new(&name, "standing", Value::Null, "active".into());
            differences.push(more);
        }
    }
    Ok(differences)
}

/// What differs between a listed node and a registered one.
pub fn between(listed: &Listed, node: &Node) -> Vec<Difference> {
    let (file, chain) = (&listed.profile, &node.profile);
    let mut fields = vec![
        ("node_type", json!(file.node_type), json!(chain.node_type)),
        ("role", json!(file.role), json!(chain.role)),
        ("region", json!(file.region), json!(chain.region)),
        (
            "network_address",
            json!(file.network_address),
            json!(chain.network_address),
        ),
        (
            "capabilities",
            json!(file.capabilities),
            json!(chain.capabilities),
        ),
    ];
    if listed.stake > 0 {
        fields.push(("stake", listed.stake.into(), node.stake.into()));
    }
    if listed.keys.is_some() {
        let latest = node.latest.as_ref().map(|latest| &latest.keys);
        fields.push(("keys", describe(listed.keys.as_ref()), describe(latest)));
    }
    let fields = fields
        .into_iter()
        .filter(|(_, listed, here)| listed != here);
    fields
        .map(|(field, file, chain)| Difference::new(&listed.name, field, file, chain))
        .collect()
}

fn describe(keys: Option<&KeySet>) -> Value {
    keys.map_or(Value::Null, |keys| {
        let digits: Vec<String> = keys.keys().iter().map(ToString::to_string).collect();
        json!({ "threshold": keys.threshold(), "keys": digits })
    })
}
