//! How a RocksDB store is opened.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options};

use crate::rows::Table;
use crate::{BlockReader, IndexOptions, Result, Store};

/// How a store `rocksdb:DIR` is opened. Any values open any store: they are no part of its format.
///
/// In a URL they follow a question mark: `rocksdb:DIR?cache_mib=256&write_buffer_mib=128&compression=lz4&open_files=1000`.
///
/// ```
/// # fn main() -> hubledger_storage::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// use hubledger_storage::RocksOptions;
///
/// let options = RocksOptions {
///     cache_mib: 16,
///     ..RocksOptions::default()
/// };
/// let store = options.create(&directory.path().join("chain"))?;
/// assert!(store.reader.extent()?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RocksOptions {
    /// Mebibytes of blocks of files that are kept in memory. 64 by default.
    pub cache_mib: u32,
    /// Mebibytes that are collected in memory before they become a file: for bodies, and for tables beside the blocks; all else takes a quarter. Up
    /// to three times as much is in use. 64 by default.
    pub write_buffer_mib: u32,
    /// Whether headers, bodies and tables beside the blocks are compressed with LZ4. False by default: hashes, keys and signatures don't shrink,
    /// so that it pays only for payloads that do.
    pub compression: bool,
    /// Most files that are open at a time. 512 by default.
    pub open_files: u32,
    /// The sizes of the index.
    pub index: IndexOptions,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            cache_mib: 64,
            write_buffer_mib: 64,
            compression: false,
            open_files: 512,
            index: IndexOptions::default(),
        }
    }
}

const MIB: u64 = 1 << 20;

impl RocksOptions {
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
    /// [`Error::InUse`](crate::Error::InUse) if another process has it open.
    pub fn open_read_only(&self, directory: &Path) -> Result<Arc<dyn BlockReader>> {
        super::open_read_only(directory, *self)
    }

    /// Reads what follows the question mark of a URL.
    pub(crate) fn parse(query: &str) -> std::result::Result<Self, &'static str> {
        let mut options = Self::default();
        for setting in query.split('&') {
            let (name, value) = setting.split_once('=').ok_or("a setting has no value")?;
            let number = || {
                let number = value.parse::<u32>().ok();
                number
                    .filter(|number| (1..=1 << 20).contains(number))
                    .ok_or("a setting is no number from 1 to 1048576")
            };
            match name {
                "cache_mib" => options.cache_mib = number()?,
                "write_buffer_mib" => options.write_buffer_mib = number()?,
                "open_files" => options.open_files = number()?.max(16),
                "compression" => {
                    options.compression = match value {
                        "lz4" => true,
                        "none" => false,
                        _ => return Err("the compression is neither none nor lz4"),
                    };
                }
                _ => return Err("a setting is unknown"),
            }
        }
        Ok(options)
    }

    /// Options of the database.
    pub(super) fn database(&self) -> Options {
        let mut options = Options::default();
        options.set_max_open_files(i32::try_from(self.open_files).unwrap_or(i32::MAX));
        // A family that gets few rows keeps every log that has one of them; from this size on it is flushed, and the logs go.
        options.set_max_total_wal_size(4 * u64::from(self.write_buffer_mib) * MIB);
        // A crash leaves a torn record at the log's end, which is no damage; anything before it is, and opening fails.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_max_background_jobs(2);
        // Through a map, a page that the disk can't read would end the process (SIGBUS).
        options.set_allow_mmap_reads(false);
        options.set_allow_mmap_writes(false);
        options.set_bytes_per_sync(MIB);
        // Bounded, since by default diaries and the list of files grow: two diaries of a mebibyte, and a list that is begun
        // again after a few.
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(MIB as usize);
        options.set_max_manifest_file_size(4 * MIB as usize);
        options.set_stats_dump_period_sec(0);
        options
    }

    /// Options of a table. Rows come by ascending numbers, so files hardly ever overlap, and compaction moves them
    /// without rewriting.
    pub(super) fn table(&self, table: Table, cache: &Cache) -> Options {
        let share = if table == Table::Bodies { 1 } else { 4 };
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        let mut options = self.family(&blocks, share);
        if self.compression && matches!(table, Table::Bodies | Table::Headers) {
            options.set_compression_type(DBCompressionType::Lz4);
        }
        options
    }

    /// Options of the rows by keys, which come in any order and are asked for whether they are there or not.
    pub(super) fn keyed(&self, cache: &Cache) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        blocks.set_bloom_filter(10.0, false);
        let mut options = self.family(&blocks, 1);
        if self.compression {
            options.set_compression_type(DBCompressionType::Lz4);
        }
        options
    }

    /// Options of a column family with a share of the write buffer.
    fn family(&self, blocks: &BlockBasedOptions, share: u64) -> Options {
        let mut options = Options::default();
        options.set_block_based_table_factory(blocks);
        let buffer = (u64::from(self.write_buffer_mib) * MIB / share).max(MIB);
        options.set_write_buffer_size(usize::try_from(buffer).unwrap_or(usize::MAX));
        options.set_max_write_buffer_number(3);
        options.set_target_file_size_base(buffer);
        options.set_compression_type(DBCompressionType::None);
        options
    }

    pub(super) fn cache(&self) -> Cache {
        let bytes = u64::from(self.cache_mib) * MIB;
        Cache::new_lru_cache(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// As in a URL: what is not as it is by default, after a question mark.
impl fmt::Display for RocksOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::default();
        let settings = [
            ("cache_mib", self.cache_mib, usual.cache_mib),
            (
                "write_buffer_mib",
                self.write_buffer_mib,
                usual.write_buffer_mib,
            ),
            ("open_files", self.open_files, usual.open_files),
        ];
        let mut before = '?';
        for (name, value, usual) in settings {
            if value != usual {
                write!(f, "{before}{name}={value}")?;
                before = '&';
            }
        }
        match self.compression {
            true => write!(f, "{before}compression=lz4"),
            false => Ok(()),
        }
    }
}
