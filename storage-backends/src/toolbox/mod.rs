//! What several backends need, each thing once. Nothing here knows of a backend.
//!
//! Bytes and hashes are parts of formats (`FORMAT.md`): they change only with a version.

#[cfg(any(feature = "log", feature = "rocksdb"))]
pub(crate) mod directory;
#[cfg(any(feature = "log", feature = "sqlite", feature = "rocksdb"))]
pub(crate) mod filter;
pub(crate) mod guarded;
#[cfg(any(feature = "log", feature = "sqlite", feature = "rocksdb"))]
pub(crate) mod key_hash;
#[cfg(any(feature = "log", feature = "sqlite", feature = "rocksdb"))]
pub(crate) mod little_endian;
#[cfg(any(feature = "log", feature = "sqlite", feature = "rocksdb"))]
pub(crate) mod names;
#[cfg(any(feature = "log", feature = "sqlite", feature = "rocksdb"))]
pub(crate) mod open_stores;
#[cfg(any(feature = "log", feature = "sqlite", feature = "rocksdb"))]
pub(crate) mod random;
#[cfg(any(feature = "log", feature = "sqlite", feature = "rocksdb"))]
pub(crate) mod salt;
