//! Faults that anybody proves, and what they cost. Every signature of the evidence is claimed beside those of the transaction's
//! witnesses, so that the block stands only if all of them verify; here it is taken for granted that they do.

use super::draft::Draft;
use super::stake::slash;
use super::{Book, Effects, Place, fault, value};
use crate::consensus;
use crate::format::payload::Convict;
use crate::format::rejection::{Fault, Reason};
use crate::state::tables::{Conviction, Convictions};

/// A member is punished for a fault, once for each kind of fault at a height and round: further statements of that round are no further
/// fault. Where members have no stakes, that it was convicted is all.
pub(super) fn convict(
    convict: &Convict,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let evidence = &convict.evidence;
    let (spec, parent, height) = (place.spec, place.parent, place.height);
    let (member, basis_points) = consensus::check_evidence(spec, parent, height, evidence)?;
    let (name, at) = (&member.name, evidence.height());
    let key = Convictions::key(name, evidence.tag(), at, evidence.round());
    if let Some(earlier) = value::<Convictions>(book, &key) {
        let detail = format!("{name:?} was convicted of that at height {}", earlier.since);
        return fault(Reason::Evidence, detail);
    }
    let mut effects = Effects::default();
    let mut draft = Draft::new(book, &mut effects);
    let conviction = Conviction {
        since: height,
        basis_points,
        by: place.transaction.id(),
    };
    draft.put::<Convictions>(&key, &conviction);
    slash(name, basis_points, at, place, &mut draft);
    Ok(effects)
}
