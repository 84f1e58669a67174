//! The way of a block into a store: what importing costs beside its signatures and its store alone.

mod admission;
mod chain;
mod contestants;
mod import;
mod ratios;

pub(crate) use self::admission::admit_each;
pub(crate) use self::chain::Chain;
pub(crate) use self::import::{Means, Stage, import};
pub(crate) use self::ratios::{Extent, TRANSACTIONS, measure_ratios, ratios};
