//! Chains of MPREG: its own vectors and stores, faults of every kind, broken files, the audit, all of it on
//! one thread and on several.

mod audit;
mod blocks;
mod faults;
mod files;
mod import;
mod parallel;
mod support;
mod transactions;
mod vectors;
