//! Names that register, exchange their keys, lose them, get others, and leave.

use super::speaker::{is_signed_by, lasting};
use super::{Book, Effects, Place, fault, is_member, registration_of, stake, value};
use crate::format::model::Operation;
use crate::format::payload::{KeySet, Recover, Register, Rotate};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::{Identity, Joining};
use crate::state::Speaker;
use crate::state::tables::{Attestations, Registration, Registrations, Standing, Tenure, Tenures};

/// The purpose for which a member attests to the keys of somebody who joins.
const MEMBERSHIP: &str = "membership";

/// Binds the sender to keys from this transaction on. A registered name may join the federation later, with the keys it has.
pub(super) fn register(
    register: &Register,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (name, height) = (place.sender(), place.height);
    let joins = place.transaction.operation() == Operation::FederationJoin;
    let stake = match place.in_force.rules.balances {
        true => register.stake,
        // Without balances nothing is put up, whatever somebody writes.
        false => 0,
    };
    let mut registration = match registration_of(name, book) {
        Some(held) if joins && !held.is_member && held.latest.keys == register.keys => held,
        Some(_) => {
            let detail = format!("{name:?} is registered already");
            return fault(Reason::Registration, detail);
        }
        None => {
            check_keys(&register.keys, place)?;
            Registration {
                standing: Standing::Active,
                is_member: false,
                since: height,
                stake: 0,
                recovery: register.recovery.clone(),
                tenures: 1,
                latest: Tenure {
                    from: height,
                    until: 0,
                    keys: register.keys.clone(),
                },
                before: None,
            }
        }
    };
    let all = registration.stake.checked_add(stake);
    let all = all.ok_or_else(|| Fault::new(Reason::Stake, "more than can be counted"))?;
    check_joining(register, all, place, book)?;
    registration.stake = all;
    registration.is_member = joins;
    let mut effects = Effects {
        put_up: stake,
        speaker: Some(lasting(place.spec, &registration, height)),
        ..Effects::default()
    };
    effects.put::<Registrations>(name.as_bytes(), &registration);
    Ok(effects)
}

/// That a name may have these keys: no more than a transaction can have witnesses, and where a name is a key, that one.
fn check_keys(keys: &KeySet, place: &Place<'_>) -> Result<(), Fault> {
    let (least, most) = (keys.threshold(), place.in_force.limits.witnesses_max);
    if least > most.into() {
        let detail = format!("{least} keys have to sign, at most {most} witnesses are allowed");
        return fault(Reason::Limit, detail);
    }
    let name = place.sender();
    if place.spec.rules.identity == Identity::Key
        && !matches!(keys.keys(), [key] if key.to_string() == name)
    {
        let detail = format!("{name:?} is a key, and no other speaks for it");
        return fault(Reason::Identity, detail);
    }
    Ok(())
}

/// That whoever joins has put up enough, or that a member attests to its keys, as the chain asks.
fn check_joining(
    register: &Register,
    stake: u64,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<(), Fault> {
    let by_stake = || {
        let least = place.in_force.stake_min;
        match stake < least {
            true => fault(
                Reason::Stake,
                format!("{stake} is put up, at least {least} is due"),
            ),
            false => Ok(()),
        }
    };
    match place.spec.terms.joining {
        Joining::Free => Ok(()),
        Joining::Stake => by_stake(),
        Joining::Attested => check_attested(register, place, book),
        Joining::StakeOrAttested => match register.attester {
            Some(_) => check_attested(register, place, book),
            None => by_stake(),
        },
    }
}

fn check_attested(register: &Register, place: &Place<'_>, book: &dyn Book) -> Result<(), Fault> {
    let (name, height) = (place.sender(), place.height);
    let Some(attester) = &register.attester else {
        let detail = format!("no member is named that attests to the keys of {name:?}");
        return fault(Reason::Attestation, detail);
    };
    let key = Attestations::key(name, attester, MEMBERSHIP);
    let Some(held) = value::<Attestations>(book, &key) else {
        let detail = format!("{attester:?} doesn't attest to any keys of {name:?}");
        return fault(Reason::Attestation, detail);
    };
    if held.keys != register.keys.digest() {
        let detail = format!("{attester:?} attests to other keys of {name:?}");
        return fault(Reason::Attestation, detail);
    }
    if held.expiry != 0 && height >= held.expiry {
        let detail = format!(
            "what {attester:?} attested to ended at height {}",
            held.expiry
        );
        return fault(Reason::Attestation, detail);
    }
    if !is_member(attester, place, book) {
        return fault(
            Reason::Member,
            format!("{attester:?} is no member any more"),
        );
    }
    Ok(())
}

/// Exchanges the sender's keys from a later height on; until the end of the time of grace the old ones speak too.
pub(super) fn rotate(
    rotate: &Rotate,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (name, height) = (place.sender(), place.height);
    let mut registration = held(name, book)?;
    let next = height.saturating_add(1);
    let from = match rotate.effective {
        0 => next,
        effective => effective,
    };
    let grace_max = place.spec.terms.grace_max;
    let detail = if place.spec.rules.identity == Identity::Key {
        format!("{name:?} is a key, which can't be exchanged")
    } else if from < next {
        format!("from height {from} on, which is not after {height}")
    } else if rotate.grace > grace_max {
        format!(
            "{} heights of grace, at most {grace_max} are allowed",
            rotate.grace
        )
    } else if registration.latest.from > height {
        let pending = registration.latest.from;
        format!("the keys of {name:?} are exchanged at height {pending} already")
    } else if registration.latest.keys == rotate.keys {
        format!("{name:?} has these keys already")
    } else {
        check_keys(&rotate.keys, place)?;
        if let Some(mut before) = registration.before.take() {
            // Two sets speak at a time and no more, so a time of grace that still runs is over.
            before.end_at(next);
            registration.before = Some(before);
        }
        let mut effects = Effects::default();
        put_before(&registration, name, &mut effects);
        registration
            .latest
            .end_at(from.saturating_add(rotate.grace.into()));
        replace_latest(&mut registration, rotate.keys.clone(), from)?;
        put_before(&registration, name, &mut effects);
        effects.put::<Registrations>(name.as_bytes(), &registration);
        effects.speaker = Some(Speaker::Registered);
        return Ok(effects);
    };
    fault(Reason::Rotation, detail)
}

/// Ends what the sender's keys can say, from the next transaction on.
pub(super) fn revoke(place: &Place<'_>, book: &dyn Book) -> Result<Effects, Fault> {
    let name = place.sender();
    let mut registration = held(name, book)?;
    if registration.standing != Standing::Active {
        let detail = format!("{name:?} is {} already", registration.standing.word());
        return fault(Reason::Revoked, detail);
    }
    registration.standing = Standing::Revoked;
    Ok(end_keys(registration, place))
}

/// Gives the sender other keys from the next height on, in the word of its recovery keys.
pub(super) fn recover(
    recover: &Recover,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let name = place.sender();
    let mut registration = held(name, book)?;
    let may = registration.recovery.as_ref();
    if !may.is_some_and(|keys| is_signed_by(keys, place.transaction)) {
        let detail = format!("not signed by the recovery keys of {name:?}");
        return fault(Reason::Identity, detail);
    }
    check_keys(&recover.keys, place)?;
    registration.standing = Standing::Active;
    if let Some(recovery) = &recover.recovery {
        registration.recovery = Some(recovery.clone());
    }
    let next = place.height.saturating_add(1);
    let mut effects = Effects::default();
    end_tenures(&mut registration, next);
    put_before(&registration, name, &mut effects);
    replace_latest(&mut registration, recover.keys.clone(), next)?;
    put_before(&registration, name, &mut effects);
    effects.put::<Registrations>(name.as_bytes(), &registration);
    effects.speaker = Some(Speaker::Registered);
    Ok(effects)
}

/// Ends the sender's identity for ever, and gives back what it has put up.
pub(super) fn leave(place: &Place<'_>, book: &dyn Book) -> Result<Effects, Fault> {
    let name = place.sender();
    let mut registration = held(name, book)?;
    if stake::has_own(name, book) {
        // Nobody could take it back any more.
        let detail = format!("{name:?} has a stake, which has to be taken back before");
        return fault(Reason::Stake, detail);
    }
    let stake = std::mem::take(&mut registration.stake);
    registration.standing = Standing::Left;
    registration.is_member = false;
    Ok(Effects {
        given_back: stake,
        ..end_keys(registration, place)
    })
}

fn held(name: &str, book: &dyn Book) -> Result<Registration, Fault> {
    let held = registration_of(name, book);
    held.ok_or_else(|| Fault::new(Reason::Registration, format!("{name:?} is not registered")))
}

/// Lets no key of a name speak after this height.
fn end_keys(mut registration: Registration, place: &Place<'_>) -> Effects {
    let name = place.sender();
    let mut effects = Effects {
        speaker: Some(Speaker::Registered),
        ..Effects::default()
    };
    end_tenures(&mut registration, place.height.saturating_add(1));
    put_before(&registration, name, &mut effects);
    effects.put::<Registrations>(name.as_bytes(), &registration);
    effects
}

fn end_tenures(registration: &mut Registration, height: u64) {
    registration.latest.end_at(height);
    if let Some(before) = &mut registration.before {
        before.end_at(height);
    }
}

/// Makes keys the latest, of which those that were it are before.
fn replace_latest(registration: &mut Registration, keys: KeySet, from: u64) -> Result<(), Fault> {
    let latest = Tenure {
        from,
        until: 0,
        keys,
    };
    registration.before = Some(std::mem::replace(&mut registration.latest, latest));
    let tenures = registration.tenures.checked_add(1);
    registration.tenures = tenures.ok_or_else(|| {
        Fault::new(
            Reason::Rotation,
            "keys were exchanged as often as can be counted",
        )
    })?;
    Ok(())
}

/// The row of the tenure before the latest, as the registration has it. The latest has none: most names never have another, and each row is one more
/// in the tree.
fn put_before(registration: &Registration, name: &str, effects: &mut Effects) {
    if let (Some(before), Some(number)) =
        (&registration.before, registration.tenures.checked_sub(2))
    {
        effects.put::<Tenures>(&Tenures::key(name, number), before);
    }
}
