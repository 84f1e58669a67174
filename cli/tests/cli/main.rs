//! The command line as its users run it: real files, real stores, bad input, and kill -9.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

mod bad_input;
mod job;
mod kill;
mod kill_retention;
mod memory;
#[cfg(feature = "mpreg")]
mod mpreg;
mod pipes;
mod places;
mod retention;
mod salvage;
mod signals;
mod spec;
mod streams;
mod support;
mod words;
