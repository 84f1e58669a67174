//! Who vouches for whose keys.

use super::{Book, Effects, Place, fault, is_member, value};
use crate::format::payload::{Attest, Retract};
use crate::format::rejection::{Fault, Reason};
use crate::state::KEY_BYTES_MAX;
use crate::state::tables::{Attestation, Attestations};

/// A member vouches for keys of another name, from this transaction on.
pub(super) fn attest(
    attest: &Attest,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (name, height) = (place.sender(), place.height);
    if !is_member(name, place, book) {
        return fault(Reason::Member, format!("{name:?} is no member"));
    }
    let subject = &attest.subject;
    if subject == name {
        return fault(Reason::Attestation, "nobody vouches for itself");
    }
    let most = place.in_force.limits.name_bytes_max;
    if subject.len() > most as usize {
        let detail = format!(
            "{} bytes of name, at most {most} are allowed",
            subject.len()
        );
        return fault(Reason::Limit, detail);
    }
    if attest.expiry != 0 && attest.expiry <= height {
        let detail = format!("ended at height {}, this is {height}", attest.expiry);
        return fault(Reason::Attestation, detail);
    }
    let held = Attestation {
        keys: attest.keys,
        since: height,
        expiry: attest.expiry,
    };
    let key = Attestations::key(subject, name, &attest.purpose);
    // Two of the longest names that a chain can allow don't fit into one.
    if key.len() > KEY_BYTES_MAX {
        let detail = format!(
            "both names and the purpose take {} bytes, at most {KEY_BYTES_MAX} are allowed",
            key.len()
        );
        return fault(Reason::Limit, detail);
    }
    let mut effects = Effects::default();
    effects.put::<Attestations>(&key, &held);
    Ok(effects)
}

/// Takes it back. Whoever vouched may do so, member or not.
pub(super) fn retract(
    retract: &Retract,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (name, subject) = (place.sender(), &retract.subject);
    let key = Attestations::key(subject, name, &retract.purpose);
    if value::<Attestations>(book, &key).is_none() {
        let detail = format!("{name:?} doesn't vouch for {subject:?}");
        return fault(Reason::Attestation, detail);
    }
    let mut effects = Effects::default();
    effects.remove::<Attestations>(&key);
    Ok(effects)
}
