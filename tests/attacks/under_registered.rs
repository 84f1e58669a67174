//! The attacks on chains of version 2 whose names are registered: all that are not about whose keys come first.

use hubledger::format::FormatVersion;
use hubledger::spec::{Identity, SpecFields};

use crate::common::{Chain, account, hub};

#[path = "blocks.rs"]
mod blocks;
#[path = "contents.rs"]
mod contents;
#[path = "headers.rs"]
mod headers;
#[path = "money.rs"]
mod money;
#[path = "replays.rs"]
mod replays;
#[path = "seals.rs"]
mod seals;
#[path = "times.rs"]
mod times;

/// Whoever has a part in an attack, with a key from genesis on: nobody else can send.
const NAMES: [&str; 16] = [
    "alice", "bob", "carol", "mallory", "honest", "stranger", "anybody", "owner", "a", "b", "c",
    "ab", "bc", "n", "t", "nonce",
];

/// A chain that is attacked here.
fn in_version(authorities: usize, change: impl FnOnce(&mut SpecFields)) -> Chain {
    Chain::in_version(FormatVersion::V2, authorities, |fields| {
        change(fields);
        if fields.rules.identity == Identity::Pinned {
            fields.rules.identity = Identity::Registered;
            let listed = NAMES.map(|name| account(name, 0));
            for (name, account) in listed {
                fields.accounts.entry(name).or_insert(account);
            }
        }
        for number in 0..authorities {
            fields.accounts.remove(&hub(number));
        }
    })
}
