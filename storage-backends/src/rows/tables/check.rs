//! Checking all rows of tables.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::super::{KeySpan, RowContext, View};
use super::head::Head;
use super::list::SetList;
use super::{HEAD, HISTORY, ROWS, SetKeys, describe, history, split};
use crate::check::Report;
use crate::{DamageAt, Result};

/// Looks at every row by key: that each is sound and of a set, and that what undoes commits is whole. O(rows).
pub(in super::super) fn check_tables(
    view: &impl View,
    context: RowContext<'_>,
    report: &mut Report,
) -> Result<()> {
    let Some(list) = report.sound(SetList::read(view, context))? else {
        return Ok(());
    };
    for (_, keys) in list.iter() {
        report.sound(Head::read(view, context, keys))?;
    }
    let mut check = Check {
        context,
        sets: list.iter().map(|(_, keys)| keys.number).collect(),
        awaited: None,
    };
    let outcome = view.scan(KeySpan::up(&[0], &[u8::MAX; 5]), &mut |found| {
        if let Some((key, row)) = report.sound(found)? {
            check.row(key, &row, report)?;
        }
        Ok(true)
    });
    report.sound(outcome)?;
    check.end(report);
    Ok(())
}

struct Check<'a> {
    context: RowContext<'a>,
    sets: BTreeSet<u32>,
    /// The set and height of the commit whose history is being read, its next part, and how many it has.
    awaited: Option<(SetKeys, u64, u32, u32)>,
}

impl Check<'_> {
    fn row(&mut self, key: &[u8], row: &Bytes, report: &mut Report) -> Result<()> {
        let damage = |report: &mut Report, what: &str| {
            let reason = format!("{} {what}", describe(key));
            report.damage(self.context.path, DamageAt::Tables, reason);
        };
        let Some((number, kind, rest)) = split(key).filter(|at| self.sets.contains(&at.0)) else {
            damage(report, "belongs to no set");
            return Ok(());
        };
        let Some(content) = report.sound(self.context.opened(key, row))? else {
            return Ok(());
        };
        match (kind, history::place(kind, rest)) {
            // Read already.
            (HEAD, _) if rest.is_empty() => {}
            (ROWS, _) if !rest.is_empty() => {}
            (HISTORY, Some((height, 0))) => {
                self.end(report);
                match history::decode_first(&content) {
                    Some((_, parts)) => {
                        self.awaited = Some((SetKeys { number }, height, 1, parts));
                    }
                    None => damage(report, "is none"),
                }
            }
            (HISTORY, Some((_, part))) => {
                if let Some((_, _, next, _)) = &mut self.awaited
                    && *next == part
                {
                    *next += 1;
                }
                if history::entries(&content).is_none() {
                    damage(report, "is none");
                }
            }
            _ => damage(report, "is of no kind"),
        }
        Ok(())
    }

    /// What is still missing when the history of another commit begins.
    fn end(&mut self, report: &mut Report) {
        if let Some((keys, height, next, parts)) = self.awaited.take()
            && next <= parts
        {
            let number = keys.number;
            let reason = format!(
                "the history of set {number} at height {height} has no part {next} of {parts}"
            );
            report.damage(self.context.path, DamageAt::Tables, reason);
        }
    }
}
