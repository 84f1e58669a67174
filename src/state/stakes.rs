//! The stakes of members from the first block on.

use super::RowChange;
use super::tables::{Bond, Pool, Pools, Shares, Table};
use crate::format::spec::{Authority, SpecFields};

/// The rows of those that a specification lists, if members have stakes: each has put up its weight itself.
pub(super) fn at_genesis(spec: &SpecFields) -> Vec<RowChange> {
    let composition = spec.consensus.composition();
    let members = composition.stake().map(|_| &composition.members);
    let members = members.into_iter().flatten();
    members.flat_map(of_member).collect()
}

fn of_member(member: &Authority) -> [RowChange; 2] {
    let pool = Pool {
        tokens: member.weight,
        shares: member.weight,
        bond: Some(Bond {
            key: member.key,
            releases: Vec::new(),
        }),
    };
    let name = &member.name;
    let row = |table, key: Vec<u8>, value: Vec<u8>| RowChange {
        table,
        key: key.into(),
        value: Some(value.into()),
    };
    [
        row(Pools::NUMBER, Pools::key(name, 0), Pools::encode(&pool)),
        row(
            Shares::NUMBER,
            Shares::key(name, name, 0),
            Shares::encode(&member.weight),
        ),
    ]
}
