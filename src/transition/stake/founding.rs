//! The stakes of the members that a specification lists.

use super::{BONDED, new_bond, pool_of, put_bonded, put_shares};
use crate::format::spec::{ChainSpec, Parameter};
use crate::state::RowChange;
use crate::state::tables::{ParameterRow, Parameters};
use crate::transition::draft::Draft;
use crate::transition::{Book, Effects, change};

/// What the first block under a specification with a predecessor changes: each listed member has a stake of its weight, unless
/// something is behind it from before, which stays as it is, with the key that is listed now. Changes of members that were still to come are none any more.
pub(crate) fn found(spec: &ChainSpec, book: &dyn Book) -> Vec<RowChange> {
    let mut effects = Effects::default();
    if spec.composition().stake().is_none() {
        return effects.rows;
    }
    let mut draft = Draft::new(book, &mut effects);
    forget_pending(spec.first_height(), &mut draft);
    for member in &spec.composition().members {
        let name = &member.name;
        let mut pool = pool_of(name, BONDED, &draft).unwrap_or_else(|| new_bond(member.key));
        if let Some(bond) = &mut pool.bond {
            bond.key = member.key;
        }
        if pool.shares == 0 {
            pool.tokens = member.weight;
            pool.shares = member.weight;
            put_shares(name, name, BONDED, member.weight, &mut draft);
        }
        put_bonded(name, &pool, &mut draft);
    }
    effects.rows
}

/// At most two boundaries are ahead of a block.
fn forget_pending(first: u64, draft: &mut Draft<'_>) {
    let members = Parameter::Members;
    while let Some(last) = change::last(members, draft).filter(|last| *last >= first) {
        let Some(change) = change::held(members, last, draft) else {
            return;
        };
        draft.remove::<Parameters>(&Parameters::key(members, last));
        let last_key = Parameters::last_key(members);
        if change.before == 0 || change.before >= last {
            draft.remove::<Parameters>(&last_key);
            return;
        }
        draft.put::<Parameters>(&last_key, &ParameterRow::Last(change.before));
        if let Some(mut before) = change::held(members, change.before, draft) {
            before.until = first;
            let row = ParameterRow::Change(members, before);
            draft.put::<Parameters>(&Parameters::key(members, change.before), &row);
        }
    }
}
