//! Admitting single transactions as they come from clients.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hubledger::model::Transaction;
use hubledger::signature::{Item, Verifier};

use super::chain::Chain;
use crate::clock::Times;

/// Decodes each of a chain's transactions and checks its signatures, one transaction at a time, and hands over what each
/// took.
pub(crate) fn admit_each(
    chain: &Chain,
    verifier: &Verifier,
    mut each: impl FnMut(Duration),
) -> Result<Times> {
    let (admitted, times) = Times::of(|| -> Result<bool> {
        for bytes in &chain.alone {
            let started = Instant::now();
            let admitted = admit(bytes, verifier)?;
            each(started.elapsed());
            if !admitted {
                return Ok(false);
            }
        }
        Ok(true)
    });
    ensure!(admitted?, "a signature doesn't verify");
    Ok(times)
}

fn admit(bytes: &Bytes, verifier: &Verifier) -> Result<bool> {
    let transaction = Transaction::decode(bytes.clone()).context("read a transaction")?;
    let message = transaction.signed_message();
    let mut witnesses = transaction.witnesses();
    Ok(witnesses.all(|witness| {
        let item = Item {
            key: &witness.key,
            message: &message,
            signature: &witness.signature,
        };
        verifier.verify_one(&item).is_ok()
    }))
}
