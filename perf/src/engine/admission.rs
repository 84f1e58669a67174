//! Admitting single transactions as they come from clients.

use anyhow::{Context as _, Result, ensure};
use hubledger::model::Transaction;
use hubledger::signature::{Item, Verifier};

use super::chain::Chain;
use crate::clock::Times;

/// Decodes each of a chain's transactions and checks its signatures, one transaction at a time, and hands over what each
/// took.
pub(crate) fn admit_each(
    chain: &Chain,
    verifier: &Verifier,
    mut each: impl FnMut(&Times),
) -> Result<Times> {
    let mut all = Vec::with_capacity(chain.alone.len());
    for bytes in &chain.alone {
        let (admitted, times) = Times::of(|| -> Result<bool> {
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
        });
        ensure!(admitted?, "a signature doesn't verify");
        each(&times);
        all.push(times);
    }
    Ok(all.into_iter().sum())
}
