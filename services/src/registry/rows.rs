//! The rows of the registry.

use hubledger::payload::Profile;

use super::node::Node;
use super::reader::Facet;
use crate::view::{Result, ViewError};

/// Nodes by name, as they are now.
pub(super) const TABLE_NODES: u8 = 0;
/// Names by the node's number.
pub(super) const TABLE_NAMES: u8 = 1;
/// Events by the node's number, height and index.
pub(super) const TABLE_EVENTS: u8 = 2;
/// Active nodes by what they can be found by, and number. Values are empty.
pub(super) const TABLE_FACETS: u8 = 3;
/// Last signs of life by the node's number.
pub(super) const TABLE_LIVES: u8 = 4;
/// One row, that of the empty key: how many nodes were ever entered.
pub(super) const TABLE_COUNT: u8 = 5;

/// The key of an event, so that a node's lie in the order of the chain.
pub(super) fn event_key(number: u32, height: u64, index: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.to_be_bytes());
    key[4..12].copy_from_slice(&height.to_be_bytes());
    key[12..].copy_from_slice(&index.to_be_bytes());
    key
}

/// How keys begin of nodes that have something in common. No such beginning is that of another one.
pub(super) fn facet_prefix(facet: Facet<'_>) -> Vec<u8> {
    let (kind, text) = match facet {
        Facet::Active => (0, ""),
        Facet::Member => (1, ""),
        Facet::Role(text) => (2, text),
        Facet::Region(text) => (3, text),
        Facet::NodeType(text) => (4, text),
        Facet::Capability(text) => (5, text),
    };
    let mut key = vec![kind];
    // Longer ones than a profile holds are those of no node, and so is this.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    key.extend_from_slice(&length.to_be_bytes());
    key.extend_from_slice(text.as_bytes());
    key
}

/// The key of a node among those that have something in common with it.
pub(super) fn facet_key(facet: Facet<'_>, number: u32) -> Vec<u8> {
    let mut key = facet_prefix(facet);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// All keys by which a node can be found; none unless it is active. A node names at most 64 capabilities.
pub(super) fn facet_keys(node: &Node) -> Vec<Vec<u8>> {
    if !node.is_active() {
        return Vec::new();
    }
    let Profile {
        node_type,
        role,
        region,
        network_address: _,
        capabilities,
    } = &node.profile;
    let mut facets = vec![Facet::Active];
    if node.is_member {
        facets.push(Facet::Member);
    }
    let named = [
        (role, Facet::Role(role)),
        (region, Facet::Region(region)),
        (node_type, Facet::NodeType(node_type)),
    ];
    let named = named.into_iter().filter(|(text, _)| !text.is_empty());
    facets.extend(named.map(|(_, facet)| facet));
    facets.extend(capabilities.iter().map(|text| Facet::Capability(text)));
    let mut keys: Vec<_> = facets
        .into_iter()
        .map(|facet| facet_key(facet, node.number))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: super::RegistryView::NAME,
        table,
        problem: problem.to_string(),
    }
}

/// A node in its row.
pub(super) fn node_in(row: &[u8]) -> Result<Node> {
    Node::decode(row).map_err(|error| damaged(TABLE_NODES, error))
}

/// The number at the end of a key.
pub(super) fn number_in(table: u8, key: &[u8]) -> Result<u32> {
    let number = key.last_chunk().copied().map(u32::from_be_bytes);
    number.ok_or_else(|| damaged(table, "a short key"))
}
