//! How an append-log is opened.

use std::path::Path;
use std::sync::Arc;

use crate::{BlockReader, Result, Store};

/// How a store `log:DIR` is laid out from now on. Any values open any store: they are no part of its format.
///
/// ```
/// # fn main() -> hubledger_storage::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// use hubledger_storage::LogOptions;
///
/// let options = LogOptions {
///     segment_bytes: 64 << 20,
///     ..LogOptions::default()
/// };
/// let store = options.create(&directory.path().join("chain"))?;
/// assert!(store.reader.extent()?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment ends before a run that would make one of its files larger than this, unless the run is its
    /// first. 256 MiB by default.
    pub segment_bytes: u64,
    /// A segment ends before a run that would bring it more index entries (keys and ids) than this, unless the
    /// run is its first. Bounds the memory of the index, at 23 to 46 bytes an entry, and what opening reads. 2^20 by
    /// default.
    pub segment_entries: usize,
    /// So many index files, or runs of a table set, of one size are merged into one. Bounds how often an entry is written. 8 by default; at least 2.
    pub index_fanout: usize,
    /// A run with this many bytes of bodies that is to be on the disk is written past the system's cache, where the file
    /// system can: somebody is catching up, and it would push out what others read. Its bodies then come from the disk when
    /// they are first asked for. 4 MiB by default; `u64::MAX` for never.
    pub direct_bytes: u64,
    /// Whether index files are written by a thread of their own, rather than within the append that ends a
    /// segment, and tables merged by another, rather than within a commit. True by default.
    pub index_in_background: bool,
    /// Bytes of memory that look-ups may take to keep parts of index files, which have 23 bytes an index entry: what is here
    /// needs no system call. Taken as parts are asked for; with less, look-ups are slower, by a reading of some 0.4 µs each.
    /// 256 MiB by default; 0 for nothing.
    pub cache_bytes: u64,
    /// Bytes of memory that commits to tables may take until they are written to a file, all sets together; a commit with an eighth
    /// of it is written at once. With more, less is merged, and a crash takes more that wasn't to be on the disk. 32 MiB by default.
    pub table_memory_bytes: u64,
    /// Bytes of memory that look-ups in tables may take to keep blocks of 4 KiB. 64 MiB by default; 0 for nothing. Beside it,
    /// some 3 bytes a row are kept of every file that was looked into, for rows of 100 bytes: filters, and where blocks begin.
    pub table_cache_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            segment_entries: 1 << 20,
            index_fanout: 8,
            direct_bytes: 4 << 20,
            index_in_background: true,
            cache_bytes: 256 << 20,
            table_memory_bytes: 32 << 20,
            table_cache_bytes: 64 << 20,
        }
    }
}

impl LogOptions {
    /// Creates an empty store. See [`StoreUrl::create`](crate::StoreUrl::create).
    ///
    /// # Errors
    /// Those of [`StoreUrl::create`](crate::StoreUrl::create).
    pub fn create(&self, directory: &Path) -> Result<Store> {
        super::create(directory, *self)
    }

    /// Opens a store to write and to read. See [`StoreUrl::open`](crate::StoreUrl::open).
    ///
    /// # Errors
    /// Those of [`StoreUrl::open`](crate::StoreUrl::open).
    pub fn open(&self, directory: &Path) -> Result<Store> {
        super::open(directory, *self)
    }

    /// Opens a store only to read. See [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
    ///
    /// # Errors
    /// Those of [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only), and
    /// [`Error::InUse`](crate::Error::InUse) if another process has it open to write.
    pub fn open_read_only(&self, directory: &Path) -> Result<Arc<dyn BlockReader>> {
        super::open_read_only(directory, *self)
    }
}
