//! Chains of MPREG: its own vectors and stores, faults of every kind, broken files, the audit.
#![cfg(feature = "mpreg")]

mod audit;
mod blocks;
mod faults;
mod files;
mod import;
mod support;
mod transactions;
mod vectors;
