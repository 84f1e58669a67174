//! The command line as its users run it: real files, real stores, bad input, and kill -9.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

mod bad_input;
mod cache;
mod consensus_run;
mod draft;
mod evidence;
mod export;
mod fork;
mod fork_new;
mod job;
mod keys;
mod kill;
mod kill_retention;
mod light;
mod memory;
#[cfg(feature = "mpreg")]
mod mpreg;
mod params;
mod pipes;
mod places;
mod produce;
mod queue;
mod readme;
mod registry;
mod retention;
mod route;
mod salvage;
mod seed;
mod show;
mod signals;
mod snapshot;
mod spec;
mod state;
mod streams;
mod support;
mod tx;
mod upgrade;
mod witnesses;
mod words;
