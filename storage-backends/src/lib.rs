//! The storage contract of hubledger, and its backends.
//!
//! A store holds one chain: for every height a header and, from the pruning floor up, a body; an index
//! from 32-byte keys to places in blocks; and a few named values (meta). It never decodes a block. One
//! writer, many readers, synchronous.
//!
//! The contract is two dyn-safe traits without default methods, [`BlockReader`] and [`BlockWriter`]; each
//! method states what an implementation must do to be correct, and the `conformance` suite (a feature)
//! turns those statements into tests that every backend runs. Conveniences for callers are in
//! [`BlockReaderExt`].
//!
//! A store is named by a [`StoreUrl`]: `memory:`, `log:DIR` or `sqlite:FILE`. A further backend is a module of this
//! crate that implements the two traits, a variant of [`StoreUrl`], and a feature.
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

mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod error;
mod ext;
mod latch;
#[cfg(feature = "log")]
mod log;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
mod url;

pub use check::{
    BODY_BYTES_MAX, HEADER_BYTES_MAX, INDEX_ENTRIES_MAX, META_KEY_BYTES_MAX, META_VALUE_BYTES_MAX,
};
pub use contract::{
    Block, BlockReader, BlockWriter, Body, Durability, Extent, Id, IndexEntry, Location,
    PruneReceipt, Receipt, Store, StoredBlock, StoredHeader, Usage,
};
pub use error::{Error, Place, Result};
pub use ext::BlockReaderExt;
#[cfg(feature = "log")]
pub use log::LogOptions;
pub use memory::MemoryStore;
pub use url::StoreUrl;
