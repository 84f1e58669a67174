//! What can be asked of routes.

use bytes::Bytes;
use hubledger::digest::TransactionId;
use hubledger_storage::{KeyRange, RangeLimit};

use super::edges::{Edge, Paid, edge_key, read_number};
use super::path::{Claim, Path};
use super::rows::{
    ClaimRow, Message, Place, Progress, TABLE_CLAIMS, TABLE_EDGES, TABLE_FEES, TABLE_HOPS,
    TABLE_MESSAGES, TABLE_NAMES, TABLE_NODES, TABLE_PROGRESS, behind, claims_of, hop_key,
    read_claim_key,
};
use super::view::damaged;
use crate::view::{AsOf, Result, Snapshot};

const NO_LIMIT: RangeLimit = RangeLimit {
    rows: usize::MAX,
    bytes: usize::MAX,
};

/// Routes as of one block.
#[derive(Debug, Clone)]
pub struct Routes {
    snapshot: Snapshot,
}

impl Routes {
    /// Over a snapshot of the [view](super::RouteView).
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// After which block the answers are right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// A message that is sent by way of nodes; `None` of any other transaction, and of what the view hasn't seen. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn message(&self, id: &TransactionId) -> Result<Option<Message>> {
        let row = self.snapshot.get(TABLE_MESSAGES, &id.0)?;
        let message = row.map(|row| Message::decode(&row)).transpose();
        message.map_err(|error| damaged(TABLE_MESSAGES, error))
    }

    /// The way that a message took, as far as it is believed. O(log rows + hops).
    ///
    /// # Errors
    /// The store failed.
    pub fn path(&self, id: &TransactionId) -> Result<Option<Path>> {
        let Some(message) = self.message(id)? else {
            return Ok(None);
        };
        let progress = self.progress(id)?.unwrap_or_else(|| Progress {
            timestamp: message.timestamp,
            holder: message.sender.clone(),
            ..Progress::default()
        });
        let mut hops = Vec::with_capacity(progress.reached as usize);
        for number in 0..progress.reached {
            let row = self.snapshot.get(TABLE_HOPS, &hop_key(id, number))?;
            let row = row.ok_or_else(|| damaged(TABLE_HOPS, "a hop is missing"))?;
            let (place, node) = row
                .split_at_checked(12)
                .and_then(|(key, node)| {
                    Some((Place::from_key(key)?, std::str::from_utf8(node).ok()?))
                })
                .ok_or_else(|| damaged(TABLE_HOPS, "not a hop"))?;
            let mut key = claims_of(id, number, node);
            key.extend_from_slice(&place.key());
            let claim = self.snapshot.get(TABLE_CLAIMS, &key)?;
            let claim = claim.ok_or_else(|| damaged(TABLE_CLAIMS, "a claim is missing"))?;
            hops.push(claim_from(&key, &claim)?);
        }
        Ok(Some(Path::new(*id, message, progress, hops)))
    }

    /// What was said about hops of a message, by number, node and place, behind a key that an earlier answer ended with. Whether to believe it is for
    /// [`Path::judge`] to say. O(log rows + claims).
    ///
    /// # Errors
    /// The store failed.
    pub fn claims(
        &self,
        id: &TransactionId,
        behind_claim: Option<&Claim>,
        limit: RangeLimit,
    ) -> Result<Vec<Claim>> {
        let from = match behind_claim {
            None => id.0.to_vec(),
            Some(claim) => {
                let mut key = claims_of(id, claim.number, &claim.node);
                key.extend_from_slice(&claim.place.key());
                key.push(0);
                key
            }
        };
        let range = KeyRange {
            from: from.into(),
            below: behind(&id.0).map(Bytes::from),
            is_descending: false,
        };
        let rows = self.snapshot.range(TABLE_CLAIMS, &range, limit)?;
        let read = rows.iter().map(|(key, row)| claim_from(key, row));
        read.collect()
    }

    /// Whether the node named for a hop has said that it had the message. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn has_claim(&self, id: &TransactionId, number: u32, node: &str) -> Result<bool> {
        let from = claims_of(id, number, node);
        let range = KeyRange {
            below: behind(&from).map(Bytes::from),
            from: from.into(),
            is_descending: false,
        };
        let limit = RangeLimit { rows: 1, bytes: 0 };
        Ok(!self.snapshot.range(TABLE_CLAIMS, &range, limit)?.is_empty())
    }

    /// Hops that are missing for a message to arrive: those whose node is named and hasn't said anything, the lowest first. O(hops · log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn missing(&self, path: &Path) -> Result<Vec<(u32, String)>> {
        let mut missing = Vec::new();
        for (number, node) in path.awaited() {
            if !self.has_claim(&path.id, number, node)? {
                missing.push((number, node.to_owned()));
            }
        }
        Ok(missing)
    }

    /// What messages paid that arrived after so many hops; `None` if none did. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn paid(&self, hops: u32) -> Result<Option<Paid>> {
        let row = self.snapshot.get(TABLE_FEES, &hops.to_be_bytes())?;
        row.map(|row| Paid::decode(&row)).transpose()
    }

    /// What messages came to between two nodes. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn edge(&self, from: &str, to: &str) -> Result<Option<Edge>> {
        let (Some(from), Some(to)) = (self.number_of(from)?, self.number_of(to)?) else {
            return Ok(None);
        };
        let row = self.snapshot.get(TABLE_EDGES, &edge_key(from, to))?;
        row.map(|row| Edge::decode(&row)).transpose()
    }

    fn progress(&self, id: &TransactionId) -> Result<Option<Progress>> {
        let row = self.snapshot.get(TABLE_PROGRESS, &id.0)?;
        let progress = row.map(|row| Progress::decode(&row)).transpose();
        progress.map_err(|error| damaged(TABLE_PROGRESS, error))
    }

    pub(super) fn number_of(&self, name: &str) -> Result<Option<u32>> {
        let row = self.snapshot.get(TABLE_NODES, name.as_bytes())?;
        row.map(|row| read_number(TABLE_NODES, &row)).transpose()
    }

    pub(super) fn name_of(&self, number: u32) -> Result<String> {
        let row = self.snapshot.get(TABLE_NAMES, &number.to_be_bytes())?;
        let row = row.ok_or_else(|| damaged(TABLE_NAMES, "a name is missing"))?;
        String::from_utf8(row.to_vec()).map_err(|error| damaged(TABLE_NAMES, error))
    }

    /// The edges from a node, with the number of the node that each leads to.
    pub(super) fn edges_from(&self, from: u32) -> Result<Vec<(u32, Edge)>> {
        let start = from.to_be_bytes();
        let range = KeyRange {
            from: Bytes::copy_from_slice(&start),
            below: behind(&start).map(Bytes::from),
            is_descending: false,
        };
        let rows = self.snapshot.range(TABLE_EDGES, &range, NO_LIMIT)?;
        let read = rows.into_iter().map(|(key, row)| {
            let to = key.last_chunk().copied().map(u32::from_be_bytes);
            let to = to.ok_or_else(|| damaged(TABLE_EDGES, "a short key"))?;
            Ok((to, Edge::decode(&row)?))
        });
        read.collect()
    }
}

fn claim_from(key: &[u8], row: &[u8]) -> Result<Claim> {
    let read = read_claim_key(key);
    let (number, node, place) =
        read.ok_or_else(|| damaged(TABLE_CLAIMS, "not a key of a claim"))?;
    let row = ClaimRow::decode(row).map_err(|error| damaged(TABLE_CLAIMS, error))?;
    Ok(Claim {
        number,
        node: node.to_owned(),
        place,
        id: row.id,
        timestamp: row.timestamp,
        fee: row.fee,
        next: row.next,
    })
}
