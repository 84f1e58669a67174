//! Ruling and settling what is ready, in the chain's order: by whoever brings news of it, one thread at a time.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::EngineError;
use super::message::Command;
use super::metrics::{Load, Stage};
use super::shared::Shared;

/// Rules and settles what is ready; called with every piece of news.
pub(super) fn advance(shared: &Shared) {
    shared.turn.take(|| {
        if let Err(error) = rule_and_settle(shared) {
            shared.fail(error);
        }
    });
}

/// A round of it.
fn rule_and_settle(shared: &Shared) -> Result<(), EngineError> {
    let mut chain = shared.lock_chain();
    loop {
        shared.latch.check()?;
        let started = Instant::now();
        if let Some(settled) = chain.settle() {
            let load = Load {
                blocks: settled.verdicts.len() as u64,
                transactions: settled.transactions(),
                bytes: settled.parcel.bytes as u64,
            };
            shared.forget_used(&settled.valid);
            shared.meters.stage(Stage::Validate, started, load);
            shared.send_commit(Command::Settled(settled));
            continue;
        }
        if shared.snapshot_is_due.load(Ordering::Acquire) {
            // A snapshot is of a state without unsettled blocks, so that rules wait until it is taken.
            if chain.ruled() > 0 {
                return Ok(());
            }
            shared.snapshot_is_due.store(false, Ordering::Release);
            // There is room for all that can be asked for. A copy costs little, and is encoded elsewhere.
            let _ = shared
                .snapshots
                .send(Some(chain.validator().state().clone()));
        }
        let Some(parcel) = chain.next_to_rule() else {
            return Ok(());
        };
        let now_us = || shared.clock.now_us();
        chain.rule(&parcel, now_us, shared.committed_end())?;
        let meters = &shared.meters;
        meters.stage(Stage::Validate, started, Load::default());
    }
}
