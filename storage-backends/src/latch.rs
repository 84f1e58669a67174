//! The latch that poisons a writer: one for all backends.
//!
//! Invariant: once a guarded mutation has failed with anything but an argument error, or has panicked, no
//! later one runs. The latch never opens again; only opening the store anew, which reads what is really
//! there, makes a new one.

use std::path::PathBuf;

use crate::{Error, Result};

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
    use std::panic::{AssertUnwindSafe, catch_unwind};

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
}
