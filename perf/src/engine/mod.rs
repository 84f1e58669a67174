//! The way of blocks and transactions into a store: what importing costs beside its signatures and its store alone, admitting,
//! producing, verifying what MPREG wrote, and what the original gives figures for.
//!
//! Everything goes through the public interface, as a hub uses it.

mod admission;
mod chain;
mod contestants;
mod cores;
mod import;
mod measure;
mod memory;
mod mpreg;
mod original;
mod produce;
mod ratios;

pub(crate) use self::admission::{LATENCY_OF, admit};
pub(crate) use self::chain::Chain;
pub(crate) use self::import::{Before, Means, Stage, import};
pub(crate) use self::measure::{Extent, TRANSACTIONS, measure_ratios};
pub(crate) use self::memory::{Task, be_child};
pub(crate) use self::ratios::ratios;
