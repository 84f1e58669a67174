//! Verifying a store that MPREG wrote, or one like it.

mod store;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, ensure};
use hubledger_mpreg::{Source, verify_in_parallel};

pub(crate) use self::store::write_store;
pub(super) use self::store::{BLOCKS, PER_BLOCK};
use crate::clock::{Clock, Times};
use crate::ratio::Stated;
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

/// A contestant that verifies a file again and again.
pub(super) fn verifying(path: &Path) -> Result<Contestant<'_>> {
    let expected = verify(path)?;
    ensure!(expected > 0, "{} has no transactions", path.display());
    let items = usize::try_from(expected)?;
    Ok(Contestant::new("verify", Clock::Wall, items, move || {
        let (transactions, times) = Times::of(|| verify(path));
        ensure!(transactions? == expected, "the file has changed");
        Ok(times)
    }))
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
        assert!(verifying(&path).is_err());
    }
}
