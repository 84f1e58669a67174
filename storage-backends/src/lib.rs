//! The storage contract of hubledger, and its backends.
//!
//! A store holds one chain: for every height an id and, each from its own pruning floor up, a header, a body and
//! entries of an index from 32-byte keys to positions in blocks; and a few named values. It never decodes a block. One
//! writer, many readers, synchronous.
//!
//! The contract is two dyn-safe traits without default methods, [`BlockReader`] and [`BlockWriter`]; each
//! method states what an implementation must do to be correct, and the `conformance` suite (a feature)
//! turns those statements into tests that every backend runs. Conveniences for callers are in
//! [`BlockReaderExt`].
//!
//! A store is named by a [`StoreUrl`]: `memory:`, `log:DIR`, `sqlite:FILE` or `rocksdb:DIR`. A further backend is a folder of this
//! crate that implements the two traits, a feature, and an entry in the table of `src/url.rs`.
//!
//! ```
//! use hubledger_storage::{Block, BlockReaderExt, Durability, StoreUrl};
//!
//! # fn main() -> hubledger_storage::Result<()> {
//! let url: StoreUrl = "memory:".parse()?;
//! let mut store = url.create()?;
//! let genesis = Block {
//!     height: 0,
//!     id: [7; 32],
//!     header: "header".into(),
//!     body: "body".into(),
//!     index: Vec::new(),
//! };
//! let receipt = store.writer.append(&[genesis], Durability::Disk)?;
//! assert_eq!(receipt.durability, Durability::Memory, "a receipt says what was reached");
//! assert_eq!(store.reader.tip()?, Some(0));
//! # Ok(())
//! # }
//! ```

mod arguments;
mod backend;
// A build of `memory:` alone has nothing to check.
#[cfg_attr(not(feature = "_files"), allow(dead_code))]
mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod error;
mod ext;
#[cfg(feature = "_files")]
mod identity;
#[cfg(feature = "log")]
mod log;
mod memory;
pub mod opening;
#[cfg(feature = "rocksdb")]
mod rocks;
#[cfg(feature = "_rows")]
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tables;
// Only the append-log takes single entries out again.
#[cfg(feature = "_files")]
#[cfg_attr(not(feature = "log"), allow(dead_code))]
mod entry_table;
mod toolbox;
mod url;

pub use arguments::{
    BODY_BYTES_MAX, HEADER_BYTES_MAX, INDEX_ENTRIES_MAX, NAMED_VALUE_BYTES_MAX,
    VALUE_NAME_BYTES_MAX,
};
pub use check::{Checked, DAMAGE_LISTED_MAX, Damage, Repaired};
pub use contract::{
    Block, BlockReader, BlockWriter, Durability, Extent, Held, INDEX_ENTRY_BYTES, Id, IndexEntry,
    Location, Part, PruneReceipt, Receipt, Store, StoredBlock, StoredHeader, Usage,
};
pub use error::{DamageAt, Error, Result};
pub use ext::BlockReaderExt;
#[cfg(feature = "log")]
pub use log::LogOptions;
pub use memory::MemoryStore;
#[cfg(feature = "rocksdb")]
pub use rocks::RocksOptions;
#[cfg(feature = "_rows")]
pub use rows::IndexOptions;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteOptions;
pub use tables::{
    KeyRange, Position, RangeLimit, Row, TABLE_COMMIT_BYTES_MAX, TABLE_KEY_BYTES_MAX,
    TABLE_SET_NAME_BYTES_MAX, TABLE_SETS_MAX, TABLE_VALUE_BYTES_MAX, TableChange, TableCommit,
    TableReader, TableReceipt, TableView, TableWriter,
};
pub use url::StoreUrl;
