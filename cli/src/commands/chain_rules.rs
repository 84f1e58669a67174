//! The rules of the chain that a transaction is for, as far as they are known: from a store, from a specification, or not
//! at all.

use hubledger::digest::ChainId;
use hubledger::ledger::ChainReader;
use hubledger::model::{Kind, Scheme, Transaction};
use hubledger::payload::Payload;
use hubledger::rejection::{Fault, Reason};
use hubledger::rules::{Validator, check_by_specification};
use hubledger::signature;
use hubledger::spec::ChainSpec;
use hubledger::state::InForce;

use super::read_spec;
use crate::args::Authoring;
use crate::failure::{Failure, Result};

/// See the [module](self).
pub(crate) enum ChainRules {
    /// All of them, with the state after the last block; and the store's name.
    Store(Box<Validator>, String),
    /// Those that need no state; and the file's name.
    Spec(ChainSpec, String),
    /// None; perhaps the chain's id.
    Unknown(Option<ChainId>),
}

impl ChainRules {
    /// Those that the options name. A store is closed again, so that whoever reads what comes of this can open it.
    pub(crate) fn of(args: &Authoring) -> Result<Self> {
        if let Some(url) = &args.store {
            let reader = ChainReader::open(url.open_read_only()?)?;
            let (spec, state) = (reader.spec().clone(), reader.state()?);
            let validator = Validator::resume(spec, state)
                .map_err(|_| Failure::message(format!("{url}: the state is another chain's")))?;
            return Ok(Self::Store(Box::new(validator), url.to_string()));
        }
        if let Some(path) = &args.spec {
            return Ok(Self::Spec(read_spec(path)?, path.display().to_string()));
        }
        Ok(Self::Unknown(args.chain))
    }

    pub(crate) fn spec(&self) -> Option<&ChainSpec> {
        match self {
            Self::Store(validator, _) => Some(validator.spec()),
            Self::Spec(spec, _) => Some(spec),
            Self::Unknown(_) => None,
        }
    }

    pub(crate) fn chain(&self) -> Option<ChainId> {
        match self {
            Self::Unknown(chain) => *chain,
            _ => self.spec().map(ChainSpec::id),
        }
    }

    /// By what a transaction was checked.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Store(_, name) | Self::Spec(_, name) => Some(name),
            Self::Unknown(_) => None,
        }
    }

    /// The smallest fee that the next block takes, as far as that is known; 0 if it isn't.
    pub(crate) fn fee_min(&self) -> u64 {
        match self {
            Self::Store(validator, _) => {
                let state = validator.state();
                let next = state.height().saturating_add(1);
                InForce::at(validator.spec(), Some(state), next)
                    .rules
                    .fee_min
            }
            Self::Spec(spec, _) => spec.rules.fee_min,
            Self::Unknown(_) => 0,
        }
    }

    /// The last nonce that a sender used, where that is known.
    pub(crate) fn last_nonce(&self, sender: &str) -> Option<u64> {
        match self {
            Self::Store(validator, _) => Some(validator.state().account(sender).nonce),
            _ => None,
        }
    }

    /// Checks a transaction by every rule that is known, its signatures last. One that others are still to sign may lack
    /// witnesses; what the rules ask of it after these is then not checked.
    pub(crate) fn check(&self, transaction: &Transaction, now_us: u64, is_partial: bool) -> Result {
        let verdict = match self {
            Self::Store(validator, _) => validator.admit(transaction, now_us),
            Self::Spec(spec, _) => check_by_specification(spec, transaction, now_us),
            Self::Unknown(_) => Ok(()),
        };
        match verdict {
            Err(fault) if is_partial && awaits_witnesses(&fault, transaction) => {}
            verdict => verdict.map_err(Failure::refused)?,
        }
        check_signatures(transaction).map_err(Failure::refused)
    }
}

/// Whether more witnesses may be all that is missing. For a name whose keys were revoked only recovery keys speak, and as long as there
/// are too few of them it counts as revoked.
fn awaits_witnesses(fault: &Fault, transaction: &Transaction) -> bool {
    match fault.reason {
        Reason::SignatureMissing | Reason::Identity | Reason::Threshold => true,
        Reason::Revoked => matches!(Payload::of(transaction, true), Some(Payload::Recover(_))),
        _ => false,
    }
}

/// That every native witness signed this transaction. Those that were just made did; others may be of another one.
fn check_signatures(transaction: &Transaction) -> std::result::Result<(), Fault> {
    if transaction.kind() != Kind::Native {
        return Ok(());
    }
    let message = transaction.signed_message();
    let native = transaction
        .witnesses()
        .filter(|witness| witness.scheme == Scheme::Native);
    for witness in native {
        signature::verify(&witness.key, &message, &witness.signature).map_err(|error| {
            Fault::new(Reason::Signature, format!("key {}: {error}", witness.key))
        })?;
    }
    Ok(())
}
