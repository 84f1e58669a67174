//! What a fault takes of a stake.

use super::{BONDED, list, pool_of};
use crate::state::tables::Pools;
use crate::transition::Place;
use crate::transition::draft::Draft;

/// Takes a part of all that counted behind a name at the height of its fault: of the pool that counts, and of each that was taken
/// back with a boundary after that height. The name weighs less from the next change of members on. What was taken goes where
/// the rules put it ([`Effects::forfeited`](crate::transition::Effects)); how much that was.
///
/// It doesn't ask whether there was a fault, whether it was punished before, nor how long ago it was: whoever calls it does.
/// O(pools that wait + members).
pub(crate) fn slash(
    name: &str,
    basis_points: u16,
    fault_height: u64,
    place: &Place<'_>,
    draft: &mut Draft<'_>,
) -> u64 {
    let Some(mut bonded) = pool_of(name, BONDED, draft) else {
        return 0;
    };
    let mut taken = bonded.cut(basis_points);
    let releases = bonded.bond.iter().flat_map(|bond| &bond.releases);
    for boundary in releases.filter(|boundary| **boundary > fault_height) {
        if let Some(mut pool) = pool_of(name, *boundary, draft) {
            taken = taken.saturating_add(pool.cut(basis_points));
            draft.put::<Pools>(&Pools::key(name, *boundary), &pool);
        }
    }
    draft.put::<Pools>(&Pools::key(name, BONDED), &bonded);
    list::lower(name, &bonded, place, draft);
    draft.effects.forfeited = draft.effects.forfeited.saturating_add(taken);
    taken
}
