//! What blocks come to in the registry.

use hubledger::model::Operation;
use hubledger::payload::Payload;
use hubledger::spec::ChainSpec;
use hubledger::state::tables::Standing;

use super::event::{Event, Place, Said};
use super::heard::{Heard, heard, keeps_registrations};
use super::node::{Life, Node};
use super::payload::{Heartbeat, RegistryPayload};
use super::rows::{
    TABLE_COUNT, TABLE_EVENTS, TABLE_FACETS, TABLE_LIVES, TABLE_NAMES, TABLE_NODES, damaged,
    event_key, facet_keys, node_in,
};
use crate::view::{CommittedBlock, Entry, Result, Rows, View};

/// The nodes of a federation, by what the transactions of a chain say.
#[derive(Debug, Clone)]
pub struct RegistryView {
    spec: ChainSpec,
}

impl RegistryView {
    /// What the view is called.
    pub const NAME: &'static str = "registry";

    /// Of the chain of a specification, by which it follows what the chain itself counts as a registration.
    #[must_use]
    pub const fn new(spec: ChainSpec) -> Self {
        Self { spec }
    }
}

impl View for RegistryView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        let spec = self.spec.at(block.height());
        for entry in block.notable() {
            let place = || Place {
                height: block.height(),
                index: entry.index,
                id: entry.id(),
                timestamp: block.timestamp(),
            };
            match heard(spec, &entry) {
                Some(Heard::Said(said)) => take_in(spec, &entry, *said, place(), rows)?,
                Some(Heard::Heartbeat(said)) => beat(entry.sender(), &said, &place(), rows)?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Changes the sender's node, and writes down what happened to it.
fn take_in(
    spec: &ChainSpec,
    entry: &Entry<'_>,
    said: Said,
    place: Place,
    rows: &mut Rows,
) -> Result<()> {
    let name = entry.sender().as_bytes();
    let held = rows.get(TABLE_NODES, name)?;
    let held = held.map(|row| node_in(&row)).transpose()?;
    let (is_new, before) = match held {
        Some(node) => (false, node),
        None => (true, Node::before_all(count(rows)?, &place)),
    };
    let mut node = before.clone();
    let joins = entry.operation() == Operation::FederationJoin;
    let stake = stake_after(spec, &before, &said);
    if !node.hear(&said, &place, joins, stake) {
        return Ok(());
    }
    if is_new {
        let count = node.number.saturating_add(1);
        rows.put(TABLE_COUNT, Vec::new(), count.to_le_bytes().to_vec());
        let number = node.number.to_be_bytes().to_vec();
        rows.put(TABLE_NAMES, number, name.to_vec());
    }
    rows.put(TABLE_NODES, name.to_vec(), node.encode());
    put_facets(&before, &node, rows);
    see(&node, &place, rows)?;
    let event = Event {
        place,
        said,
        standing: node.standing,
        is_member: node.is_member,
        stake: node.stake,
    };
    let key = event_key(node.number, event.place.height, event.place.index);
    rows.put(TABLE_EVENTS, key.to_vec(), event.encode());
    Ok(())
}

/// What a node has put up after it said something.
fn stake_after(spec: &ChainSpec, node: &Node, said: &Said) -> u64 {
    let put_up = match said {
        Said::Chain(Payload::Register(said)) => said.stake,
        Said::Registry(RegistryPayload::Announce(said)) => said.stake,
        // The chain gives it back.
        Said::Chain(Payload::Leave(_)) => return 0,
        Said::Chain(_) | Said::Registry(_) => return node.stake,
    };
    match (keeps_registrations(spec), spec.rules.balances) {
        (false, _) => put_up,
        (true, true) => node.stake.saturating_add(put_up),
        // Without balances nothing is put up, whatever somebody writes.
        (true, false) => node.stake,
    }
}

/// Replaces what a node can be found by.
fn put_facets(before: &Node, after: &Node, rows: &mut Rows) {
    let (old, new) = (facet_keys(before), facet_keys(after));
    for key in old.iter().filter(|key| new.binary_search(key).is_err()) {
        rows.remove(TABLE_FACETS, key.clone());
    }
    for key in new
        .into_iter()
        .filter(|key| old.binary_search(key).is_err())
    {
        rows.put(TABLE_FACETS, key, Vec::new());
    }
}

/// A heartbeat counts of an active node, and nobody else's.
fn beat(name: &str, said: &Heartbeat, place: &Place, rows: &mut Rows) -> Result<()> {
    let Some(row) = rows.get(TABLE_NODES, name.as_bytes())? else {
        return Ok(());
    };
    let head = Node::decode_head(&row);
    let (number, standing) = head.map_err(|error| damaged(TABLE_NODES, error))?;
    if standing == Standing::Active {
        let mut life = life_of(number, rows)?.unwrap_or(Life::begun(place));
        life.beat(said, place);
        put_life(number, &life, rows);
    }
    Ok(())
}

/// What an active node does shows that it is alive; of one that isn't any more, nothing is kept.
fn see(node: &Node, place: &Place, rows: &mut Rows) -> Result<()> {
    match node.standing {
        Standing::Active => {
            let mut life = life_of(node.number, rows)?.unwrap_or(Life::begun(place));
            life.seen(place);
            put_life(node.number, &life, rows);
        }
        Standing::Revoked | Standing::Left => {
            rows.remove(TABLE_LIVES, node.number.to_be_bytes().to_vec());
        }
    }
    Ok(())
}

fn life_of(number: u32, rows: &mut Rows) -> Result<Option<Life>> {
    let row = rows.get(TABLE_LIVES, &number.to_be_bytes())?;
    let life = row.map(|row| Life::decode(&row)).transpose();
    life.map_err(|error| damaged(TABLE_LIVES, error))
}

fn put_life(number: u32, life: &Life, rows: &mut Rows) {
    rows.put(TABLE_LIVES, number.to_be_bytes().to_vec(), life.encode());
}

/// How many nodes were entered so far.
fn count(rows: &mut Rows) -> Result<u32> {
    match rows.get(TABLE_COUNT, &[])? {
        Some(row) => row[..]
            .try_into()
            .map(u32::from_le_bytes)
            .map_err(|_| damaged(TABLE_COUNT, "not a number")),
        None => Ok(0),
    }
}
