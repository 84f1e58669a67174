//! Chains that MPREG, the Python system, wrote: reading them, checking them by MPREG's own rules, auditing
//! what those rules let pass.
//!
//! The rooms, in the order in which a chain passes them:
//!
//! - [`Source`] opens an SQLite store or a JSON file and hands out one [`RawRow`] at a time;
//! - [`Block::from_json`] reads a block and checks it alone, Merkle root included ([`Transaction`],
//!   [`merkle`], [`Number`]);
//! - [`Checker`] checks that it follows the one before, and its signatures;
//! - [`verify_chain`] does all that for a chain, block after block; [`Audit`] and [`Tally`] look on;
//! - [`verify_in_parallel`] comes to the same verdict on several threads: `chunk` says all of some blocks that can be said of
//!   them alone, `line` brings chunks to threads and back in order.
//!
//! Most of the time would go into reading JSON. A block that is spelled as MPREG spells it goes by a reader for just that
//! (`quick`), every other by one for any JSON (`raw`), which also has the say about what is wrong.
//!
//! A verdict names the first fault in MPREG's order, each block wholly before the next. Deliberate
//! differences:
//!
//! - MPREG constructs *all* blocks before it compares any two, so with several faults in a chain it may name
//!   a later one.
//! - Values of types that MPREG never writes (a boolean for a number, an unpaired surrogate in a string, more
//!   than 127 levels of nesting) are malformed here even where Python would muddle through.
//! - Signatures are judged by this crate's rule ([`hubledger::signature`]), which differs from that of MPREG's
//!   library only on crafted keys and signatures, such as points of small order.

mod audit;
mod block;
mod check;
mod chunk;
mod config;
mod entry;
mod import;
mod line;
mod quick;
mod raw;
mod source;
mod summary;
mod transaction;
mod verify;

pub use audit::{Audit, AuditReport, Finding, FindingAt, FindingKind};
pub use block::{Block, VectorClock};
pub use check::{
    AHEAD_MAX_SECONDS, Checker, Tip, check_admission, check_signatures, check_successor,
    check_transactions, happens_before,
};
pub use config::{ChainConfig, Consensus};
pub use entry::{Brief, Entry};
pub use hubledger::original::{MAX_INTEGER_DIGITS, Number, NumberError, merkle, micros};
pub use import::{Converter, convert, plan};
pub use source::{BLOCK_JSON_MAX_BYTES, ChainInfo, RawRow, RowVisitor, Source, SourceError};
pub use summary::{Balances, Summary, Tally};
pub use transaction::{Operation, Transaction};
pub use verify::{ChainReport, Progress, verify_chain, verify_in_parallel};
