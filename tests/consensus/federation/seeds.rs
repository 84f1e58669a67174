//! Seeds and reveals, worked out anew from all that was said.

use std::collections::BTreeMap;

use hubledger::digest::{ChainId, Digest, sha256};
use hubledger::rejection::Reason;

use super::model::Member;

/// The layer around another.
pub(super) fn around(chain: &ChainId, name: &str, within: &Digest) -> Digest {
    let name = sha256(&[name.as_bytes()]);
    hash(&[b"hubledger/onion/v1", &chain.0, &name, &within.0])
}

fn hash(parts: &[&[u8]]) -> Digest {
    Digest(sha256(parts))
}

fn epoch_of(height: u64, epoch: u64) -> u64 {
    (height - 1) / epoch
}

#[derive(Debug, Clone)]
pub(super) struct Seeds {
    chain: ChainId,
    /// Of each name: from which epoch on, and the layer that was revealed last.
    committed: BTreeMap<String, Vec<(u64, Digest)>>,
    /// Height, name and layer.
    reveals: Vec<(u64, String, Digest)>,
}

impl Seeds {
    pub(super) fn new(chain: ChainId) -> Self {
        let (committed, reveals) = (BTreeMap::new(), Vec::new());
        Self {
            chain,
            committed,
            reveals,
        }
    }

    fn seed(&self, of: u64, epoch: u64) -> Digest {
        const TAG: &[u8] = b"hubledger/seed/v1";
        if of < 2 {
            return hash(&[TAG, &self.chain.0]);
        }
        let mut collected = self.seed(of - 1, epoch);
        for (height, _, layer) in &self.reveals {
            if epoch_of(*height, epoch) == of - 2 {
                collected = hash(&[TAG, &collected.0, &layer.0]);
            }
        }
        hash(&[TAG, &collected.0, &of.to_le_bytes()])
    }

    /// Whom the seed draws.
    pub(super) fn drawn(&self, members: &[Member], epoch: u64, height: u64, round: u32) -> String {
        let seed = self.seed(epoch_of(height, epoch), epoch);
        let (at, in_round) = (height.to_le_bytes(), round.to_le_bytes());
        let drawn = hash(&[b"hubledger/draw/v1", &seed.0, &at, &in_round]);
        let number = u128::from_le_bytes(*drawn.0.first_chunk().unwrap());
        let whole: u128 = members.iter().map(|member| member.1).sum();
        // The product has more than 128 bits: its upper half and its lower half by themselves.
        let (high, low) = (number >> 64, number & u128::from(u64::MAX));
        let mut place = (high * whole + ((low * whole) >> 64)) >> 64;
        for (name, weight) in members {
            if place < *weight {
                return name.clone();
            }
            place -= weight;
        }
        unreachable!("the place is on the members' weights")
    }

    pub(super) fn commit(&mut self, name: &str, layer: Digest, epoch: u64, height: u64) {
        let since = epoch_of(height, epoch) + 1;
        self.committed
            .entry(name.to_owned())
            .or_default()
            .push((since, layer));
    }

    /// What the next reveal has to be within.
    pub(super) fn outer(&self, name: &str, epoch: u64, height: u64) -> Option<Digest> {
        let all = self.committed.get(name)?.iter().rev();
        all.copied()
            .find(|one| one.0 <= epoch_of(height, epoch))
            .map(|one| one.1)
    }

    pub(super) fn reveal(
        &mut self,
        name: &str,
        layer: Digest,
        epoch: u64,
        height: u64,
    ) -> Result<(), Reason> {
        let is_late = (height - 1) % epoch >= 2 * epoch / 3;
        let is_second = self
            .reveals
            .iter()
            .any(|one| one.0 == height && one.1 == name);
        let outer = self.outer(name, epoch, height);
        if is_late || is_second || outer != Some(around(&self.chain, name, &layer)) {
            return Err(Reason::Reveal);
        }
        let all = self.committed.get_mut(name).unwrap().iter_mut().rev();
        let counting = all.into_iter().find(|one| one.0 <= epoch_of(height, epoch));
        counting.unwrap().1 = layer;
        self.reveals.push((height, name.to_owned(), layer));
        Ok(())
    }
}
