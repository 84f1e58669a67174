//! Making one run of several, so that they stay few and what nobody needs goes.
//!
//! A run's class is the logarithm of its bytes. As soon as there are so many of a class (`LogOptions::index_fanout`) above all larger
//! ones, they become one, with smaller ones between them; so a version is written about once for each class. All runs of a set become one once those above
//! the oldest have twice its bytes: then it is mostly what others were put in place of, and what was removed goes too.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::boundaries::Boundaries;
use super::run_writer::{RunPlan, Written, write_run};
use super::set_file::SetRecord;
use super::shared::{Slot, State, TableShared};
use super::versions::{Limited, Merge, Versions};
use super::view::{FileLayer, Snapshot};
use crate::{Error, Result};

/// Runs of up to so many bytes are of the lowest class.
const LOWEST_BYTES: u64 = 4096;
/// All runs are merged once those above the oldest have so many times its bytes.
const OLD_FACTOR: u64 = 2;
/// More runs than this become one whatever their classes: large ones that come between small ones keep these apart.
const APART_MAX: usize = 32;

/// Some runs of a set, side by side, that are to become one.
struct Job {
    set: String,
    /// The newest first.
    layers: Vec<FileLayer>,
    is_oldest: bool,
    boundaries: Boundaries,
}

/// How many of the newest runs are to become one, if any, of runs with so many bytes, the newest first.
fn due(bytes: &[u64], fanout: usize) -> Option<usize> {
    let (oldest, newer) = bytes.split_last()?;
    if newer.len() > 1 && newer.iter().sum::<u64>() >= OLD_FACTOR.saturating_mul(*oldest) {
        return Some(bytes.len());
    }
    let class = |bytes: u64| {
        (bytes / LOWEST_BYTES)
            .checked_ilog(fanout as u64)
            .unwrap_or(0)
    };
    let classes: Vec<u32> = bytes.iter().map(|bytes| class(*bytes)).collect();
    let highest = classes.iter().max()?;
    let above_larger = |limit: u32| {
        let count = classes.iter().take_while(|class| **class <= limit).count();
        let of_class = classes[..count].iter().filter(|class| **class == limit);
        (of_class.count() >= fanout).then_some(count)
    };
    let apart = (bytes.len() > APART_MAX).then_some(bytes.len());
    (0..=*highest).find_map(above_larger).or(apart)
}

fn next_job(state: &State, fanout: usize) -> Option<Job> {
    state.sets.iter().find_map(|(name, slot)| {
        let Slot::Sound(set) = slot else {
            return None;
        };
        let files = &set.snapshot.files;
        let bytes: Vec<u64> = files.iter().map(|layer| layer.run.bytes()).collect();
        let count = due(&bytes, fanout).filter(|_| !set.is_damaged)?;
        Some(Job {
            set: name.clone(),
            layers: files[..count].to_vec(),
            is_oldest: count == files.len(),
            boundaries: set.durable.clone(),
        })
    })
}

/// Merges until nothing is due, or it is to stop.
pub(super) fn merge_due(shared: &TableShared) -> Result<()> {
    let fanout = shared.context.options.index_fanout.max(2);
    loop {
        let job = match shared.stop.load(Ordering::Acquire) {
            true => None,
            false => next_job(&*shared.read()?, fanout),
        };
        let Some(job) = job else {
            return Ok(());
        };
        match merge(shared, &job) {
            Err(Error::Corrupt {
                path,
                damage_at,
                reason,
            }) => {
                // Those who read the run are told; the others go on.
                tracing::error!(file = %path.display(), %damage_at, %reason, "a run can't be merged");
                if let Some(Slot::Sound(set)) = shared.write().sets.get_mut(&job.set) {
                    set.is_damaged = true;
                }
            }
            outcome => outcome?,
        }
        // A writer may wait for this step.
        shared.tell(|_| {});
    }
}

fn merge(shared: &TableShared, job: &Job) -> Result<()> {
    let layers = job.layers.iter();
    let sources = layers.clone().map(|layer| {
        let versions: Box<dyn Versions + '_> = Box::new(layer.run.versions()?);
        let limit = layer.limit;
        Ok(Limited { versions, limit })
    });
    let first = layers.clone().map(|layer| layer.run.trailer.first).min();
    let last = layers.clone().map(FileLayer::last).max();
    let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
    let plan = RunPlan {
        number: shared.next_run(),
        merge: Merge {
            sources: sources.collect::<Result<_>>()?,
            boundaries: &job.boundaries,
            is_oldest: job.is_oldest,
        },
        versions_max: layers.map(|layer| layer.run.trailer.versions).sum(),
        first,
        last,
        commits: job.boundaries.within(first..=last),
        stop: Some(&shared.stop),
    };
    let Some(written) = write_run(&shared.context, plan)? else {
        return Ok(());
    };
    // Most of the time of syncing passes before others are kept waiting.
    let synced = shared.context.files.sync(&[&*written.handle]);
    synced.map_err(|(_, source)| Error::system("merge", written.run.file.path(), source))?;
    let _installing = shared.installing();
    let outcome = replace(shared, job, written);
    if outcome.is_err() {
        shared.is_uncertain.store(true, Ordering::Release);
    }
    outcome
}

/// Puts a run in the place of those that it was made of, unless these have changed meanwhile.
fn replace(shared: &TableShared, job: &Job, written: Written) -> Result<()> {
    let Written { handle, run } = written;
    let run = Arc::new(run);
    let held = match shared.read()?.sets.get(&job.set) {
        Some(Slot::Sound(set)) => Some(set.clone()),
        _ => None,
    };
    let files = held.as_ref().map(|set| &set.snapshot.files[..]);
    let at = files.and_then(|files| place_of(files, &job.layers));
    let (Some(held), Some(at)) = (held, at) else {
        // Undone or removed. The file goes when this returns.
        run.doom();
        return Ok(());
    };
    let mut files = held.snapshot.files.clone();
    let limit = u64::MAX;
    files.splice(at..at + job.layers.len(), [FileLayer { run, limit }]);
    let record = SetRecord::new(held.durable.newest(), held.durable.undo_floor, &files);
    record.install(&shared.context, &job.set, Some(&*handle))?;
    let old = {
        let mut state = shared.write();
        // Commits in memory may have come since; runs can't have.
        match state.sets.get_mut(&job.set) {
            Some(Slot::Sound(set)) => {
                let snapshot = Snapshot {
                    files,
                    ..(*set.snapshot).clone()
                };
                Some(std::mem::replace(&mut set.snapshot, Arc::new(snapshot)))
            }
            _ => None,
        }
    };
    job.layers.iter().for_each(|layer| layer.run.doom());
    drop(old);
    Ok(())
}

/// Where in a set's runs some are side by side.
fn place_of(files: &[FileLayer], layers: &[FileLayer]) -> Option<usize> {
    let are_here = |window: &[FileLayer]| {
        let mut pairs = window.iter().zip(layers);
        pairs.all(|(one, other)| one.is_same(other))
    };
    files.windows(layers.len()).position(are_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_newest_runs_of_a_class_become_one_when_there_are_enough() {
        assert_eq!(due(&[], 4), None);
        assert_eq!(due(&[MIB, MIB, MIB, 100 * MIB], 4), None);
        assert_eq!(due(&[MIB, MIB, MIB, MIB, 100 * MIB], 4), Some(4));
        // Smaller ones between larger ones go with these.
        let mixed = [4096, MIB, 4096, MIB, 4096, 100 * MIB];
        assert_eq!(due(&mixed, 4), None);
        let mixed = [4096, MIB, 4096, MIB, MIB, MIB, 4096, 100 * MIB];
        assert_eq!(due(&mixed, 4), Some(7));
    }

    #[test]
    fn all_become_one_when_the_oldest_is_outweighed() {
        assert_eq!(due(&[MIB, MIB, MIB], 8), Some(3));
        assert_eq!(due(&[MIB, MIB, 3 * MIB], 8), None);
        assert_eq!(due(&[MIB], 8), None);
        assert_eq!(due(&[9 * MIB, MIB], 8), None);
    }

    /// Simulates loading: how many bytes are written for each that comes, and how many runs there ever are.
    #[test]
    fn what_is_written_stays_within_a_few_times_of_what_comes() {
        for run_bytes in [2_000, MIB, 12 * MIB] {
            let mut runs: Vec<u64> = Vec::new();
            let (mut written, mut most) = (0, 0);
            for _ in 0..2_000 {
                runs.insert(0, run_bytes);
                written += run_bytes;
                while let Some(count) = due(&runs, 8) {
                    let sum = runs.drain(..count).sum();
                    written += sum;
                    runs.insert(0, sum);
                }
                most = most.max(runs.len());
            }
            let factor = written as f64 / (2_000 * run_bytes) as f64;
            assert!(
                factor < 6.0 && most <= APART_MAX,
                "{run_bytes}: {factor}, {most} runs"
            );
        }
    }
}
