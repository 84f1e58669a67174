//! The argument checks of tables that all backends share, so that all refuse the same and before they write anything.

use crate::{
    Error, Position, Result, TABLE_COMMIT_BYTES_MAX, TABLE_KEY_BYTES_MAX, TABLE_SET_NAME_BYTES_MAX,
    TABLE_SETS_MAX, TABLE_VALUE_BYTES_MAX, TableChange, TableCommit,
};

/// How far a set has come: what the next commit is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The last that a commit gave; `None` before the first such commit, and when all were undone.
    pub(crate) position: Option<Position>,
    /// As of the last commit.
    pub(crate) undo_floor: u64,
    /// Whether the last commit had no position.
    pub(crate) is_loading: bool,
}

impl Progress {
    /// The position that readers are told.
    pub(crate) fn shown(&self) -> Option<Position> {
        self.position.filter(|_| !self.is_loading)
    }

    /// Where a commit leads, if its arguments are right. O(changes).
    pub(crate) fn after(self, commit: &TableCommit) -> Result<Self> {
        let refuse = |reason: String| Err(Error::argument("commit", reason));
        let floor = commit.undo_floor;
        if floor < self.undo_floor {
            let before = self.undo_floor;
            return refuse(format!(
                "the undo floor {floor} is below the one before, {before}"
            ));
        }
        if let Some(Position { height, .. }) = commit.position {
            if let Some(before) = self.position
                && height <= before.height
            {
                let before = before.height;
                return refuse(format!(
                    "the position {height} is not above the one before, {before}"
                ));
            }
            if floor > height {
                return refuse(format!(
                    "the undo floor {floor} is above the position, {height}"
                ));
            }
            // Nothing is kept to undo a load: with a lower floor, undoing would be promised and could not be done.
            if self.is_loading && floor < height {
                let reason =
                    format!("a load to {height} can't be undone to {floor}, the undo floor");
                return refuse(reason);
            }
        }
        changes(&commit.changes)?;
        Ok(Self {
            position: commit.position.or(self.position),
            undo_floor: floor,
            is_loading: commit.position.is_none(),
        })
    }

    /// Whether a commit has to be one that can be undone.
    pub(crate) fn keeps(&self) -> bool {
        self.shown()
            .is_some_and(|position| position.height > self.undo_floor)
    }

    /// Checks that a set can go back to a height.
    pub(crate) fn check_undo(&self, height: u64) -> Result<()> {
        let refuse = |reason| Err(Error::argument("undo", reason));
        if self.is_loading {
            return refuse("the set is being loaded, which can't be undone".to_owned());
        }
        if height < self.undo_floor {
            let floor = self.undo_floor;
            return refuse(format!("{height} is below the undo floor, {floor}"));
        }
        Ok(())
    }
}

/// Checks the name of a set that is to begin, beside so many others.
pub(crate) fn new_set(name: &str, others: usize) -> Result<()> {
    let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/' | b'.');
    if !(1..=TABLE_SET_NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_allowed) {
        let reason = format!(
            "{name:?} is no name of a table set: 1 to {TABLE_SET_NAME_BYTES_MAX} of a-z, 0-9, -, _, / and ."
        );
        return Err(Error::argument("commit", reason));
    }
    if others >= TABLE_SETS_MAX {
        let reason =
            format!("the store has {others} table sets, and {TABLE_SETS_MAX} is the limit");
        return Err(Error::argument("commit", reason));
    }
    Ok(())
}

fn changes(changes: &[TableChange]) -> Result<()> {
    let (mut before, mut sum) = (None, 0_usize);
    for (number, change) in changes.iter().enumerate() {
        let value_bytes = change.value.as_ref().map_or(0, |value| value.len());
        let bounds = [
            ("key", change.key.len(), TABLE_KEY_BYTES_MAX),
            ("value", value_bytes, TABLE_VALUE_BYTES_MAX),
        ];
        for (what, len, max) in bounds {
            if len > max {
                let reason = format!(
                    "the {what} of change {number} has {len} bytes, over the limit of {max}"
                );
                return Err(Error::argument("commit", reason));
            }
        }
        let place = (change.table, &change.key);
        if before.is_some_and(|before| before >= place) {
            let reason = format!("change {number} is not after the one before, by table and key");
            return Err(Error::argument("commit", reason));
        }
        before = Some(place);
        sum = sum.saturating_add(change.key.len() + value_bytes);
    }
    if sum > TABLE_COMMIT_BYTES_MAX {
        let reason =
            format!("its changes have {sum} bytes, over the limit of {TABLE_COMMIT_BYTES_MAX}");
        return Err(Error::argument("commit", reason));
    }
    Ok(())
}
