//! The way of blocks and transactions into a store: what importing costs beside its signatures and its store alone, admitting,
//! producing, verifying what MPREG wrote, and what the original gives figures for.
//!
//! Everything goes through the public interface, as a hub uses it.

mod admission;
mod beside;
mod chain;
mod contestants;
mod cores;
mod forks;
mod import;
mod latency;
mod measure;
mod memory;
mod mpreg;
mod original;
mod plain_stack;
mod produce;

pub(crate) use self::admission::{LATENCY_OF, admit};
pub(crate) use self::chain::Chain;
pub(crate) use self::contestants::Contest;
pub(crate) use self::import::{Before, Setup, Stage, import};
pub(crate) use self::measure::{Bench, Extent, TRANSACTIONS, Test};
pub(crate) use self::memory::{Task, be_child, peak_of};
#[cfg(test)]
pub(crate) use self::mpreg::write_store as write_mpreg_store;
pub(crate) use self::original::Line;
