//! The sizes of an index in rows.

/// How large the parts of an index are made from now on. Any values open any store: they are no part of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IndexOptions {
    /// From as many entries on (keys and ids), the next commit moves them from memory to the disk. Bounds the memory of
    /// this part, at 23 to 46 bytes an entry, and what opening reads. 2^17 by default.
    pub entries_in_memory: usize,
    /// So many runs of one size are merged into one. Bounds how often an entry is written. 8 by default; at least 2.
    pub fanout: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            entries_in_memory: 1 << 17,
            fanout: 8,
        }
    }
}
