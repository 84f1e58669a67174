//! The tables of the state (`FORMAT.md`, "State"): each a number, what its keys are, and a type for its values. Accounts are in
//! `src/state/rows.rs`, since every transaction changes one; all others are here, a file each, and a line in `tables!`.
//!
//! A table is bytes to the tree that is hashed over all of them. Rows that come from outside (a snapshot of another hub) are
//! checked by it before anything is made of them.

mod attendance;
mod attestation;
mod checkpoint;
mod commitment;
mod conviction;
mod parameter;
mod pool;
mod proposal;
mod proposer;
mod registration;
mod seed;
mod share;
mod tenure;
mod turn;
mod work;

pub use self::attendance::{AttendanceRow, AttendanceRows, Signers};
pub use self::attestation::{Attestation, Attestations};
pub use self::checkpoint::{CheckpointRow, CheckpointRows};
pub use self::commitment::{Commitment, Commitments};
pub use self::conviction::{Conviction, Convictions};
pub use self::parameter::{Change, ParameterRow, Parameters};
pub use self::pool::{Bond, Pool, Pools, RELEASES_MAX};
pub use self::proposal::{APPROVALS_MAX, Proposal, Proposals};
pub use self::proposer::{ProposerRow, ProposerRows};
pub use self::registration::{Registration, Registrations, Standing};
pub use self::seed::{SeedRow, SeedRows};
pub use self::share::Shares;
pub use self::tenure::{Tenure, Tenures};
pub use self::turn::{TurnRows, Turns};
pub use self::work::{WorkRow, WorkRows};

use super::rows::{TABLE_ACCOUNTS, check_account};
use crate::format::codec::{DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};

/// A table whose rows transitions of the state read and write.
pub trait Table {
    /// The number by which rows are hashed. Never that of another table, and never used again.
    const NUMBER: u8;

    /// What a row holds.
    type Value;

    /// Checks a key that comes from outside.
    ///
    /// # Errors
    /// Anything but a key of this table.
    fn check_key(key: &[u8]) -> Result<(), DecodeProblem>;

    /// The canonical bytes of a value.
    fn encode(value: &Self::Value) -> Vec<u8>;

    /// Reads exactly one value.
    ///
    /// # Errors
    /// Anything but canonical bytes.
    fn decode(bytes: &[u8]) -> Result<Self::Value, DecodeError>;
}

macro_rules! tables {
    ($($table:ty,)+) => {
        /// Checks a row that comes from outside: that its table is known, and its key and value are of that table.
        pub(crate) fn check(table: u8, key: &[u8], value: &[u8]) -> Result<(), DecodeProblem> {
            match table {
                TABLE_ACCOUNTS => check_account(key, value),
                $(<$table>::NUMBER => {
                    <$table>::check_key(key)?;
                    <$table>::decode(value).map(|_| ()).map_err(|error| error.problem)
                })+
                _ => Err(DecodeProblem::Tag(table)),
            }
        }
    };
}

tables! {
    Registrations,
    Tenures,
    Attestations,
    Parameters,
    Proposals,
    TurnRows,
    WorkRows,
    CheckpointRows,
    SeedRows,
    Pools,
    Shares,
    Convictions,
    Commitments,
    ProposerRows,
    AttendanceRows,
}

/// That a key is a name.
pub(super) fn check_name(key: &[u8]) -> Result<(), DecodeProblem> {
    let name = std::str::from_utf8(key).map_err(|_| DecodeProblem::Utf8)?;
    match name.is_empty() || name.len() > NAME_BYTES_MAX {
        true => Err(DecodeProblem::Value("not a name")),
        false => Ok(()),
    }
}

/// Reads what is exactly one value, by a function that reads it from the front.
fn whole<T>(
    bytes: &[u8],
    field: &'static str,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader)?;
    reader.finish(field)?;
    Ok(value)
}

#[cfg(test)]
mod tests;
