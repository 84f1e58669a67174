//! Keeping blocks: what appending, looking up, opening and pruning cost, beside plain peers.
//!
//! The peers are storage engines used plainly for the same workload ([`peers`]): no tip, no checks, no pruning. What our
//! backends do beyond that is part of what is measured.

mod append;
mod child;
mod keeper;
mod lookup;
mod measure;
mod opening;
mod ours;
mod peers;
mod pruning;
mod ratios;
mod workload;

pub(crate) use self::append::{append_runs, fresh_directory};
pub(crate) use self::child::{Task, be_child};
pub(crate) use self::keeper::Contender;
pub(crate) use self::lookup::{Asked, Filled, LookingUp};
pub(crate) use self::measure::{Extent, TRANSACTIONS, measure_ratios};
pub(crate) use self::ours::store_url;
pub(crate) use self::ratios::ratios;
pub(crate) use self::workload::Workload;
