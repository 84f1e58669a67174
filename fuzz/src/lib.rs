//! What the fuzz targets share: a small valid chain, proofs about it with ways to forge them, a file to put bytes in,
//! and the files of an append-log with ways to damage them.
//!
//! A target states one property of every input, not just the absence of panics: what decodes encodes to the same
//! bytes, what was forged doesn't verify, and so on. `examples/seeds.rs` writes the inputs that the targets start from.

mod archive;
mod cache;
mod chain;
mod forge;
mod leaves;
mod log;
mod registry;
mod scratch;
mod services;
mod snapshot;

pub use archive::{ARCHIVED, GenuineArchive};
pub use cache::{cache_payloads, record_payloads, update_payloads};
pub use chain::{Chain, Genuine, accounting_spec, transactions_of};
pub use forge::{EDIT_BYTES, EDITS_MAX, forge};
pub use leaves::PrunedChain;
pub use log::{DamagedLog, LOG_END, LOG_FLOORS, LOG_OPTIONS, log_block, replaced_block};
pub use registry::registry_payloads;
pub use scratch::Scratch;
pub use services::queue_payloads;
pub use snapshot::{GENUINE_SNAPSHOT, GenuineSnapshot};
