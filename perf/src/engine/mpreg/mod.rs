//! Verifying a store that MPREG wrote, or one like it.

mod store;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, ensure};
use hubledger_mpreg::{Source, verify_in_parallel};

pub(super) use self::store::{BLOCKS, PER_BLOCK, write_store};
use crate::clock::{Clock, Times};
use crate::ratios::Stated;
use crate::turns::Contestant;

/// What MPREG's own validation takes.
pub(super) const VALIDATE_CHAIN: Stated = Stated {
    by: "MPREG's validate_chain: about 150 µs a transaction on one core",
    us_per_item: 150.0,
};

/// Verifies every chain of a file on all cores, from opening it to the verdicts; how many transactions there are.
pub(super) fn verify(path: &Path) -> Result<u64> {
    let source = Source::open(path)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let threads = std::thread::available_parallelism()?;
    let mut transactions = 0;
    for chain in source.chains() {
        let report = verify_in_parallel(
            &source,
            &chain.id,
            now,
            threads,
            &mut |_, _| ControlFlow::Continue(()),
            None,
        )?;
        report
            .verdict
            .map_err(|rejected| anyhow!("{}: {rejected}", chain.id))?;
        transactions += report.transactions;
    }
    Ok(transactions)
}

/// Verifies a file again and again.
pub(super) struct Verifying {
    path: PathBuf,
    transactions: u64,
}

impl Verifying {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let transactions = verify(path)?;
        ensure!(transactions > 0, "{} has no transactions", path.display());
        Ok(Self {
            path: path.to_owned(),
            transactions,
        })
    }
}

impl Contestant for Verifying {
    fn name(&self) -> &str {
        "verify"
    }

    fn clock(&self) -> Clock {
        Clock::Wall
    }

    fn items(&self) -> usize {
        self.transactions as usize
    }

    fn learns(&self) -> bool {
        false
    }

    fn pass(&mut self) -> Result<Times> {
        let (transactions, times) = Times::of(|| verify(&self.path));
        ensure!(transactions? == self.transactions, "the file has changed");
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_was_made_up_is_valid_and_a_spoilt_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("made.db");
        write_store(&path, 4, 10).expect("it can be written");
        assert_eq!(verify(&path).expect("it is valid"), 30);
        let database = rusqlite::Connection::open(&path).expect("a database");
        let spoil =
            "UPDATE blocks SET block_json = replace(block_json, '\"fee\": 3', '\"fee\": 4')";
        database.execute(spoil, []).expect("it can be changed");
        assert!(Verifying::new(&path).is_err());
    }
}
