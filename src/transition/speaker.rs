//! Whether witnesses speak for a registered name.

use crate::format::model::Transaction;
use crate::format::payload::{KeySet, Payload};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::ChainSpec;
use crate::state::Speaker;
use crate::state::tables::{Registration, Standing, Tenure};

/// How many of a transaction's witnesses are by keys of a set; `None` if one is by another key, since a foreign signature says
/// nothing about the set. Witnesses are in strictly ascending order, so none counts twice.
fn signers(keys: &KeySet, transaction: &Transaction) -> Option<usize> {
    let mut witnesses = transaction.witnesses();
    let own = witnesses.all(|witness| keys.contains(&witness.key));
    own.then(|| transaction.witnesses().len())
}

/// Whether enough keys of a set have signed, and no others.
pub(crate) fn is_signed_by(keys: &KeySet, transaction: &Transaction) -> bool {
    signers(keys, transaction).is_some_and(|count| count >= keys.threshold())
}

/// The height from which on the keys of a tenure are too old; `u64::MAX` for never.
fn too_old_at(spec: &ChainSpec, tenure: &Tenure) -> u64 {
    match spec.terms.key_age_max {
        0 => u64::MAX,
        heights => tenure.from.saturating_add(heights),
    }
}

/// Checks that the witnesses speak for a registered name at `height`: enough of the keys of one tenure that holds, not too old, and
/// no others. Of what is said about the name's own keys, the recovery keys may speak as well.
///
/// # Errors
/// `revoked`, `threshold`, `key_age`, `identity`.
pub(crate) fn check(
    spec: &ChainSpec,
    registration: &Registration,
    height: u64,
    transaction: &Transaction,
    payload: Option<&Payload>,
) -> Result<(), Fault> {
    let name = transaction.sender();
    let fault = |reason, detail| Err(Fault::new(reason, detail));
    let recovers = matches!(payload, Some(Payload::Revoke(_) | Payload::Recover(_)));
    let recovery = registration.recovery.as_ref().filter(|_| recovers);
    if registration.standing != Standing::Left
        && recovery.is_some_and(|keys| is_signed_by(keys, transaction))
    {
        return Ok(());
    }
    if registration.standing != Standing::Active {
        let detail = format!("{name:?} is {}", registration.standing.word());
        return fault(Reason::Revoked, detail);
    }
    let sets = registration.speaking(height);
    let mut nearest = None;
    for tenure in sets {
        let Some(count) = signers(&tenure.keys, transaction) else {
            continue;
        };
        let (end, least) = (too_old_at(spec, tenure), tenure.keys.threshold());
        if count < least {
            let detail = format!("{count} of the keys of {name:?} have signed, {least} have to");
            nearest = Some((Reason::Threshold, detail));
        } else if height >= end {
            let detail = format!("the keys of {name:?} were to be exchanged before height {end}");
            nearest = Some((Reason::KeyAge, detail));
        } else {
            return Ok(());
        }
    }
    match nearest {
        Some((reason, detail)) => fault(reason, detail),
        None => {
            let detail = format!("signed by other keys than those that speak for {name:?}");
            fault(Reason::Identity, detail)
        }
    }
}

/// What an account says of a registered name so that its row needn't be read until something changes: the keys of its latest
/// tenure, if no others speak at `height` or later, and all of them have to sign.
pub(crate) fn lasting(spec: &ChainSpec, registration: &Registration, height: u64) -> Speaker {
    let latest = &registration.latest;
    let is_alone = registration.before.as_ref().is_none_or(|before| {
        // What has ended never speaks again.
        before.until != 0 && before.until <= height
    });
    let lasts = registration.standing == Standing::Active
        && is_alone
        && latest.from <= height
        && latest.until == 0
        && latest.keys.needs_all();
    match lasts {
        true => Speaker::RegisteredKeys(latest.keys.keys_digest(), too_old_at(spec, latest)),
        false => Speaker::Registered,
    }
}
