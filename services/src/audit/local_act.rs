//! What a hub saw or did that is not on the chain.

use hubledger::ledger::PruneReport;
use hubledger::rejection::Rejected;
use serde_json::{Map, Value};

/// The longest text in a line, in bytes; what is longer is cut. Escaped as JSON, a byte becomes at most six.
pub(super) const TEXT_BYTES_MAX: usize = 512;

/// What this hub saw or did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalAct {
    /// It pruned, up to these heights.
    Pruned {
        /// Bodies below were removed.
        bodies_below: u64,
        /// Index entries below were removed.
        index_below: u64,
        /// Headers below were removed.
        headers_below: u64,
    },
    /// It refused a block.
    Rejected {
        /// Who made it, as its header says, which nobody has checked; empty of what is no block.
        producer: String,
        /// Its height.
        height: u64,
        /// The fixed word of the reason.
        reason: String,
        /// What was found and what was expected.
        detail: String,
    },
    /// Something else that the host finds worth writing down.
    Other {
        /// In a word.
        act: String,
        /// In more.
        detail: String,
    },
}

impl LocalAct {
    /// What a pruning came to.
    #[must_use]
    pub const fn pruned(report: &PruneReport) -> Self {
        Self::Pruned {
            bodies_below: report.bodies.floor,
            index_below: report.index.floor,
            headers_below: report.headers.floor,
        }
    }

    /// That a block of a producer was refused.
    #[must_use]
    pub fn rejected(producer: &str, rejected: &Rejected) -> Self {
        Self::Rejected {
            producer: producer.to_owned(),
            height: rejected.height,
            reason: rejected.reason.to_string(),
            detail: rejected.detail.clone(),
        }
    }

    /// That so many more blocks were refused than are written down one by one.
    pub(super) fn left_out(count: u64) -> Self {
        Self::Other {
            act: "reject".to_owned(),
            detail: format!("{count} more blocks, which are not written down one by one"),
        }
    }

    /// That so much happened that so many events were lost.
    pub(super) fn lost(count: u64) -> Self {
        Self::Other {
            act: "lost".to_owned(),
            detail: format!("{count} events came faster than they could be written down"),
        }
    }

    pub(super) fn put(&self, object: &mut Map<String, Value>) {
        let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
        match self {
            Self::Pruned {
                bodies_below,
                index_below,
                headers_below,
            } => {
                put("act", "prune".into());
                put("bodies_below", (*bodies_below).into());
                put("index_below", (*index_below).into());
                put("headers_below", (*headers_below).into());
            }
            Self::Rejected {
                producer,
                height,
                reason,
                detail,
            } => {
                put("act", "reject".into());
                put("producer", cut(producer).into());
                put("height", (*height).into());
                put("reason", cut(reason).into());
                put("detail", cut(detail).into());
            }
            Self::Other { act, detail } => {
                put("act", cut(act).into());
                put("detail", cut(detail).into());
            }
        }
    }
}

/// The beginning of a text, up to its longest length.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
