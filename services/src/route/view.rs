//! What blocks come to in routes.

use hubledger::digest::TransactionId;

use super::edges;
use super::payload::{HOPS_MAX, MessageForward, RoutePayload, RoutedMessage};
use super::rows::{
    ClaimRow, Message, Place, Progress, TABLE_CLAIMS, TABLE_HOPS, TABLE_MESSAGES, TABLE_PROGRESS,
    behind, claims_of, hop_key, read_claim_key,
};
use crate::view::{CommittedBlock, Entry, Result, Rows, View, ViewError};

/// Messages, the hops they take, and what the hops come to.
#[derive(Debug, Clone, Copy, Default)]
pub struct RouteView;

impl RouteView {
    /// What the view is called.
    pub const NAME: &'static str = "route";
}

impl View for RouteView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        for entry in block.sayings() {
            let place = Place {
                height: block.height(),
                index: entry.index,
            };
            match RoutePayload::of(&entry) {
                Some(RoutePayload::RoutedMessage(said)) => send(place, &entry, said, rows)?,
                Some(RoutePayload::MessageForward(said)) => claim(place, &entry, said, rows)?,
                None => {}
            }
        }
        Ok(())
    }
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: RouteView::NAME,
        table,
        problem: problem.to_string(),
    }
}

fn send(place: Place, entry: &Entry<'_>, said: RoutedMessage, rows: &mut Rows) -> Result<()> {
    let transaction = entry.transaction();
    let message = Message {
        place,
        sender: transaction.sender().to_owned(),
        receiver: transaction.receiver().to_owned(),
        timestamp: transaction.timestamp(),
        fee: transaction.fee(),
        path: said.path,
    };
    let id = entry.id();
    rows.put(TABLE_MESSAGES, id.0.to_vec(), message.encode());
    // Blocks order transactions of several senders as they like, so hops may stand before their message.
    advance(place, &id, &message, (None, None), rows)
}

fn claim(place: Place, entry: &Entry<'_>, said: MessageForward, rows: &mut Rows) -> Result<()> {
    let transaction = entry.transaction();
    let row = ClaimRow {
        id: entry.id(),
        timestamp: match said.timestamp {
            0 => transaction.timestamp(),
            timestamp => timestamp,
        },
        fee: transaction.fee(),
        next: said.next_hop,
    };
    let id = said.original_message_id;
    let mut key = claims_of(&id, said.hop_number, entry.sender());
    key.extend_from_slice(&place.key());
    rows.put(TABLE_CLAIMS, key, row.encode());
    let Some(message) = rows.get(TABLE_MESSAGES, &id.0)? else {
        return Ok(());
    };
    let progress = read_progress(rows, &id)?;
    if progress.as_ref().map_or(0, |progress| progress.reached) != said.hop_number {
        return Ok(());
    }
    let message = Message::decode(&message).map_err(|error| damaged(TABLE_MESSAGES, error))?;
    advance(
        place,
        &id,
        &message,
        (progress, Some((entry.sender(), row))),
        rows,
    )
}

fn read_progress(rows: &mut Rows, id: &TransactionId) -> Result<Option<Progress>> {
    let row = rows.get(TABLE_PROGRESS, &id.0)?;
    let progress = row.map(|row| Progress::decode(&row)).transpose();
    progress.map_err(|error| damaged(TABLE_PROGRESS, error))
}

/// Believes hops as long as the node that is named next has said that it had the message. O(hops that are new).
///
/// With the progress comes what was said just now about the next hop, and by whom. If it is by the node that is named next, that node hasn't said it before, or it
/// would have been believed then: so nothing need be searched for.
fn advance(
    now: Place,
    id: &TransactionId,
    message: &Message,
    (progress, mut said): (Option<Progress>, Option<(&str, ClaimRow)>),
    rows: &mut Rows,
) -> Result<()> {
    let mut progress = progress.unwrap_or_else(|| Progress {
        timestamp: message.timestamp,
        holder: message.sender.clone(),
        ..Progress::default()
    });
    let before = progress.reached;
    while let Some(node) = next_node(&message.path, &progress) {
        let claim = match said.take() {
            Some((sender, claim)) if sender == node => Some((now, claim)),
            _ => first_claim(rows, id, progress.reached, &node)?,
        };
        let Some((place, claim)) = claim else { break };
        let key = hop_key(id, progress.reached);
        rows.put(TABLE_HOPS, key, believed(&node, place));
        let hop = edges::Passage {
            from: &progress.holder,
            to: &node,
            latency: claim.timestamp.checked_sub(progress.timestamp),
            fee: claim.fee,
            now,
            number: progress.reached,
        };
        edges::pass(&hop, rows)?;
        let reached = progress.reached + 1;
        progress = Progress {
            reached,
            is_delivered: is_end(&message.path, reached, claim.next.as_deref()),
            timestamp: claim.timestamp,
            holder: node,
            next: claim.next,
        };
    }
    if progress.reached > before {
        rows.put(TABLE_PROGRESS, id.0.to_vec(), progress.encode());
        if progress.is_delivered {
            edges::paid(progress.reached, message.fee, rows)?;
        }
    }
    Ok(())
}

/// Who is to have the message next: the node in the message's path, or behind its end the one that the last node named.
pub(super) fn next_node(path: &[String], progress: &Progress) -> Option<String> {
    let at = progress.reached as usize;
    if progress.is_delivered || at >= HOPS_MAX {
        return None;
    }
    path.get(at).or(progress.next.as_ref()).cloned()
}

/// Whether a message has arrived that so many nodes had, the last of which named another one or none.
pub(super) const fn is_end(path: &[String], reached: u32, next: Option<&str>) -> bool {
    reached as usize >= path.len() && next.is_none()
}

fn first_claim(
    rows: &mut Rows,
    id: &TransactionId,
    number: u32,
    sender: &str,
) -> Result<Option<(Place, ClaimRow)>> {
    let from = claims_of(id, number, sender);
    let below = behind(&from);
    let Some((key, row)) = rows.first(TABLE_CLAIMS, &from, below.as_deref())? else {
        return Ok(None);
    };
    let (_, _, place) =
        read_claim_key(&key).ok_or_else(|| damaged(TABLE_CLAIMS, "not a key of a claim"))?;
    let claim = ClaimRow::decode(&row).map_err(|error| damaged(TABLE_CLAIMS, error))?;
    Ok(Some((place, claim)))
}

/// The row of a believed hop: the rest of the key of its claim.
fn believed(node: &str, place: Place) -> Vec<u8> {
    let mut row = place.key().to_vec();
    row.extend_from_slice(node.as_bytes());
    row
}
