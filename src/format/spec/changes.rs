//! In what one specification differs from another, in words for people.

use std::collections::BTreeMap;

use super::SpecFields;
use crate::format::signature::PublicKey;

/// Of these each chain has its own: where it began, and what it goes on from.
const OWN: [&str; 3] = ["accounts", "import", "predecessor"];
/// Authorities are named one by one in a sentence, up to so many.
const NAMED_MAX: usize = 8;

/// A field in which two specifications differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path in TOML.
    pub field: &'static str,
    /// What the first one says, if it has the field.
    pub before: Option<String>,
    /// What the second one says, if it has the field.
    pub after: Option<String>,
}

impl SpecFields {
    /// What is different under the rules of `next`, in the order of the fields. That `next` begins or goes on from elsewhere is no
    /// difference. O(accounts).
    #[must_use]
    pub fn changes_to(&self, next: &Self) -> Vec<Change> {
        let mut before: BTreeMap<&str, String> = self.in_words().into_iter().collect();
        let mut changes = Vec::new();
        for (field, after) in next.in_words() {
            let before = before.remove(field);
            if !OWN.contains(&field) && before.as_ref() != Some(&after) {
                changes.push(Change {
                    field,
                    before,
                    after: Some(after),
                });
            }
        }
        changes.extend(members(self, next));
        changes
    }
}

/// Who takes part in the consensus: two lists of the same length are one sentence.
fn members(before: &SpecFields, after: &SpecFields) -> Option<Change> {
    let members = |fields: &SpecFields| -> Vec<(String, PublicKey)> {
        let bound = fields.consensus.bound();
        bound.map(|(name, key)| (name.to_owned(), key)).collect()
    };
    let (before, after) = (members(before), members(after));
    (before != after).then(|| Change {
        field: "consensus.authorities",
        before: Some(list(&before, &after)),
        after: Some(list(&after, &before)),
    })
}

/// Those that the other list doesn't have with this key; all, where only their order differs.
fn list(members: &[(String, PublicKey)], others: &[(String, PublicKey)]) -> String {
    let others: BTreeMap<&str, PublicKey> = others
        .iter()
        .map(|(name, key)| (name.as_str(), *key))
        .collect();
    let is_other = |name: &str, key: &PublicKey| others.get(name) != Some(key);
    let differing: Vec<_> = members
        .iter()
        .filter(|(name, key)| is_other(name, key))
        .collect();
    let is_order = differing.is_empty() && members.len() == others.len();
    let shown: Vec<_> = match is_order {
        true => members.iter().collect(),
        false => differing,
    };
    let mut texts: Vec<String> = shown
        .iter()
        .take(NAMED_MAX)
        .map(|(name, key)| format!("{name:?} with the key {key}"))
        .collect();
    if shown.len() > NAMED_MAX {
        texts.push(format!("{} more", shown.len() - NAMED_MAX));
    }
    let common = members.len() - shown.len();
    match (texts.len(), common) {
        (0, _) => "Those that stay.".to_owned(),
        (_, 0) => format!("{}.", texts.join(", ")),
        _ => format!("{}, beside those that stay.", texts.join(", ")),
    }
}
