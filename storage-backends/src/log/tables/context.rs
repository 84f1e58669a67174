//! What everything here needs to know of the store, and how it reaches the files.

use std::path::PathBuf;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::super::files::Files;
use super::super::format::{Salt, StoreId};
use super::super::options::LogOptions;
use super::super::shared::LogContext;
use super::fences::BLOCK_BYTES;
use super::names::DIRECTORY;
use super::part::Part;
use crate::toolbox::key_hash::KeyHash;

/// Blocks that were read last, by the number of the open file and their own. A few bytes for each are not counted.
pub(super) type BlockCache = Cache<(u64, u32), Arc<Part>, BlockWeight>;

/// The memory that a block takes.
#[derive(Debug, Clone)]
pub(super) struct BlockWeight;

impl Weighter<(u64, u32), Arc<Part>> for BlockWeight {
    fn weight(&self, _: &(u64, u32), part: &Arc<Part>) -> u64 {
        part.memory_bytes() as u64
    }
}

/// See the [module](self).
pub(in super::super) struct TableContext {
    pub(super) files: Arc<dyn Files>,
    /// That of the store.
    pub(super) store_directory: PathBuf,
    /// That of the tables.
    pub(super) directory: PathBuf,
    pub(super) store: StoreId,
    pub(super) salt: Salt,
    pub(super) hash: KeyHash,
    pub(super) options: LogOptions,
    pub(super) cache: BlockCache,
}

impl TableContext {
    pub(in super::super) fn new(context: &LogContext) -> Self {
        let bytes = context.options.table_cache_bytes;
        let blocks = usize::try_from(bytes / BLOCK_BYTES as u64).unwrap_or(usize::MAX);
        Self {
            files: Arc::clone(&context.files),
            store_directory: context.directory.clone(),
            directory: context.directory.join(DIRECTORY),
            store: context.store,
            salt: context.salt,
            hash: context.hash,
            options: context.options,
            // The number of blocks only says how many shards there are; the weight is what bounds the memory.
            cache: Cache::with_weighter(blocks.min(1 << 20), bytes, BlockWeight),
        }
    }
}

impl std::fmt::Debug for TableContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableContext")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
