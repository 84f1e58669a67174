//! Work: how hard a block was to find, how hard the next one has to be, and how one is found. Pure functions over numbers, times
//! and headers; nothing here knows a specification or a state.
//!
//! # The unit
//!
//! A block's **difficulty** is a `u64` of at least 1, and its header's hash, read as a big-endian number, has to be at most its
//! **target**, ⌊(2²⁵⁶ − 1) / difficulty⌋: in other words, hash times difficulty stays below 2²⁵⁶. So a block of difficulty *d* takes
//! *d* hashes on average, and the difficulty is also what the block weighs: the sum over a chain is the number of hashes that
//! it took. Bitcoin goes from targets to work instead, by ⌊2²⁵⁶ / (target + 1)⌋. Of a target that comes from a
//! difficulty this is the same number, or one less.
//!
//! # The parts
//!
//! - [`Target`]: the threshold, from and to difficulties, and in Bitcoin's compact form.
//! - [`asert`]: the next difficulty by an absolute schedule.
//! - [`window`]: the next difficulty by the mean time of the last blocks, as MPREG has it.

pub mod asert;
mod target;
pub mod window;

pub use self::target::Target;

use crate::format::model::Header;

/// The header with the first nonce from its own on that is enough, if there is one among so many.
pub(super) fn search(header: Header, hashes_max: u64) -> Option<Header> {
    let target = Target::from_difficulty(header.difficulty);
    let mut header = header;
    for _ in 0..hashes_max {
        if target.is_met_by(&header.hash()) {
            return Some(header);
        }
        let mut fields = (*header).clone();
        fields.nonce = fields.nonce.checked_add(1)?;
        header = Header::new(fields).ok()?;
    }
    None
}
