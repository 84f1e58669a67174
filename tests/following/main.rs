//! Following a chain: every block once and in order, beside whatever else is done, and through whatever ends the process.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::testing as common;
// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../retention/places.rs"]
mod places;

mod every;
#[cfg(all(feature = "log", feature = "sqlite"))]
mod kill;
mod registered;
