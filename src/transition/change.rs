//! How a parameter's values follow each other in the state: each row names the one before, and one row the last.

use super::draft::Draft;
use super::{Book, value};
use crate::format::payload::ParameterValue;
use crate::format::spec::Parameter;
use crate::state::tables::{Change, ParameterRow, Parameters};

/// The first height of a parameter's last value; `None` if that is the specification's.
pub(super) fn last(parameter: Parameter, book: &dyn Book) -> Option<u64> {
    match value::<Parameters>(book, &Parameters::last_key(parameter))? {
        ParameterRow::Last(from) => Some(from),
        ParameterRow::Change(..) => None,
    }
}

/// The value of a parameter from one of its heights on.
pub(super) fn held(parameter: Parameter, from: u64, book: &dyn Book) -> Option<Change> {
    match value::<Parameters>(book, &Parameters::key(parameter, from))? {
        ParameterRow::Change(_, change) => Some(change),
        ParameterRow::Last(_) => None,
    }
}

/// Makes a value the last, from a height on that is not below the first of the one before. Of one from that very height it takes the
/// place.
pub(super) fn put(parameter: Parameter, from: u64, new: ParameterValue, draft: &mut Draft<'_>) {
    let last = last(parameter, draft);
    let held = last.and_then(|last| Some((last, held(parameter, last, draft)?)));
    let before = match held {
        Some((last, change)) if last == from => change.before,
        Some((last, mut change)) => {
            change.until = from;
            let row = ParameterRow::Change(parameter, change);
            draft.put::<Parameters>(&Parameters::key(parameter, last), &row);
            last
        }
        None => 0,
    };
    let change = Change {
        until: 0,
        before,
        value: new,
    };
    let row = ParameterRow::Change(parameter, change);
    draft.put::<Parameters>(&Parameters::key(parameter, from), &row);
    if last != Some(from) {
        draft.put::<Parameters>(&Parameters::last_key(parameter), &ParameterRow::Last(from));
    }
}
