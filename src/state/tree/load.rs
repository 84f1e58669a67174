//! Pages of one depth that are read together: what each is known by is a hash over its rows, and those of many are made many at a time.

use std::sync::Arc;

use super::leaves::Leaves;
use super::page::{BITS, Page, Slot};
use super::store::{self, Pages, StateFailure};
use crate::format::digest::Digest;
use crate::format::sparse::plan::Plan;

/// Pages that are read, hashed and then shown at a time, at most: as many as need little memory until then.
const TOGETHER_MAX: usize = 1024;

impl Pages {
    /// Has the pages of slots in memory that are only written down, as [`Slot::get`] has each. All are at one depth, each with a place
    /// in it, and the same may be there several times. What fails is noted.
    pub(super) fn load_all(&self, wanted: &mut Vec<(&Slot, &Digest)>, depth: usize) {
        // Those of one page are neighbours then, and pages come in the order in which they lie in the store.
        wanted.sort_unstable_by_key(|(_, place)| place.0);
        let begins_alike = |a: &Digest, b: &Digest| store::key(a, depth) == store::key(b, depth);
        wanted.dedup_by(|a, b| begins_alike(a.1, b.1));
        for wanted in wanted.chunks(TOGETHER_MAX) {
            self.load_some(wanted, depth);
        }
    }

    fn load_some(&self, wanted: &[(&Slot, &Digest)], depth: usize) {
        let (mut plan, mut noted) = (Plan::default(), Vec::new());
        let mut rows: Vec<(&Slot, &Digest, Leaves)> = Vec::with_capacity(wanted.len());
        for (slot, place) in wanted {
            let read = self.read(place, depth);
            match read.and_then(|bytes| self.decode(&bytes, place, depth)) {
                Ok(Read::Rows(leaves)) => {
                    leaves.plan(depth, &mut plan, &mut noted);
                    rows.push((*slot, *place, leaves));
                }
                Ok(Read::Page(page)) => self.keep(slot, place, depth, page),
                Err(failure) => self.note_failure(failure),
            }
        }
        plan.run();
        let mut noted = noted.into_iter();
        for (slot, place, mut leaves) in rows {
            leaves.settle(&plan, &mut noted);
            self.keep(slot, place, depth, Page::Leaves(Arc::new(leaves)));
        }
    }

    fn decode(&self, bytes: &[u8], place: &Digest, depth: usize) -> Result<Read, StateFailure> {
        let read = match store::rows_of(bytes) {
            Some(rows) => Leaves::decode_unhashed(rows).map(Read::Rows),
            None => store::decode(bytes, depth).map(Read::Page),
        };
        read.ok_or_else(|| store::failure(place, depth, "is not a page".to_owned()))
    }

    /// Keeps a page that was read, if it is the one that was looked for.
    fn keep(&self, slot: &Slot, place: &Digest, depth: usize, page: Page) {
        let Some(beginning) = slot.beginning() else {
            return;
        };
        match self.accept(page, place, depth, beginning) {
            Ok(page) => slot.put(page),
            Err(failure) => self.note_failure(failure),
        }
    }
}

/// A page that was read.
enum Read {
    /// Rows whose hashes aren't made.
    Rows(Leaves),
    Page(Page),
}

impl Page {
    /// The values at places, of which those beside each other in the answer may be anywhere. All go down level by level: so the processor
    /// waits for many parts of memory at once, and pages that aren't in memory are read together.
    pub(super) fn get_all<'a>(&'a self, pages: &Pages, places: &[Digest]) -> Vec<Option<&'a [u8]>> {
        let mut ways: Vec<Option<&Self>> = vec![Some(self); places.len()];
        let (mut depth, mut goes_on) = (0, true);
        while goes_on {
            goes_on = false;
            let mut wanted = Vec::new();
            let mut waiting = Vec::new();
            for (number, (way, place)) in ways.iter_mut().zip(places).enumerate() {
                let Some(Self::Branch(branch)) = *way else {
                    continue;
                };
                goes_on = true;
                let slot = branch.slot(super::page::nibble(place, depth));
                *way = slot.loaded();
                if way.is_none() && slot.is_used() {
                    wanted.push((slot, place));
                    waiting.push((number, slot));
                }
            }
            depth += BITS;
            pages.load_all(&mut wanted, depth);
            for (number, slot) in waiting {
                ways[number] = slot.loaded();
            }
        }
        let leaves = ways.iter().map(|way| match way {
            Some(Self::Leaves(leaves)) => Some(&**leaves),
            _ => None,
        });
        let leaves: Vec<Option<&Leaves>> = leaves.collect();
        let looked_at = leaves.iter().flatten().map(|leaves| {
            leaves.mark.touch(pages.now);
            leaves.look_at()
        });
        std::hint::black_box(looked_at.fold(0, u64::wrapping_add));
        let values = leaves.into_iter().zip(places);
        let value =
            |(leaves, place): (Option<&'a Leaves>, &Digest)| Some(leaves?.get(place)?.value());
        values.map(value).collect()
    }
}
