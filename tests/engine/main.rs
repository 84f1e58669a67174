//! The engine, from outside: it equals the sequential validator whatever the timing, keeps its promises to callers, and
//! stops cleanly.
#![allow(missing_docs, clippy::unwrap_used)]

mod api;
mod building;
use hubledger::testing as common;
mod equivalence;
mod faults;
mod journal;
mod large_state;
mod late_certificates;
mod limits;
mod producing;
mod roads;
mod sharing;
mod shutdown_storm;
mod soak;
mod starvation;
mod stops;
mod support;
mod taken_back;
