//! Chunks of a chain, judged on several threads and shown in order.
//!
//! The caller's thread reads the source and shows what was judged; how chunks come to threads is in [`hubledger::line`].
//!
//! Towards the end of the chain chunks get smaller, so that no thread is left with one while the others are done.
//!
//! Bounds: chunks in flight hold at most twice [`TEXT_MAX`] of text for each thread and one chunk more, whose last block may
//! have any length that is read at all.

use std::cell::RefCell;
use std::ops::ControlFlow;

use super::chunk::{Chunk, Judged, TEXT_MAX};
use super::source::{RawRow, Source, SourceError};
use hubledger::line::Work;
use hubledger::rejection::Rejected;

/// What was found of a chunk's rows, up to the first that isn't sound alone.
type Found<T> = Vec<Result<Judged<T>, Rejected>>;

/// What a thread does with a chunk.
type Judge<'j, T> = dyn Fn(&Chunk) -> Found<T> + Sync + 'j;

/// What is done with each row, in order; breaking off ends the reading.
type Show<'s, T> = dyn FnMut(RawRow<'_>, Result<Judged<T>, Rejected>) -> ControlFlow<()> + 's;

/// Hands the rows of the chain `id` to `show` in order, each with what `judge` made of it on one of `threads` threads. The
/// other threads than the caller's begin with `prepare`. After a row that isn't sound, `show` has to break off.
///
/// # Errors
/// What keeps the source from being read on, unless `show` broke off before that place.
///
/// # Panics
/// If `judge` does.
pub(super) fn show_judged<T: Send>(
    source: &Source,
    id: &str,
    threads: usize,
    prepare: &(dyn Fn() + Sync),
    judge: &Judge<'_, T>,
    show: &mut Show<'_, T>,
) -> Result<(), SourceError> {
    let rows = source.chain(id)?.blocks;
    // The rows that are left are divided by this.
    let shares = 2 * threads.max(1) as u64;
    let share = |first: u64| rows.saturating_sub(first) / shares;
    let work = Work {
        threads,
        name: "mpreg",
        prepare,
        work: judge,
        weight_max: 2 * threads.max(1) * TEXT_MAX,
    };
    let spare: RefCell<Vec<Chunk>> = RefCell::default();
    let mut show_chunk = |chunk: Chunk, judged: Found<T>| {
        for (row, judged) in chunk.rows().zip(judged) {
            show(row, judged)?;
        }
        spare.borrow_mut().push(chunk);
        ControlFlow::Continue(())
    };
    let (read, ended) = work.run(&mut show_chunk, |line| {
        let mut chunk = Chunk::default();
        chunk.restart(0, share(0));
        let read = source.for_each_row(id, &mut |row| {
            chunk.push(&row);
            if !chunk.is_full() {
                return ControlFlow::Continue(());
            }
            let mut next = spare.borrow_mut().pop().unwrap_or_default();
            next.restart(chunk.end(), share(chunk.end()));
            let full = std::mem::replace(&mut chunk, next);
            let bytes = full.text_bytes();
            line.push(full, bytes)
        });
        let bytes = chunk.text_bytes();
        // Whether that breaks off is said at the end.
        let _ = line.push(chunk, bytes);
        read
    });
    if ended.is_break() { Ok(()) } else { read }
}
