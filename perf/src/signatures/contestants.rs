//! Who checks signatures: our verifier, and its peers as a careful user would call them.
//!
//! Every contestant says which signatures are bad. A peer whose batch only says *that* some are is followed by its own
//! single verification of each, which is what its user would have to do.

use anyhow::{Result, ensure};
use ed25519_dalek::{Verifier as _, VerifyingKey, verify_batch};
use ed25519_zebra::VerificationKeyBytes;
use hubledger_signatures::{Path, Settings, Verifier};

use super::workload::{Batch, Stream};
use crate::clock::{Clock, Times};
use crate::turns::Contestant;

/// Counts the bad signatures of a batch.
pub(crate) type Check = Box<dyn FnMut(&Batch<'_>) -> usize>;

/// A way to check signatures.
pub(crate) struct Checker {
    name: String,
    pub(crate) threads: usize,
    keeps_state: bool,
    check: Check,
}

impl Checker {
    /// This checker on a stream of its own. One thread is measured by its processor time.
    pub(crate) fn on(self, mut stream: Stream<'_>) -> Contestant<'_> {
        let clock = match self.threads {
            1 => Clock::Thread,
            _ => Clock::Wall,
        };
        let (name, mut check) = (self.name.clone(), self.check);
        let contestant = Contestant::new(self.name, clock, stream.span(), move || {
            let range = stream.advance();
            let items = stream.items(range.clone());
            let batches = stream.batches(range, &items);
            let (bad, times) = Times::of(|| batches.map(|batch| check(&batch)).sum::<usize>());
            let expected = stream.bad();
            ensure!(
                bad == expected,
                "{name} found {bad} bad signatures, not {expected}"
            );
            Ok(times)
        });
        match self.keeps_state {
            true => contestant.that_warms_up(),
            false => contestant,
        }
    }
}

/// Whether keys were seen before. If not, whoever wants a decompressed key has to decompress it each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Known,
    Unknown,
}

/// What is asked of our verifier at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// A batch.
    Batch,
    /// One signature; keys that come often get tables, as they do by default.
    Single,
    /// One signature, without tables.
    SingleWithoutTables,
}

/// Our verifier with its default settings, but for what the arguments say.
pub(crate) fn ours(path: Path, threads: usize, keys: Keys, calls: Calls) -> Result<Checker> {
    let mut settings = Settings::default();
    settings.path = Some(path);
    settings.threads = threads;
    if keys == Keys::Unknown {
        settings.cache_bytes = 0;
        settings.table_bytes = 0;
    }
    if calls == Calls::SingleWithoutTables {
        settings.table_bytes = 0;
    }
    let verifier = Verifier::new(&settings)?;
    let check: Check = match calls {
        Calls::Batch => Box::new(move |batch| verifier.verify(batch.items).bad().len()),
        Calls::Single | Calls::SingleWithoutTables => Box::new(move |batch| {
            let bad = batch
                .items
                .iter()
                .filter(|item| verifier.verify_one(item).is_err());
            bad.count()
        }),
    };
    Ok(Checker {
        name: format!("hubledger {path}"),
        threads,
        keeps_state: true,
        check,
    })
}

fn peer(name: &str, check: impl FnMut(&Batch<'_>) -> usize + 'static) -> Checker {
    Checker {
        name: name.to_owned(),
        threads: 1,
        keeps_state: false,
        check: Box::new(check),
    }
}

/// ed25519-dalek's batch; unknown keys are decompressed first, known ones were before.
pub(crate) fn dalek_batch(keys: Keys) -> Checker {
    peer("ed25519-dalek batch", move |batch| {
        let Some(verifying_keys) = verifying_keys(batch, keys) else {
            return dalek_bad(batch, keys);
        };
        match verify_batch(batch.messages, batch.signatures, &verifying_keys) {
            Ok(()) => 0,
            Err(_) => dalek_bad(batch, keys),
        }
    })
}

/// ed25519-dalek's single verification.
pub(crate) fn dalek_single(keys: Keys) -> Checker {
    peer("ed25519-dalek single", move |batch| dalek_bad(batch, keys))
}

/// The keys as dalek's batch wants them. None if one has no point.
fn verifying_keys<'a>(
    batch: &Batch<'a>,
    keys: Keys,
) -> Option<std::borrow::Cow<'a, [VerifyingKey]>> {
    match keys {
        Keys::Known => Some(batch.verifying_keys.into()),
        Keys::Unknown => {
            let keys = batch.keys.iter();
            let keys: Result<Vec<_>, _> = keys
                .map(|key| VerifyingKey::from_bytes(key.as_bytes()))
                .collect();
            keys.ok().map(Into::into)
        }
    }
}

fn dalek_bad(batch: &Batch<'_>, keys: Keys) -> usize {
    let is_bad = |&index: &usize| {
        let (message, signature) = (batch.messages[index], &batch.signatures[index]);
        match keys {
            Keys::Known => batch.verifying_keys[index]
                .verify(message, signature)
                .is_err(),
            Keys::Unknown => VerifyingKey::from_bytes(batch.keys[index].as_bytes())
                .and_then(|key| key.verify(message, signature))
                .is_err(),
        }
    };
    (0..batch.keys.len()).filter(is_bad).count()
}

/// ed25519-zebra's batch, which takes keys as bytes and sums each key's signatures into one term as ours does.
pub(crate) fn zebra_batch() -> Checker {
    peer("ed25519-zebra batch", |batch| {
        let item = |index: usize| {
            let key = VerificationKeyBytes::from(*batch.keys[index].as_bytes());
            let item = (key, batch.signatures[index], batch.messages[index]);
            ed25519_zebra::batch::Item::from(item)
        };
        let mut verifier = ed25519_zebra::batch::Verifier::new();
        for index in 0..batch.keys.len() {
            verifier.queue(item(index));
        }
        if verifier.verify(rand::rng()).is_ok() {
            return 0;
        }
        let each = 0..batch.keys.len();
        each.filter(|&index| item(index).verify_single().is_err())
            .count()
    })
}

/// ring's single verification, which takes keys as bytes.
pub(crate) fn ring_single() -> Checker {
    use ring::signature::{ED25519, UnparsedPublicKey};
    peer("ring single", |batch| {
        let is_bad = |&index: &usize| {
            let key = UnparsedPublicKey::new(&ED25519, batch.keys[index].as_bytes());
            let signature = batch.signatures[index].to_bytes();
            key.verify(batch.messages[index], &signature).is_err()
        };
        (0..batch.keys.len()).filter(is_bad).count()
    })
}

/// aws-lc-rs's single verification; known keys were parsed before.
pub(crate) fn aws_lc_single(keys: Keys) -> Checker {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    peer("aws-lc-rs single", move |batch| {
        let is_bad = |&index: &usize| {
            let signature = batch.signatures[index].to_bytes();
            let message = batch.messages[index];
            match keys {
                Keys::Known => batch.parsed_keys[index]
                    .verify_sig(message, &signature)
                    .is_err(),
                Keys::Unknown => UnparsedPublicKey::new(&ED25519, batch.keys[index].as_bytes())
                    .verify(message, &signature)
                    .is_err(),
            }
        };
        (0..batch.keys.len()).filter(is_bad).count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signatures::workload::Workload;

    #[test]
    fn every_contestant_counts_the_bad_ones_of_every_workload() {
        let workload = Workload::strangers(32).expect("good keys");
        for keys in [Keys::Known, Keys::Unknown] {
            for bad in [0, 1, 16] {
                let mut checkers = vec![
                    dalek_batch(keys),
                    dalek_single(keys),
                    zebra_batch(),
                    ring_single(),
                    aws_lc_single(keys),
                ];
                for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
                    for calls in [Calls::Batch, Calls::Single, Calls::SingleWithoutTables] {
                        checkers.push(ours(path, 2, keys, calls).expect("available"));
                    }
                }
                for checker in checkers {
                    let mut contestant = checker.on(Stream::new(&workload, 16, 32, bad));
                    for _ in 0..2 {
                        contestant.pass().expect("counts right");
                    }
                }
            }
        }
    }
}
