//! The list of table sets: a row of the table of states, by ascending names.

use std::collections::BTreeMap;

use super::super::state::TABLE_SETS;
use super::super::{Batch, KeySpan, RowContext, Table, View};
use super::SetKeys;
use crate::tables::arguments;
use crate::toolbox::little_endian::u32_at;
use crate::{Error, Result};

/// The sets of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SetList {
    numbers: BTreeMap<String, u32>,
    /// The number that the next set gets: numbers don't come again, so a row that was left behind is nobody's.
    next: u32,
    /// Whether there is a row of it.
    is_there: bool,
}

impl SetList {
    pub(super) fn read(view: &impl View, context: RowContext<'_>) -> Result<Self> {
        let Some(row) = view.get(Table::State, TABLE_SETS)? else {
            return Self::none(view, context);
        };
        let damaged = |what: &str| context.damaged_tables(format!("the list of sets {what}"));
        let bytes = context
            .open(Table::State, TABLE_SETS, &row)
            .ok_or_else(|| damaged("has a checksum that doesn't match"))?;
        Self::decode(&bytes).ok_or_else(|| damaged("is none"))
    }

    /// Without the row there was no commit yet, and so there are no rows.
    fn none(view: &impl View, context: RowContext<'_>) -> Result<Self> {
        view.scan(KeySpan::up(&[0], &[u8::MAX; 5]), &mut |found| {
            found?;
            Err(context.damaged_tables("the list of sets is missing"))
        })?;
        Ok(Self::default())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (next, mut rest) = bytes.split_first_chunk::<4>()?;
        let mut list = Self {
            next: u32::from_le_bytes(*next),
            is_there: true,
            ..Self::default()
        };
        while let Some((head, after)) = rest.split_first_chunk::<5>() {
            let number = u32_at(head, 0);
            let (name, after) = after.split_at_checked(head[4].into())?;
            let name = String::from_utf8(name.to_vec()).ok()?;
            let is_new = list.numbers.insert(name, number).is_none();
            if !is_new || number >= list.next {
                return None;
            }
            rest = after;
        }
        rest.is_empty().then_some(list)
    }

    pub(super) fn write(&self, batch: &mut impl Batch, context: RowContext<'_>) -> Result<()> {
        if !self.is_there {
            batch.begin_keyed()?;
        }
        let mut bytes = self.next.to_le_bytes().to_vec();
        for (name, number) in &self.numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
            // Names are short: arguments were checked.
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name.as_bytes());
        }
        context.put(batch, (Table::State, TABLE_SETS), &[&bytes])
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.numbers.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, SetKeys)> {
        let keys = |(name, number): (_, &u32)| (name, SetKeys { number: *number });
        self.numbers.iter().map(keys)
    }

    pub(super) fn find(&self, name: &str) -> Option<SetKeys> {
        let number = self.numbers.get(name);
        number.map(|number| SetKeys { number: *number })
    }

    /// Adds a set, if its name can be one and there is room.
    pub(super) fn add(&mut self, name: &str) -> Result<SetKeys> {
        arguments::new_set(name, self.numbers.len())?;
        let number = self.next;
        // The last would have no key behind it.
        if number >= u32::MAX - 1 {
            let reason = "the store has no number left for another table set";
            return Err(Error::argument("commit", reason));
        }
        self.next += 1;
        self.numbers.insert(name.to_owned(), number);
        Ok(SetKeys { number })
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.numbers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::in_memory::InMemory;
    use super::*;

    #[test]
    fn a_list_reads_back_and_numbers_do_not_come_again() {
        let (mut rows, context) = InMemory::initialised();
        let mut list = SetList::read(&rows, context).unwrap();
        assert!(!list.is_there());
        list.add("b").unwrap();
        list.add("a").unwrap();
        list.remove("a");
        list.add("c/c").unwrap();
        list.write(&mut rows, context).unwrap();
        let read = SetList::read(&rows, context).unwrap();
        assert!(read.names().eq(["b", "c/c"]));
        assert_eq!(read.find("c/c"), Some(SetKeys { number: 2 }));
        assert_eq!(read.next, 3);
    }

    #[test]
    fn rows_without_a_list_are_damage() {
        let (mut rows, context) = InMemory::initialised();
        let key = SetKeys { number: 0 }.head();
        context.put_keyed(&mut rows, &key, b"").unwrap();
        assert!(SetList::read(&rows, context).unwrap_err().is_corrupt());
    }

    #[test]
    fn a_list_that_cannot_be_is_damage() {
        let good = [&[1, 0, 0, 0, 0, 0, 0, 0, 1, b'a'][..]].concat();
        assert!(SetList::decode(&good).is_some());
        let cut = &good[..good.len() - 1];
        let twice = [&[9][..], &good[1..], &good[4..]].concat();
        let beyond = [&[0][..], &good[1..]].concat();
        for bytes in [&[][..], cut, &twice, &beyond] {
            assert_eq!(SetList::decode(bytes), None, "{bytes:?}");
        }
    }
}
