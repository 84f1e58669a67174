//! The writing half of tables, on any engine.

use std::path::PathBuf;

use super::super::state::Identity;
use super::super::{Batch, Database, RowContext};
use super::head::Head;
use super::list::SetList;
use super::{SetKeys, history};
use crate::tables::guarded::{GuardedTables, UnguardedTables};
use crate::{Durability, Position, Result, TableCommit, TableReceipt, TableWriter};

/// Writes the tables of one store: as long as nothing failed, mutations are those of [`Inner`].
pub(crate) type RowTableWriter<D> = GuardedTables<Inner<D>>;

/// What the latch guards.
pub(crate) struct Inner<D> {
    database: D,
    identity: Identity,
    path: PathBuf,
}

impl<D: Database> RowTableWriter<D> {
    pub(crate) fn new(database: D) -> Result<Self> {
        let path = database.path().to_owned();
        let identity = Identity::read(&database.view()?, &path)?;
        let inner = Inner {
            database,
            identity,
            path: path.clone(),
        };
        Ok(Self::over(path, inner))
    }
}

impl<D: Database> Inner<D> {
    /// The list of sets and, if it is there, a set's head. Nobody else changes them.
    fn look(&self, set: &str) -> Result<(SetList, Option<(SetKeys, Head)>)> {
        let (view, context) = (self.database.view()?, self.identity.at(&self.path));
        let list = SetList::read(&view, context)?;
        let found = list.find(set).map(|keys| {
            let head = Head::read(&view, context, keys)?;
            Ok((keys, head))
        });
        Ok((list, found.transpose()?))
    }
}

impl<D: Database> UnguardedTables for Inner<D> {}

impl<D: Database> TableWriter for Inner<D> {
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt> {
        let (mut list, found) = self.look(set)?;
        let is_new = found.is_none();
        let (keys, before) = match found {
            Some(found) => found,
            None => (list.add(set)?, Head::default()),
        };
        let progress = before.progress.after(commit)?;
        let context = self.identity.at(&self.path);
        let ((), durability) = self.database.commit("commit", durability, |batch| {
            if is_new {
                list.write(batch, context)?;
            }
            let mut head = Head { progress, ..before };
            forget_due(batch, keys, &mut head)?;
            if let Some(Position { height, .. }) = progress.shown()
                && progress.keeps()
            {
                let place = (keys, height);
                let earlier = before.progress.position;
                history::note(batch, context, place, earlier, &commit.changes)?;
            }
            put_changes(batch, context, keys, commit)?;
            head.write(batch, context, keys)
        })?;
        Ok(TableReceipt {
            position: progress.shown(),
            durability,
        })
    }

    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>> {
        let (_, Some((keys, mut head))) = self.look(set)? else {
            return Ok(None);
        };
        head.progress.check_undo(height)?;
        let above = history::heights_above(&self.database.view()?, keys, height)?;
        let context = self.identity.at(&self.path);
        if !above.is_empty() {
            self.database.commit("undo", Durability::Disk, |batch| {
                // From the newest to the oldest, so that what the oldest found is what stays.
                for height in above {
                    let before = history::take_back(batch, context, keys, height)?;
                    head.progress.position = before;
                }
                head.write(batch, context, keys)
            })?;
        }
        Ok(head.progress.position)
    }

    fn remove(&mut self, set: &str) -> Result<()> {
        let context = self.identity.at(&self.path);
        let mut list = SetList::read(&self.database.view()?, context)?;
        // Without a look at the head: a damaged set is removed too.
        let Some(keys) = list.find(set) else {
            return Ok(());
        };
        list.remove(set);
        let [from, below] = keys.all();
        self.database.commit("remove", Durability::Disk, |batch| {
            list.write(batch, context)?;
            batch.remove_span(&from, &below)
        })?;
        self.database.give_back_keyed(&from, &below)
    }

    fn sync(&mut self) -> Result<()> {
        let context = self.identity.at(&self.path);
        let list = SetList::read(&self.database.view()?, context)?;
        if list.is_there() {
            // Engines sync with a commit, and with it all earlier ones, but not with one of nothing.
            self.database
                .commit("sync", Durability::Disk, |batch| list.write(batch, context))?;
        }
        Ok(())
    }
}

/// Removes what undoes commits that nobody may undo any more.
fn forget_due(batch: &mut impl Batch, keys: SetKeys, head: &mut Head) -> Result<()> {
    let floor = head.progress.undo_floor;
    if head.progress.is_loading {
        let [from, below] = keys.all_history();
        let mut is_any = false;
        batch.scan(super::KeySpan::up(&from, &below), &mut |_| {
            is_any = true;
            Ok(false)
        })?;
        // A load is many commits, and only the first finds something.
        if is_any {
            batch.remove_span(&from, &below)?;
        }
    } else if floor >= head.history_from {
        history::forget(batch, keys, head.history_from, floor)?;
        head.history_from = floor.saturating_add(1);
    }
    Ok(())
}

fn put_changes(
    batch: &mut impl Batch,
    context: RowContext<'_>,
    keys: SetKeys,
    commit: &TableCommit,
) -> Result<()> {
    for change in &commit.changes {
        let key = keys.row(change.table, &change.key);
        match &change.value {
            Some(value) => context.put_keyed(batch, &key, value)?,
            None => batch.remove_keyed(&key)?,
        }
    }
    Ok(())
}
