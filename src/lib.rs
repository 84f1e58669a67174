//! Chains of signed transactions: validated at the speed of the hardware, kept durably, found by index, pruned, and proved to people
//! who trust nobody.
//!
//! A federation of hubs records joins, messages, votes and transfers as signed transactions in blocks. This library decides
//! whether they are valid, and lives in a hub server's process. It has no async runtime, no network and no server of its own.
//!
//! # Three ways to use it
//!
//! **A hub server** embeds an [`Engine`](engine::Engine): blocks and transactions go in, on threads of the engine's own they are
//! decoded, hashed, checked and committed, and everything that was committed can be found, proved and followed.
//!
//! ```
//! use hubledger::engine::{Engine, Outcome, WhenFull};
//! use hubledger::generate::{Generator, Recipe};
//! use hubledger_storage::StoreUrl;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Somebody's chain, of which we have the specification and get the blocks.
//! let mut somebody = Generator::new(Recipe { transactions: 200, per_block: 50, ..Recipe::default() })?;
//! let store = "memory:".parse::<StoreUrl>()?.open_or_create()?; // or log:DIR, sqlite:FILE, rocksdb:DIR
//! let engine = Engine::builder().threads(2).create(store, somebody.spec())?;
//!
//! let blocks = std::iter::from_fn(|| somebody.next_block().ok()?).map(|block| block.encode().into());
//! for outcome in engine.import(blocks) {
//!     match outcome? {
//!         Outcome::Committed(block) => println!("{} {}", block.height, block.hash),
//!         Outcome::Held { height } => println!("{height} was here already"),
//!         Outcome::Rejected(rejected) => println!("refused: {rejected}"),
//!     }
//! }
//!
//! let id = engine.block(3)?.expect("committed above").transactions()[7].id();
//! let head = engine.head()?.hash();
//! let proof = engine.prove(&id, Some(&head))?;
//! assert_eq!(proof.verify(&head)?.height, 3); // anybody can do this, with the head's hash alone
//!
//! // Once in the chain, a transaction can't come again.
//! let again = engine.block(3)?.expect("committed above").transactions()[7].clone();
//! assert!(engine.submit(again, WhenFull::Wait)?.wait()?.is_err());
//! engine.shutdown()?;
//! # Ok(())
//! # }
//! ```
//!
//! **A tool, a test, or a hub with little to do** uses a [`Ledger`](ledger::Ledger): the same chain in the same store, block by block
//! in the caller's thread.
//!
//! ```
//! use std::sync::Arc;
//! use hubledger::clock::SystemClock;
//! use hubledger::generate::{Generator, Recipe};
//! use hubledger::ledger::{Ledger, Staging};
//! use hubledger_storage::StoreUrl;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut somebody = Generator::new(Recipe { transactions: 4, per_block: 2, ..Recipe::default() })?;
//! # let store = "memory:".parse::<StoreUrl>()?.create()?;
//! let mut ledger = Ledger::create(store, somebody.spec(), Arc::new(SystemClock))?;
//! while let Some(block) = somebody.next_block()? {
//!     assert_eq!(ledger.submit(&block)?, Staging::Staged);
//! }
//! assert_eq!(ledger.reader().head()?.height, 2);
//! ledger.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! **A client that trusts nobody** has the specification, and headers, seals and proofs from whoever answers. It checks them with
//! [`rules::headers`] and [`proof`], and opens no store.
//!
//! ```
//! use hubledger::rules::headers::{self, Parent};
//! use hubledger::signature::Verifier;
//!
//! # use hubledger::generate::{Generator, Recipe};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut somebody = Generator::new(Recipe { transactions: 4, per_block: 2, ..Recipe::default() })?;
//! # let spec = somebody.spec().clone();
//! # let block = somebody.next_block()?.expect("two blocks");
//! # let (header, seal, now_us) = (block.header(), block.seal(), spec.genesis_time + 5_000_000);
//! let verifier = Verifier::default();
//! let genesis = spec.genesis(); // it follows from the specification
//! let parent = Parent::of_header(genesis.header(), None);
//! let checked = headers::check(&spec, &parent, header, Some(now_us))
//!     .and_then(|()| headers::check_seal(&spec, header, seal, &verifier));
//! assert!(checked.is_ok());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` has a program for each of them (`embed.rs`, `ledger.rs`, `light_client.rs`), one for a service beside a chain
//! (`search.rs`), and one for keys and parameters that change (`key_rotation/`). For operators there is the program `hubledger`, in the package `hubledger-cli`.
//!
//! # What it guarantees
//!
//! - **One verdict.** Whatever the threads, the timing, the processor and the way a block came in, the verdict is that of the
//!   sequential [`Validator`](rules::Validator): the first rule broken, by one fixed word ([`rejection::Reason`]). What is wrong with
//!   somebody's block is data ([`Rejected`](rejection::Rejected)); errors are about this process and its store.
//! - **One encoding.** A value has one byte string; hashes are over the bytes as received. Decoders are total: no input makes them
//!   panic, or allocate more than a small multiple of its length.
//! - **Nothing acknowledged is lost.** A commit is atomic, and lasts through what its durability says (a crash of the process or of the
//!   machine). A store that was killed at any moment opens again with whole commits, and its state is rebuilt exactly.
//! - **No wrong answer.** Every byte read from a store is checked against a checksum; an answer about a block or a key is right, or an
//!   error that names file and place. Pruned is never answered as absent.
//! - **Bounded.** Memory is granted before anything is taken in; every queue, cache and decoded length has a limit.
//! - **Provable.** Inclusion of a transaction, and that one head extends another, are proved by RFC 9162 Merkle trees to whoever trusts
//!   a head hash alone, also for what was pruned here, as long as its leaf hashes are kept.
//!
//! # The map
//!
//! Each room uses only those above it in this table, and not all of them; `ARCHITECTURE.md` has the arrows, a glossary and the
//! invariants, and a test checks the arrows.
//!
//! | room | what it is |
//! |---|---|
//! | [`clock`] | time, injected: a clock for timestamps, a timer for waiting, and how far a clock is believed |
//! | [`format`](mod@format) | bytes and values: what a chain is made of and how that is written down. Its modules are named here too |
//! | [`state`] | what the blocks so far say about the next one, as a value |
//! | [`consensus`] | who may make which block, and what it is worth |
//! | [`rules`] | what makes a block valid: pure functions, and the sequential validator |
//! | [`tree`] | which of two chains is better, and what is final |
//! | [`pool`] | transactions that are in no block yet |
//! | [`line`](mod@line) | jobs that need nothing of each other, on several threads, in order |
//! | [`generate`] | chains made up from a seed |
//! | [`ledger`] | one chain in one store: committing, reading, proving, pruning, copying, archives |
//! | [`engine`] | what a hub embeds: all of it, on threads of its own |
//! | `testing` | chains for tests, with the feature of that name |
//!
//! Beside it: `hubledger-signatures` verifies Ed25519 signatures in batches by one rule (here as [`signature`]), `hubledger-storage` has the
//! stores (`log:`, `sqlite:`, `rocksdb:`, `memory:`) and their contract, and `hubledger-mpreg` reads, checks and converts the
//! chains of MPREG.
//!
//! # Where to begin reading
//!
//! With the formats: [`model`] (transactions, headers, blocks) and [`spec`] (what a chain allows). Then [`rules`], whose
//! [`Validator`](rules::Validator) is short and says everything about verdicts; then [`ledger`], and last [`engine`], whose module documentation
//! is the path of a block through its threads.
//!
//! # Features
//!
//! `log` and `sqlite` (backends) are on by default; `rocksdb` needs a C++ compiler and libclang. `testing` has chains for tests.

pub mod clock;
pub mod consensus;
pub mod engine;
pub mod format;
pub mod generate;
pub mod ledger;
pub mod line;
pub mod pool;
pub mod rules;
pub mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod transition;
pub mod tree;

pub use self::format::{
    blockfile, codec, digest, evidence, merkle, model, original, payload, proof, rejection,
    signature, sparse, spec, vote,
};
