//! The argument checks of tables.

use crate::{
    Error, Position, Result, TABLE_COMMIT_BYTES_MAX, TABLE_KEY_BYTES_MAX, TABLE_SET_NAME_BYTES_MAX,
    TABLE_VALUE_BYTES_MAX, TableCommit,
};

const COMMIT: &str = "commit to tables";

/// Checks a commit to a set with a position and an undo floor. Gives the bytes of its keys and values.
pub(super) fn table_commit(
    set: &str,
    position: Option<Position>,
    undo_floor: u64,
    commit: &TableCommit,
) -> Result<usize> {
    let refuse = |reason: String| Err(Error::argument(COMMIT, reason));
    let is_named = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/' | b'.');
    if !(1..=TABLE_SET_NAME_BYTES_MAX).contains(&set.len()) || !set.bytes().all(is_named) {
        return refuse(format!("{set:?} is no name of a table set"));
    }
    if let Some(made) = commit.position {
        if position.is_some_and(|before| made.height <= before.height) {
            return refuse(format!("the position {} isn't above the one before", made.height));
        }
        if commit.undo_floor > made.height {
            return refuse(format!("the undo floor {} is above the position", commit.undo_floor));
        }
    }
    if commit.undo_floor < undo_floor {
        return refuse(format!("the undo floor {} is below {undo_floor}", commit.undo_floor));
    }
    let mut bytes = 0_usize;
    let mut before: Option<(u8, &[u8])> = None;
    for change in &commit.changes {
        let key = (change.table, &change.key[..]);
        let value_bytes = change.value.as_ref().map_or(0, bytes::Bytes::len);
        if change.key.len() > TABLE_KEY_BYTES_MAX || value_bytes > TABLE_VALUE_BYTES_MAX {
            return refuse(format!("a key or a value of table {} is too long", change.table));
        }
        if before.is_some_and(|before| before >= key) {
            return refuse(format!("the changes of table {} don't ascend", change.table));
        }
        bytes = bytes.saturating_add(change.key.len() + value_bytes);
        before = Some(key);
    }
    if bytes > TABLE_COMMIT_BYTES_MAX {
        return refuse(format!("{bytes} bytes are over the limit of {TABLE_COMMIT_BYTES_MAX}"));
    }
    Ok(bytes)
}

/// Checks the height that a set with an undo floor is to go back to.
pub(super) fn table_undo(undo_floor: u64, height: u64) -> Result<()> {
    if height < undo_floor {
        let reason = format!("the height {height} is below the undo floor {undo_floor}");
        return Err(Error::argument("undo", reason));
    }
    Ok(())
}
