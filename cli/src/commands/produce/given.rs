//! The transactions that were given for a block: where each was, which are in the block, and why the others aren't.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use hubledger::digest::TransactionId;
use hubledger::engine::Engine;
use hubledger::model::{BODY_BYTES_MAX, Block, Transaction};
use hubledger::rejection::{Fault, Reason};
use hubledger::rules::Validator;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::input::name_of;
use crate::transactions;

/// The most that is read of all files together: as much as the largest block holds, in hexadecimal digits.
const FILES_BYTES_MAX: u64 = 2 * BODY_BYTES_MAX as u64;

const GAP: &str = "others of its sender have to come first, one for each nonce";
const NO_ROOM: &str = "no room behind those with higher fees; it can be in a later block";

/// A transaction that was given, and where it was.
pub(in crate::commands) struct Given {
    pub(in crate::commands) transaction: Transaction,
    file: String,
    /// How many are before it in its file.
    number: usize,
}

/// A transaction that isn't in the block, and why.
pub(in crate::commands) struct LeftOut<'a> {
    pub(super) given: &'a Given,
    pub(in crate::commands) fault: Fault,
    /// It breaks no rule, and may be in a later block.
    pub(super) can_wait: bool,
}

pub(in crate::commands) fn read_all(files: &[PathBuf]) -> Result<Vec<Given>> {
    let (mut all, mut left) = (Vec::new(), FILES_BYTES_MAX);
    for path in files {
        let found = transactions::read(path, left)?;
        let bytes: u64 = found.iter().map(|one| one.bytes().len() as u64).sum();
        left = left.saturating_sub(bytes);
        let given = found.into_iter().enumerate();
        all.extend(given.map(|(number, transaction)| Given {
            transaction,
            file: name_of(path),
            number,
        }));
    }
    Ok(all)
}

/// Adds to what the rules refused what was admitted and still isn't in the block: by the rules as they are now, or for lack
/// of room.
pub(super) fn all_left_out<'a>(
    engine: &Engine,
    given: &'a [Given],
    block: &Block,
    mut refused: Vec<LeftOut<'a>>,
) -> Result<Vec<LeftOut<'a>>> {
    let ids = block.transactions().iter().map(Transaction::id);
    let mut accounted: HashSet<TransactionId> = ids.collect();
    accounted.extend(refused.iter().map(|one| one.given.transaction.id()));
    let others = given
        .iter()
        .filter(|given| !accounted.contains(&given.transaction.id()));
    let validator = Validator::resume(engine.spec().clone(), engine.state())
        .map_err(|_| Failure::message("the state is another chain's"))?;
    for given in others {
        let verdict = validator.admit(&given.transaction, block.header().timestamp);
        let can_wait = verdict.is_ok();
        let fault = verdict.err();
        let fault = fault.unwrap_or_else(|| match validator.has_to_wait(&given.transaction) {
            true => Fault::new(Reason::Nonce, GAP),
            false => Fault::new(Reason::Limit, NO_ROOM),
        });
        refused.push(LeftOut {
            given,
            fault,
            can_wait,
        });
    }
    Ok(refused)
}

/// The transactions of the block, in its order, each with the place where it was first.
pub(super) fn included(given: &[Given], block: &Block) -> Value {
    let mut places = HashMap::new();
    for one in given.iter().rev() {
        places.insert(one.transaction.id(), one);
    }
    let transactions = block.transactions().iter();
    let found = transactions.filter_map(|one| places.get(&one.id()));
    found.map(|given| given.describe()).collect()
}

impl Given {
    fn describe(&self) -> Value {
        json!({ "id": self.transaction.id(), "file": self.file, "number": self.number })
    }
}

impl LeftOut<'_> {
    pub(super) fn describe(&self) -> Value {
        let mut value = self.given.describe();
        value["reason"] = self.fault.reason.word().into();
        value["detail"] = self.fault.detail.as_str().into();
        value
    }
}
