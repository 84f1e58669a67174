//! Signed messages, and streams of batches of them in which an adversary places bad signatures.
//!
//! Workloads are named by letters. **H**, a hub: few senders sign everything, their keys are known. **C**: every signature
//! is by another key, but all keys were seen before. **D**: every signature is by another key, and none was ever
//! seen. C and D are the same messages; what differs is whether a verifier may keep what it knows of keys.

use std::ops::Range;

use anyhow::{Context as _, Result};
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use hubledger_signatures::{Item, PublicKey, Signature};
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// Senders of workload H.
pub(crate) const SENDERS: usize = 64;
/// Length of messages.
pub(crate) const MESSAGE_BYTES: usize = 200;
/// Longest message where lengths differ.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4096;

/// Valid signatures of different messages, in the forms that the contestants take.
#[derive(Debug)]
pub(crate) struct Workload {
    keys: Vec<PublicKey>,
    verifying_keys: Vec<VerifyingKey>,
    parsed_keys: Vec<ParsedPublicKey>,
    messages: Vec<Vec<u8>>,
    signatures: Vec<Signature>,
}

impl Workload {
    /// A message of each of these lengths, signed by so many keys in turn.
    pub(crate) fn new(keys: usize, lengths: &[usize]) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(keys as u64);
        let signers: Vec<SigningKey> = (0..keys)
            .map(|_| SigningKey::from_bytes(&random.random()))
            .collect();
        let mut workload = Self {
            keys: Vec::new(),
            verifying_keys: Vec::new(),
            parsed_keys: Vec::new(),
            messages: Vec::new(),
            signatures: Vec::new(),
        };
        for (&length, signer) in lengths.iter().zip(signers.iter().cycle()) {
            let mut message = vec![0; length];
            random.fill_bytes(&mut message);
            let key = signer.verifying_key();
            let parsed = ParsedPublicKey::new(&ED25519, key.to_bytes());
            workload.keys.push(PublicKey::from_bytes(key.to_bytes()));
            workload.verifying_keys.push(key);
            workload
                .parsed_keys
                .push(parsed.ok().context("aws-lc-rs takes no key")?);
            let signature = signer.sign(&message).to_bytes();
            workload.signatures.push(Signature::from_bytes(signature));
            workload.messages.push(message);
        }
        Ok(workload)
    }

    /// Workload H of `n` messages.
    pub(crate) fn hub(n: usize) -> Result<Self> {
        Self::new(SENDERS, &vec![MESSAGE_BYTES; n])
    }

    /// Workloads C and D of `n` messages.
    pub(crate) fn strangers(n: usize) -> Result<Self> {
        Self::new(n, &vec![MESSAGE_BYTES; n])
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// `n` lengths from 0 to [`MESSAGE_BYTES_MAX`] at random, and `n` lengths as equal as can be with the same sum.
pub(crate) fn mixed_and_equal_lengths(n: usize) -> (Vec<usize>, Vec<usize>) {
    let mut random = StdRng::seed_from_u64(4096);
    let mixed: Vec<usize> = (0..n)
        .map(|_| random.random_range(0..=MESSAGE_BYTES_MAX))
        .collect();
    let sum: usize = mixed.iter().sum();
    let equal = (0..n).map(|i| sum / n + usize::from(i < sum % n)).collect();
    (mixed, equal)
}

/// What a contestant is given at a time. All slices have the same length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) items: &'a [Item<'a>],
    pub(crate) keys: &'a [PublicKey],
    pub(crate) verifying_keys: &'a [VerifyingKey],
    pub(crate) parsed_keys: &'a [ParsedPublicKey],
    pub(crate) messages: &'a [&'a [u8]],
    pub(crate) signatures: &'a [ed25519_dalek::Signature],
}

/// An endless stream of batches out of a workload, each with bad signatures at fresh random positions.
#[derive(Debug)]
pub(crate) struct Stream<'w> {
    workload: &'w Workload,
    messages: Vec<&'w [u8]>,
    signatures: Vec<Signature>,
    dalek_signatures: Vec<ed25519_dalek::Signature>,
    batch: usize,
    span: usize,
    bad: usize,
    spoiled: Vec<usize>,
    next: usize,
    random: StdRng,
}

impl<'w> Stream<'w> {
    /// Batches of `batch` items with `bad` bad ones in each, as many at a time as make `span` items.
    pub(crate) fn new(workload: &'w Workload, batch: usize, span: usize, bad: usize) -> Self {
        assert!(bad <= batch && span.is_multiple_of(batch) && workload.len().is_multiple_of(span));
        let signatures = workload.signatures.clone();
        let dalek = |signature: &Signature| (*signature.as_bytes()).into();
        Self {
            workload,
            messages: workload.messages.iter().map(Vec::as_slice).collect(),
            dalek_signatures: signatures.iter().map(dalek).collect(),
            signatures,
            batch,
            span,
            bad,
            spoiled: Vec::new(),
            next: 0,
            random: StdRng::seed_from_u64(bad as u64),
        }
    }

    /// Items that come at a time.
    pub(crate) fn span(&self) -> usize {
        self.span
    }

    /// Bad ones among the items that come at a time.
    pub(crate) fn bad(&self) -> usize {
        self.span / self.batch * self.bad
    }

    /// Moves to the next items of the stream, and spoils some of them.
    pub(crate) fn advance(&mut self) -> Range<usize> {
        for index in std::mem::take(&mut self.spoiled) {
            self.flip(index);
        }
        let range = self.next..self.next + self.span;
        self.next = range.end % self.workload.len();
        if self.bad > 0 {
            for start in range.clone().step_by(self.batch) {
                for place in sample(&mut self.random, self.batch, self.bad) {
                    self.flip(start + place);
                    self.spoiled.push(start + place);
                }
            }
        }
        range
    }

    /// Changes the lowest bit of `s`: only the equation can tell that it is bad, the dearest kind.
    fn flip(&mut self, index: usize) {
        let mut bytes = *self.signatures[index].as_bytes();
        bytes[32] ^= 1;
        self.signatures[index] = Signature::from_bytes(bytes);
        self.dalek_signatures[index] = bytes.into();
    }

    /// A range's items.
    pub(crate) fn items(&self, range: Range<usize>) -> Vec<Item<'_>> {
        range
            .map(|index| Item {
                key: &self.workload.keys[index],
                message: self.messages[index],
                signature: &self.signatures[index],
            })
            .collect()
    }

    /// The batches of a range and its items.
    pub(crate) fn batches<'a>(
        &'a self,
        range: Range<usize>,
        items: &'a [Item<'a>],
    ) -> impl Iterator<Item = Batch<'a>> {
        let starts = range.clone().step_by(self.batch);
        let items = items.chunks(self.batch);
        starts.zip(items).map(move |(start, items)| {
            let range = start..start + items.len();
            Batch {
                items,
                keys: &self.workload.keys[range.clone()],
                verifying_keys: &self.workload.verifying_keys[range.clone()],
                parsed_keys: &self.workload.parsed_keys[range.clone()],
                messages: &self.messages[range.clone()],
                signatures: &self.dalek_signatures[range],
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_and_equal_lengths_have_the_same_sum() {
        let (mixed, equal) = mixed_and_equal_lengths(1000);
        assert_eq!(mixed.iter().sum::<usize>(), equal.iter().sum::<usize>());
        assert!(mixed.iter().any(|&length| length < 200));
        assert!(mixed.iter().any(|&length| length > 3900));
        assert!(equal.iter().all(|length| equal[0] - length <= 1));
    }

    #[test]
    fn each_batch_has_its_bad_ones_at_new_places_and_no_others() {
        let workload = Workload::hub(64).expect("good keys");
        let mut stream = Stream::new(&workload, 16, 32, 3);
        assert_eq!((stream.span(), stream.bad()), (32, 6));
        let mut seen = Vec::new();
        for expected in [0..32, 32..64, 0..32] {
            let range = stream.advance();
            assert_eq!(range, expected);
            let items = stream.items(range.clone());
            let bad: Vec<Vec<usize>> = stream
                .batches(range, &items)
                .map(|batch| {
                    let all = batch.items.iter().enumerate();
                    let bad = all.filter(|(_, item)| {
                        hubledger_signatures::verify(item.key, item.message, item.signature)
                            .is_err()
                    });
                    bad.map(|(index, _)| index).collect()
                })
                .collect();
            assert_eq!(bad.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
            seen.push(bad);
        }
        assert_ne!(seen[0], seen[2]);
    }
}
