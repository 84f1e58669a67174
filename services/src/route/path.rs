//! The way of a message, and what is to be thought of everything that was said about it.

use hubledger::digest::TransactionId;

use super::payload::HOPS_MAX;
use super::rows::{Message, Place, Progress};
use super::view::next_node;

/// What a node said: that it had a message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Claim {
    /// So many nodes had it before, it says.
    pub number: u32,
    /// The node.
    pub node: String,
    /// Where its transaction is.
    #[serde(flatten)]
    pub place: Place,
    /// Its transaction.
    pub id: TransactionId,
    /// When it had the message, as it says: microseconds since 1970.
    pub timestamp: u64,
    /// What its transaction paid.
    pub fee: u64,
    /// Whom it hands the message to.
    pub next: Option<String>,
}

/// What is to be thought of a [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The node was named for this hop, all hops before are verified, and its transaction stands behind theirs and the message's.
    Verified,
    /// The same, but the transaction stands before that of the message or of the hop before.
    OutOfOrder,
    /// The node had said so before.
    Repeated,
    /// Another node was named for this hop, or the message had arrived before.
    Forged,
    /// The node was named for this hop, but a hop before is missing.
    Waiting,
    /// Nobody was named for this hop yet.
    Unnamed,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Verified,
        Self::OutOfOrder,
        Self::Repeated,
        Self::Forged,
        Self::Waiting,
        Self::Unnamed,
    ];

    /// The word that stands for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::OutOfOrder => "out_of_order",
            Self::Repeated => "repeated",
            Self::Forged => "forged",
            Self::Waiting => "waiting",
            Self::Unnamed => "unnamed",
        }
    }
}

/// The way that a message took, as far as it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The transaction that carries the message.
    pub id: TransactionId,
    /// The message.
    pub message: Message,
    /// The hops that are believed, in their order.
    pub hops: Vec<Claim>,
    progress: Progress,
}

impl Path {
    pub(super) const fn new(
        id: TransactionId,
        message: Message,
        progress: Progress,
        hops: Vec<Claim>,
    ) -> Self {
        Self {
            id,
            message,
            hops,
            progress,
        }
    }

    /// Whether the last node that was named had the message, and named nobody else.
    #[must_use]
    pub const fn is_delivered(&self) -> bool {
        self.progress.is_delivered
    }

    /// How long a hop took from the one before, or from the message: in microseconds, as the nodes say. `None` where timestamps go back, and of a
    /// hop that isn't there.
    #[must_use]
    pub fn latency(&self, number: u32) -> Option<u64> {
        let number = number as usize;
        let before = match number.checked_sub(1) {
            None => self.message.timestamp,
            Some(before) => self.hops.get(before)?.timestamp,
        };
        self.hops.get(number)?.timestamp.checked_sub(before)
    }

    /// How long the message took to where it is. `None` where timestamps go back.
    #[must_use]
    pub fn total_latency(&self) -> Option<u64> {
        let last = self.hops.last()?;
        last.timestamp.checked_sub(self.message.timestamp)
    }

    /// What the message paid for each hop of its way, rounded down: of those that are believed, or that its path names if that are more.
    #[must_use]
    pub fn fee_per_hop(&self) -> u64 {
        let hops = self.hops.len().max(self.message.path.len()) as u64;
        self.message.fee.checked_div(hops).unwrap_or(0)
    }

    /// What is to be thought of what a node said about this message.
    #[must_use]
    pub fn judge(&self, claim: &Claim) -> Verdict {
        if let Some(hop) = self.hops.get(claim.number as usize) {
            return match () {
                () if hop.node != claim.node => Verdict::Forged,
                () if hop.place != claim.place => Verdict::Repeated,
                () if hop.place < self.place_before(claim.number) => Verdict::OutOfOrder,
                () => Verdict::Verified,
            };
        }
        match self.named(claim.number) {
            Some(node) if node == claim.node => Verdict::Waiting,
            None if !self.is_delivered() => Verdict::Unnamed,
            _ => Verdict::Forged,
        }
    }

    /// The hops that are to come and whose nodes are named.
    pub fn awaited(&self) -> impl Iterator<Item = (u32, &str)> {
        let end = self.message.path.len() as u32;
        (self.progress.reached..end.max(self.progress.reached + 1))
            .filter_map(|number| Some((number, self.named(number)?)))
    }

    /// Which node is named for a hop that isn't believed yet.
    fn named(&self, number: u32) -> Option<&str> {
        if self.is_delivered() || number as usize >= HOPS_MAX {
            return None;
        }
        let next = self.progress.next.as_deref();
        let is_next = number == self.progress.reached;
        let path = &self.message.path;
        let in_path = path.get(number as usize).map(String::as_str);
        debug_assert!(!is_next || in_path.or(next) == next_node(path, &self.progress).as_deref());
        in_path.or(next.filter(|_| is_next))
    }

    fn place_before(&self, number: u32) -> Place {
        let before = (number as usize).checked_sub(1);
        let hop = before.and_then(|before| self.hops.get(before));
        hop.map_or(self.message.place, |hop| hop.place)
    }
}
