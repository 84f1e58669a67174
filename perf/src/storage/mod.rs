//! Keeping blocks: what appending, looking up, opening and pruning cost, beside plain peers.
//!
//! The peers are storage engines used plainly for the same workload ([`peers`]): no tip, no checks, no pruning. What our
//! backends do beyond that is part of what is measured.

mod append;
mod child;
mod contender;
mod keeper;
mod lookup;
mod measure;
mod opening;
mod ours;
mod peers;
mod pruning;
mod workload;

pub(crate) use self::append::{append_runs, fresh_directory};
pub(crate) use self::child::{Task, be_child};
pub(crate) use self::contender::Contender;
pub(crate) use self::lookup::{Asked, Filled, LookUps};
pub(crate) use self::measure::{Bench, Extent, Files, Size, TRANSACTIONS, Test};
pub(crate) use self::workload::Workload;
