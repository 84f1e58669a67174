//! A registry that a hub kept before there was a chain, in a file of MPREG's form: read, turned into what its nodes have to say, and compared with the
//! registry of a chain.
//!
//! The file is JSON: a list of nodes; or an object in which `registered_hubs`, `nodes` or `hubs` is such a list, or an object of nodes by name. A node is written
//! with the fields of a registration (`node_id`, `node_type`, `role`, `region`, `network_address`, `capabilities`, `stake_amount`, `public_key` …), or as MPREG's
//! hubs dump theirs: `hub_id`, `hub_tier`, `region`, `connection_url`, and `supports_discovery`, `supports_clustering`, `supports_failover`. What no registration
//! has a place for is named in [`Listed::left_aside`].

mod compare;
mod document;

use std::collections::BTreeSet;

use hubledger::codec::NAME_BYTES_MAX;
use hubledger::payload::{
    CAPABILITIES_MAX, KEY_SET_KEYS_MAX, KeySet, PROFILE_TEXT_BYTES_MAX, Payload, Profile, Register,
};
use hubledger::signature::PublicKey;
use serde_json::Value;

pub use self::compare::{Difference, between, compare};
use self::document::Document;
use super::event::Said;
use super::payload::{Announce, RegistryPayload};
use crate::payload::Fields;

/// What MPREG's hubs say of themselves by flags, and the capability that each stands for.
const FLAGS: [(&str, &str); 3] = [
    ("supports_discovery", "discovery"),
    ("supports_clustering", "clustering"),
    ("supports_failover", "failover"),
];

/// The fields that a registration has a place for.
const KNOWN: [&str; 15] = [
    "node_id",
    "hub_id",
    "node_type",
    "hub_tier",
    "role",
    "region",
    "network_address",
    "connection_url",
    "capabilities",
    "stake_amount",
    "public_key",
    "public_keys",
    "threshold",
    "action",
    "is_active",
];

/// Why a file isn't a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadFile {
    /// It isn't JSON, or has no list of nodes.
    #[error("{0}")]
    Json(String),
    /// A node in it can't be read.
    #[error("node {number} {name:?}: {problem}")]
    Node {
        /// So many nodes come before it.
        number: usize,
        /// Its name, as far as it has one.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// A node that a file lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it says to put up.
    pub stake: u64,
    /// Its keys, where the file names any.
    pub keys: Option<KeySet>,
    /// What it says of itself.
    pub profile: Profile,
    /// The names of fields that a registration has no place for.
    pub left_aside: Vec<String>,
}

impl Listed {
    /// What the node has to say in order to be registered with these keys; without any, where the chain keeps no registrations.
    #[must_use]
    pub fn said(&self, keys: Option<KeySet>) -> Said {
        let profile = self.profile.clone();
        match keys {
            Some(keys) => Said::Chain(Payload::Register(Register {
                keys,
                recovery: None,
                stake: self.stake,
                attester: None,
                profile,
            })),
            None => Said::Registry(RegistryPayload::Announce(Announce {
                stake: self.stake,
                profile,
            })),
        }
    }
}

/// Reads a file. Nodes that it says are inactive (`is_active` is false) are passed over. O(length).
///
/// # Errors
/// Not a registry; a node without a name, with one that another has, or with values beyond the limits of a registration.
pub fn read(bytes: &[u8]) -> std::result::Result<Vec<Listed>, BadFile> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| BadFile::Json(error.to_string()))?;
    let Some(entries) = document.0 else {
        let problem = "no list of nodes: expected registered_hubs, nodes or hubs";
        return Err(BadFile::Json(problem.to_owned()));
    };
    let mut names = BTreeSet::new();
    let mut listed = Vec::new();
    for (number, (key, fields)) in entries.0.into_iter().enumerate() {
        let node =
            node(key.as_deref(), &fields).and_then(|node| match names.insert(node.name.clone()) {
                true => Ok(node),
                false => Err("is there twice".to_owned()),
            });
        let node = node.map_err(|problem| BadFile::Node {
            number,
            name: name_of(key.as_deref(), &fields)
                .unwrap_or_default()
                .to_owned(),
            problem,
        })?;
        if fields.value("is_active") != Some(&Value::Bool(false)) {
            listed.push(node);
        }
    }
    Ok(listed)
}

fn name_of<'a>(key: Option<&'a str>, fields: &'a Fields) -> Option<&'a str> {
    let said = |field| fields.value(field).and_then(Value::as_str);
    said("node_id").or_else(|| said("hub_id")).or(key)
}

fn node(key: Option<&str>, fields: &Fields) -> std::result::Result<Listed, String> {
    let name = name_of(key, fields).ok_or("no node_id or hub_id")?;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(format!("a name has 1 to {NAME_BYTES_MAX} bytes"));
    }
    let stake = fields.number_or("stake_amount", 0);
    let is_hub = fields.has("hub_id");
    let tier = text(fields, "hub_tier")?;
    let mut profile = Profile {
        node_type: text(fields, "node_type")?,
        role: text(fields, "role")?,
        region: text(fields, "region")?,
        network_address: text(fields, "network_address")?,
        capabilities: fields
            .texts("capabilities", CAPABILITIES_MAX, PROFILE_TEXT_BYTES_MAX)
            .ok_or("capabilities: not a list of texts within their limits")?,
    };
    if is_hub && profile.role.is_empty() {
        "hub".clone_into(&mut profile.role);
    }
    if profile.node_type.is_empty() && !tier.is_empty() {
        profile.node_type = format!("{tier}_hub");
    }
    if profile.network_address.is_empty() {
        profile.network_address = text(fields, "connection_url")?;
    }
    let flags = FLAGS
        .iter()
        .filter(|(flag, _)| fields.value(flag) == Some(&Value::Bool(true)));
    for (_, capability) in flags {
        if profile.capabilities.len() < CAPABILITIES_MAX
            && !profile.capabilities.iter().any(|one| one == capability)
        {
            profile.capabilities.push((*capability).to_owned());
        }
    }
    let is_known =
        |field: &str| KNOWN.contains(&field) || FLAGS.iter().any(|(flag, _)| *flag == field);
    let left_aside = fields.names().filter(|field| !is_known(field));
    Ok(Listed {
        name: name.to_owned(),
        stake: stake.ok_or("stake_amount: not a whole number of 64 bits")?,
        keys: keys(fields)?,
        left_aside: left_aside.map(str::to_owned).collect(),
        profile,
    })
}

fn text(fields: &Fields, field: &str) -> std::result::Result<String, String> {
    let is_absent = fields.value(field).is_none_or(Value::is_null);
    match fields.text(field, PROFILE_TEXT_BYTES_MAX) {
        Some(text) => Ok(text.to_owned()),
        None if is_absent => Ok(String::new()),
        None => Err(format!(
            "{field}: not a text of at most {PROFILE_TEXT_BYTES_MAX} bytes"
        )),
    }
}

fn keys(fields: &Fields) -> std::result::Result<Option<KeySet>, String> {
    let digits = match fields.value("public_key") {
        Some(Value::String(key)) => vec![key.clone()],
        Some(other) if !other.is_null() => return Err("public_key: not a text".to_owned()),
        _ => fields
            .texts("public_keys", KEY_SET_KEYS_MAX, 64)
            .ok_or("public_keys: not a list of keys")?,
    };
    if digits.is_empty() || digits == [""] {
        return Ok(None);
    }
    let keys = digits.iter().map(|key| key.parse::<PublicKey>());
    let keys = keys.collect::<std::result::Result<Vec<_>, _>>();
    let keys = keys.map_err(|error| format!("public_key: {error}"))?;
    let threshold = fields.number_or("threshold", keys.len() as u64);
    let threshold = threshold.and_then(|threshold| u8::try_from(threshold).ok());
    let set = KeySet::new(threshold.ok_or("threshold: not a number of keys")?, keys);
    set.map(Some).map_err(|error| error.to_string())
}
