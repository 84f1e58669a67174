//! The writer that failure poisons: one for all backends.
//!
//! Invariant: once a mutation has failed with anything but an argument error, or has panicked, no later one runs. The latch never
//! opens again; only opening the store again, which reads what is really there, makes a new one.

use std::path::PathBuf;

use crate::{Block, BlockWriter, Durability, Error, Part, PruneReceipt, Receipt, Result};

/// A backend's writer, which is only given out as a [`Guarded`] one. What it does around mutations runs under the latch too.
pub(crate) trait Unguarded: BlockWriter {
    /// Called after a mutation that succeeded.
    fn keep(&mut self) {}

    /// Called after a mutation that failed, unless its arguments were at fault. No other follows.
    fn take_back(&mut self) {}

    /// The last mutation, when the writer goes.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs the mutations of a writer until one fails.
#[derive(Debug)]
pub(crate) struct Guarded<W: Unguarded> {
    latch: Latch,
    writer: W,
}

impl<W: Unguarded> Guarded<W> {
    /// Guards the writer of the store at `path`, which is for error messages only.
    pub(crate) fn over(path: PathBuf, writer: W) -> Self {
        Self {
            latch: Latch::new(path),
            writer,
        }
    }

    /// Runs a mutation unless an earlier one failed.
    fn run<T>(
        &mut self,
        operation: &'static str,
        mutation: impl FnOnce(&mut W) -> Result<T>,
    ) -> Result<T> {
        let writer = &mut self.writer;
        self.latch.guard(operation, || {
            let outcome = mutation(writer);
            match &outcome {
                Ok(_) => writer.keep(),
                Err(error) if error.is_argument() => {}
                Err(_) => writer.take_back(),
            }
            outcome
        })
    }
}

impl<W: Unguarded> BlockWriter for Guarded<W> {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.run("append", |writer| writer.append(run, durability))
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.run("truncate", |writer| writer.truncate(above))
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.run("replace", |writer| writer.replace(above, run, durability))
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.run("prune", |writer| writer.prune(part, below, limit))
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        self.run("put_named_value", |writer| {
            writer.put_named_value(key, value, durability)
        })
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.run("sync", BlockWriter::sync)
    }
}

impl<W: Unguarded> Drop for Guarded<W> {
    fn drop(&mut self) {
        let closed = self.run("close", W::close);
        // The failure that poisoned the writer was returned to its caller already.
        if let Err(error) = closed
            && !error.is_poisoned()
        {
            tracing::warn!(%error, "closing without a sync");
        }
    }
}

/// Remembers the mutation that failed.
#[derive(Debug)]
pub(crate) struct Latch {
    path: PathBuf,
    failed: Option<&'static str>,
}

impl Latch {
    /// A latch for the writer of the store at `path`, which is for error messages only.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, failed: None }
    }

    /// Runs a mutation unless an earlier one failed.
    pub(crate) fn guard<T>(
        &mut self,
        operation: &'static str,
        mutation: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if let Some(earlier) = self.failed {
            return Err(Error::Poisoned {
                operation,
                earlier,
                path: self.path.clone(),
            });
        }
        // Closed before the mutation runs, so that a panic leaves it closed.
        self.failed = Some(operation);
        let outcome = mutation();
        if outcome.as_ref().err().is_none_or(Error::is_argument) {
            self.failed = None;
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};

    use super::*;

    fn fault() -> Error {
        Error::Full {
            operation: "append",
            path: "x".into(),
        }
    }

    #[test]
    fn a_failure_closes_the_latch_for_good() {
        let mut latch = Latch::new("x".into());
        assert!(latch.guard("append", || Err::<(), _>(fault())).is_err());
        let refused = latch.guard("sync", || -> Result<()> { panic!("must not run") });
        assert!(matches!(
            refused,
            Err(Error::Poisoned {
                operation: "sync",
                earlier: "append",
                ..
            })
        ));
        assert!(latch.guard("sync", || Ok(())).is_err());
    }

    #[test]
    fn an_argument_error_leaves_it_open() {
        let mut latch = Latch::new("x".into());
        assert!(
            latch
                .guard("append", || Err::<(), _>(Error::argument(
                    "append", "wrong"
                )))
                .is_err()
        );
        assert!(latch.guard("append", || Ok(())).is_ok());
    }

    #[test]
    fn a_panic_closes_it() {
        let mut latch = Latch::new("x".into());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            latch.guard("append", || -> Result<()> { panic!("half-way") })
        }));
        assert!(panicked.is_err());
        assert!(latch.guard("append", || Ok(())).is_err());
    }

    /// Fails to put values if it is told to, and notes what it is asked for.
    struct Noting {
        fails: bool,
        notes: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Noting {
        fn note(&self, what: &'static str) {
            self.notes.lock().unwrap().push(what);
        }
    }

    impl BlockWriter for Noting {
        fn append(&mut self, _: &[Block], _: Durability) -> Result<Receipt> {
            Err(Error::argument("append", "wrong"))
        }

        fn truncate(&mut self, _: u64) -> Result<()> {
            Ok(())
        }

        fn replace(&mut self, _: u64, _: &[Block], _: Durability) -> Result<Receipt> {
            Err(fault())
        }

        fn prune(&mut self, _: Part, _: u64, _: u64) -> Result<PruneReceipt> {
            Err(fault())
        }

        fn put_named_value(&mut self, _: &str, _: &[u8], _: Durability) -> Result<()> {
            match self.fails {
                true => Err(fault()),
                false => Ok(()),
            }
        }

        fn sync(&mut self) -> Result<Receipt> {
            Err(fault())
        }
    }

    impl Unguarded for Noting {
        fn keep(&mut self) {
            self.note("keep");
        }

        fn take_back(&mut self) {
            self.note("take back");
        }

        fn close(&mut self) -> Result<()> {
            self.note("close");
            Ok(())
        }
    }

    #[test]
    fn what_succeeded_is_kept_what_failed_taken_back_and_only_a_sound_writer_closed() {
        for (fails, expected) in [
            (false, &["keep", "keep", "close", "keep"][..]),
            (true, &["keep", "take back"]),
        ] {
            let notes = Arc::new(Mutex::new(Vec::new()));
            let writer = Noting {
                fails,
                notes: Arc::clone(&notes),
            };
            let mut writer = Guarded::over("x".into(), writer);
            writer.truncate(1).unwrap();
            // Nothing was written for it.
            writer.append(&[], Durability::Os).unwrap_err();
            assert_eq!(
                writer.put_named_value("a", b"", Durability::Os).is_err(),
                fails
            );
            drop(writer);
            assert_eq!(*notes.lock().unwrap(), expected);
        }
    }
}
