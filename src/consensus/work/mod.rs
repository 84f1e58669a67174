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
//! - [`Search`]: the nonce of a header that meets a target. What doesn't change with the nonce is hashed once ([`Template`]), and several
//!   nonces are tried at a time where the processor can ([`Path`]).

pub mod asert;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "instructions that the processor may lack")]
mod lanes;
mod mine;
mod path;
mod target;
mod template;
pub mod window;

pub use self::mine::{NONCES_BETWEEN_CHECKS, Outcome, Search};
pub use self::path::Path;
pub use self::target::Target;
pub use self::template::Template;
