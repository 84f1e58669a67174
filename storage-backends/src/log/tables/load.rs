//! Reading which sets there are, and what they have.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::boundaries::Boundaries;
use super::context::TableContext;
use super::names::Named;
use super::run_file::RunFile;
use super::set_file::SetRecord;
use super::shared::{SetState, Slot};
use super::view::{FileLayer, Snapshot};
use crate::{Error, Result};

/// The names in the directory of tables; none if there is no directory.
pub(super) fn list(context: &TableContext) -> Result<Vec<Named>> {
    match context.files.list(&context.directory) {
        Ok(names) => Ok(names.iter().map(|name| Named::of(name)).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::system("list", &context.directory, source)),
    }
}

/// All sets, and the number of the next run. Damage to a set is for those who ask for that set.
pub(super) fn load(context: &Arc<TableContext>) -> Result<(BTreeMap<String, Slot>, u64)> {
    let mut sets = BTreeMap::new();
    let mut next_run = 0;
    for named in list(context)? {
        match named {
            Named::Set(name) => {
                let slot = load_slot(context, &name)?;
                sets.insert(name, slot);
            }
            // Also of runs that nothing names: until they are removed, their names are taken.
            Named::Run(number) => next_run = next_run.max(number.saturating_add(1)),
            Named::Unfinished | Named::Other => {}
        }
    }
    Ok((sets, next_run))
}

fn load_slot(context: &Arc<TableContext>, name: &str) -> Result<Slot> {
    match load_set(context, name) {
        Ok(set) => Ok(Slot::Sound(set)),
        Err(Error::Corrupt {
            path,
            damage_at,
            reason,
        }) => {
            tracing::error!(set = name, file = %path.display(), %damage_at, %reason, "a table set is damaged");
            Ok(Slot::Damaged {
                path,
                damage_at,
                reason,
            })
        }
        Err(error) => Err(error),
    }
}

/// A set as its file has it.
pub(super) fn load_set(context: &Arc<TableContext>, name: &str) -> Result<SetState> {
    let record = SetRecord::read(context, name)?;
    let mut files = Vec::with_capacity(record.runs.len());
    for row in &record.runs {
        let run = RunFile::open(context, row.number, Some((row.bytes, row.checksum)))?;
        files.push(FileLayer {
            run: Arc::new(run),
            limit: row.limit,
        });
    }
    let held = files.iter().rev().flat_map(|layer| {
        let counts = |held: &&_| -> bool {
            let held: &super::boundaries::Boundary = held;
            held.commit <= layer.limit
        };
        layer.run.commits.iter().filter(counts).copied()
    });
    let boundaries = Boundaries::restored(record.undo_floor, held, record.newest);
    let snapshot = Snapshot {
        position: record.newest.shown(),
        files,
        ..Snapshot::empty(context)
    };
    Ok(SetState {
        snapshot: Arc::new(snapshot),
        durable: boundaries.clone(),
        boundaries,
        is_damaged: false,
    })
}
