//! What several backends need, each thing once. Nothing here knows of a backend.
//!
//! Bytes and hashes are parts of formats (`FORMAT.md`): they change only with a version.

#[cfg(feature = "_directory")]
pub(crate) mod directory;
#[cfg(feature = "_files")]
pub(crate) mod filter;
pub(crate) mod guarded;
#[cfg(feature = "_files")]
pub(crate) mod key_hash;
#[cfg(feature = "_files")]
pub(crate) mod little_endian;
#[cfg(feature = "_files")]
pub(crate) mod names;
#[cfg(feature = "_files")]
pub(crate) mod open_stores;
#[cfg(feature = "_files")]
pub(crate) mod random;
#[cfg(feature = "_files")]
pub(crate) mod salt;
