//! Chains whose last blocks may be replaced: the states that are kept of them, and what is done with these.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::testing as common;

mod compositions;
mod crashes;
mod engine;
mod fates;
mod offers;
#[path = "../retention/places.rs"]
#[allow(dead_code, reason = "made for more than is needed here")]
mod places;
mod seals;
mod states;
mod tree;
