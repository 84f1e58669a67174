//! What is particular to the tables of stores in rows: damage, space, kills, and stores of versions without tables.

#![allow(clippy::unwrap_used)]

mod kill;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sample;
mod sqlite;
