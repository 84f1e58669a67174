//! The checksums of one store: CRC32C (Castagnoli) that starts from the CRC32C of the store's id.
//!
//! So the bytes of another store never check out, and nobody who doesn't know the id can make up bytes that do.

/// What tells the files and rows of one store from those of any other.
pub(crate) type StoreId = [u8; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(u32);

impl Salt {
    /// For what is read before the store's id is known.
    #[cfg(feature = "_rows")]
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn of(store: &StoreId) -> Self {
        Self(crc32c::crc32c(store))
    }

    #[cfg(feature = "log")]
    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }

    /// The checksum of bytes that follow others.
    #[cfg(feature = "log")]
    pub(crate) fn continued(self, before: u32, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(before, bytes)
    }

    /// The checksum of parts one after the other.
    pub(crate) fn checksum_of(self, parts: &[&[u8]]) -> u32 {
        let add = |sum, part: &&[u8]| crc32c::crc32c_append(sum, part);
        parts.iter().fold(self.0, add)
    }
}
