//! The plain peers: each engine as a careful user would call it for this workload, and nothing around it. None of
//! them checks what it reads, knows what a tip is, or prunes.
//!
//! A run of blocks is one batch or transaction. A peer without an index keeps blocks by height; one with an index
//! also every id with its place.

use std::path::Path;

use anyhow::Result;
use hubledger_storage::Durability;

use super::keeper::{Index, Keeper};
#[cfg(feature = "peers")]
use super::workload::Place;

pub(crate) mod file;
#[cfg(feature = "peers")]
mod fjall;
#[cfg(feature = "peers")]
mod redb;
#[cfg(feature = "peers")]
mod rocksdb;
pub(crate) mod sqlite;

/// What stands under an id: height and position.
#[cfg(feature = "peers")]
fn place_bytes(height: u64, position: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&height.to_le_bytes());
    bytes[8..].copy_from_slice(&position.to_le_bytes());
    bytes
}

#[cfg(feature = "peers")]
fn read_place(bytes: &[u8]) -> Option<Place> {
    let (height, position) = bytes.split_first_chunk::<8>()?;
    Some(Place {
        height: u64::from_le_bytes(*height),
        position: u32::from_le_bytes(position.try_into().ok()?),
    })
}

macro_rules! heavy {
    ($($name:ident: $type:ident),*) => {$(
        /// The peer of this name, where it is built in.
        #[cfg(feature = "peers")]
        pub(super) fn $name(
            directory: &Path,
            durability: Durability,
            index: Index,
        ) -> Result<Box<dyn Keeper>> {
            Ok(Box::new($name::$type::open(directory, durability, index)?))
        }

        /// The peer of this name, which is not built in.
        #[cfg(not(feature = "peers"))]
        pub(super) fn $name(_: &Path, _: Durability, _: Index) -> Result<Box<dyn Keeper>> {
            anyhow::bail!(concat!(stringify!($name), " is not built: it needs the feature `peers`"))
        }
    )*};
}

heavy!(rocksdb: PlainRocksDb, fjall: PlainFjall, redb: PlainRedb);
