//! hubledger: a parallel validation engine with pluggable storage for chains of signed transactions.
//!
//! A hub server embeds an [`Engine`](engine::Engine): blocks and transactions go in, and it says of each whether it is valid,
//! commits what is, finds any transaction by its id, proves it, and lets others follow. The [`Ledger`](ledger::Ledger) is the
//! same without threads, block by block. A chain is fixed by its [`ChainSpec`](spec::ChainSpec), and lives in a store of
//! the package `hubledger-storage`, named by a URL such as `log:DIR`.
//!
//! Every input has one verdict, that of the sequential [`Validator`](rules::Validator), whatever the threads and the timing; what is
//! wrong with somebody's block is data ([`Rejected`](rejection::Rejected)), and no error of this process. Whoever has only a head hash
//! checks a [`proof`]; whoever has headers and no bodies checks those by [`rules::headers`].
//!
//! # The rooms
//!
//! Each uses only those above it in this table, and not all of them; `ARCHITECTURE.md` has the arrows, and a test checks them.
//!
//! | room | what it is |
//! |---|---|
//! | [`clock`] | the time, injected, and how far a clock is believed |
//! | [`format`](mod@format) | bytes and values: what a chain is made of and how that is written down. Its modules are named here too |
//! | [`state`] | what the blocks so far say about the next one, as a value |
//! | [`consensus`] | who may make which block, and what it is worth |
//! | [`rules`] | what makes a block valid: pure functions, and the sequential validator |
//! | [`tree`] | which of two chains is better, and what is final |
//! | `pool` | transactions that are in no block yet |
//! | [`line`](mod@line) | jobs that need nothing of each other, on several threads, in order |
//! | [`generate`] | chains made up from a seed |
//! | [`ledger`] | one chain in one store: committing, reading, proving, pruning, copying, archives |
//! | [`engine`] | what a hub embeds: all of it, on threads of its own |

pub mod clock;
pub mod consensus;
pub mod engine;
pub mod format;
pub mod generate;
pub mod ledger;
pub mod line;
mod pool;
pub mod rules;
pub mod state;
pub mod tree;

pub use self::format::{
    blockfile, codec, digest, merkle, model, original, proof, rejection, signature, spec,
};
