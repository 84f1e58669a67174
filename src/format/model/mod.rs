//! What a chain is made of: transactions, headers, seals, blocks, vector clocks.
//!
//! Every value is immutable and valid by construction: it was either decoded from bytes or built from a draft,
//! and both ways check the same limits. Values keep the bytes they came from (shared, so clones are cheap), and
//! hashes are over those bytes; nothing is encoded again after it was received.

mod block;
mod header;
mod quorum_seal;
mod seal;
mod transaction;
mod vector_clock;
mod witness;

pub use block::{BODY_BYTES_MAX, Block, TRANSACTION_BYTES_MIN};
pub use header::{HEADER_BYTES_MAX, Header, HeaderFields};
pub use quorum_seal::{QuorumSeal, SIGNERS_MAX};
pub use seal::{OriginalHeader, SEAL_BYTES_MAX, Seal};
pub(crate) use transaction::transaction_bytes_max;
pub use transaction::{Draft, Kind, Operation, PAYLOAD_BYTES_MAX, Transaction, WITNESSES_MAX};
pub use vector_clock::{CLOCK_ENTRIES_MAX, Causality, VectorClock};
pub use witness::{Scheme, Witness};
