//! Seeds against a naive reading of how they are made: who proposes, what reveals add, and what is refused.

use std::collections::BTreeMap;

use hubledger::consensus::seed::{Epochs, Onion};
use hubledger::consensus::{self, Contribution};
use hubledger::digest::{ChainId, Digest, sha256};
use hubledger::format::FormatVersion;
use hubledger::ledger::Ledger;
use hubledger::model::{Block, Transaction};
use hubledger::payload::{Commit, Payload, Reveal};
use hubledger::rejection::Reason;
use hubledger::spec::{
    Authority, Composition, Consensus, ConsensusName, Finality, Identity, Proposer, SealRule,
};
use hubledger::testing::{Numbers, clock, reopenable};
use hubledger::tree::Source;

use crate::common::{Chain, hub, key};

const EPOCH: u32 = 6;
const MEMBERS: usize = 4;
const DEPTH: u32 = 40;

fn chain() -> Chain {
    let members = (0..MEMBERS).map(|number| Authority {
        key: key(&hub(number)).public_key(),
        name: hub(number),
        weight: 1 + number as u64,
    });
    let mut parts = Composition::named(ConsensusName::ProofOfAuthority, members.collect());
    parts.proposer = Proposer::Seeded { epoch: EPOCH };
    parts.seal = SealRule::Signature;
    Chain::in_version(FormatVersion::V2, 0, |fields| {
        fields.terms.finality = Finality::Depth(100);
        fields.terms.root_interval = 1;
        fields.rules.identity = Identity::Pinned;
        fields.consensus = Consensus::of(parts);
    })
}

fn hash(parts: &[&[u8]]) -> Digest {
    Digest(sha256(parts))
}

/// The layers of an onion, the secret first.
fn layers(chain: &ChainId, name: &str, secret: Digest) -> Vec<Digest> {
    let mut layers = vec![secret];
    for _ in 0..DEPTH {
        let inner = layers[layers.len() - 1];
        let name = sha256(&[name.as_bytes()]);
        layers.push(hash(&[b"hubledger/onion/v1", &chain.0, &name, &inner.0]));
    }
    layers
}

/// What a member has committed to: the layers that are still to be revealed, the innermost first, and the epoch from which on they count.
#[derive(Debug, Clone)]
struct Committed {
    since: u64,
    layers: Vec<Digest>,
}

/// Everything that was ever said, from which all else is worked out anew.
#[derive(Debug, Clone, Default)]
struct Naive {
    /// All that a member committed to, the last one last.
    commitments: BTreeMap<String, Vec<Committed>>,
    /// Height and layer.
    reveals: Vec<(u64, Digest)>,
}

fn epoch_of(height: u64) -> u64 {
    (height - 1) / u64::from(EPOCH)
}

fn counts(height: u64) -> bool {
    (height - 1) % u64::from(EPOCH) < 4
}

impl Naive {
    fn seed(&self, chain: &ChainId, epoch: u64) -> Digest {
        const TAG: &[u8] = b"hubledger/seed/v1";
        if epoch < 2 {
            return hash(&[TAG, &chain.0]);
        }
        let mut seed = self.seed(chain, epoch - 1);
        for (height, layer) in &self.reveals {
            if epoch_of(*height) == epoch - 2 {
                seed = hash(&[TAG, &seed.0, &layer.0]);
            }
        }
        hash(&[TAG, &seed.0, &epoch.to_le_bytes()])
    }

    fn proposer(&self, chain: &ChainId, height: u64) -> usize {
        let seed = self.seed(chain, epoch_of(height));
        let drawn = hash(&[
            b"hubledger/draw/v1",
            &seed.0,
            &height.to_le_bytes(),
            &0u32.to_le_bytes(),
        ]);
        // Ten units of weight: a tenth of all 128-bit numbers for each.
        let number = u128::from_le_bytes(*drawn.0.first_chunk().unwrap());
        let tenth = (0..10).rev().find(|tenth| {
            // The least number that is scaled to it.
            let least = (u128::MAX / 10 * tenth) + (u128::MAX % 10 * tenth + tenth).div_ceil(10);
            number >= least
        });
        match tenth.unwrap() {
            0 => 0,
            1 | 2 => 1,
            3..=5 => 2,
            _ => 3,
        }
    }

    fn counting(&mut self, name: &str, height: u64) -> Option<&mut Committed> {
        let all = self.commitments.get_mut(name)?;
        all.iter_mut()
            .rev()
            .find(|one| one.since <= epoch_of(height))
    }
}

/// What the next producer says, and whether it may.
enum Act {
    Commit(Vec<Digest>),
    Reveal(Digest),
}

struct Run {
    chain: Chain,
    naive: Naive,
    numbers: Numbers,
    made: u64,
}

impl Run {
    fn id(&self) -> ChainId {
        self.chain.spec().id()
    }

    fn producer(&self) -> String {
        let state = self.chain.state();
        let place = consensus::proposer(self.chain.spec(), state, 0).unwrap();
        let expected = self.naive.proposer(&self.id(), state.height() + 1);
        assert_eq!(place, expected, "height {}", state.height() + 1);
        hub(place)
    }

    fn act(&mut self, name: &str) -> Act {
        let height = self.chain.state().height() + 1;
        if self.numbers.below(4) == 0 {
            self.made += 1;
            let secret = hash(&[b"secret", &self.made.to_le_bytes()]);
            return Act::Commit(layers(&self.id(), name, secret));
        }
        let right = self.naive.counting(name, height);
        let right = right.and_then(|one| one.layers.last().copied());
        let right = right.unwrap_or(Digest([7; 32]));
        match self.numbers.below(6) {
            0 => Act::Reveal(Digest([9; 32])),
            _ => Act::Reveal(right),
        }
    }

    fn may(&mut self, name: &str, act: &Act) -> bool {
        let height = self.chain.state().height() + 1;
        match act {
            Act::Commit(_) => true,
            Act::Reveal(layer) => {
                counts(height)
                    && self
                        .naive
                        .counting(name, height)
                        .is_some_and(|one| one.layers.last() == Some(layer))
            }
        }
    }

    fn note(&mut self, name: &str, act: Act) {
        let height = self.chain.state().height() + 1;
        match act {
            Act::Commit(mut layers) => {
                layers.pop();
                let since = epoch_of(height) + 1;
                let all = self.naive.commitments.entry(name.to_owned()).or_default();
                // What was to count from the same epoch on never does.
                all.retain(|one| one.since < since);
                all.push(Committed { since, layers });
            }
            Act::Reveal(layer) => {
                self.naive.counting(name, height).unwrap().layers.pop();
                self.naive.reveals.push((height, layer));
            }
        }
    }

    /// One more block, with or without something for the seeds.
    fn step(&mut self) -> Block {
        let name = self.producer();
        let mut said = Vec::new();
        if self.numbers.below(5) > 0 {
            let act = self.act(&name);
            let payload = match &act {
                Act::Commit(layers) => Payload::Commit(Commit {
                    layer: layers[layers.len() - 1],
                }),
                Act::Reveal(layer) => Payload::Reveal(Reveal { layer: *layer }),
            };
            let transaction = says(&self.chain, &name, payload);
            if self.may(&name, &act) {
                self.note(&name, act);
                said.push(transaction);
            } else {
                let block = self.chain.block_by(&name, &[transaction]);
                assert_eq!(self.chain.refusal(&block), (Some(0), Reason::Reveal));
            }
        }
        let block = self.chain.block_by(&name, &said);
        self.chain.push(block.clone());
        block
    }
}

fn says(chain: &Chain, name: &str, payload: Payload) -> Transaction {
    let nonce = chain.state().account(name).nonce + 1;
    chain.signed(name, nonce, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

#[test]
fn proposers_are_those_whom_a_naive_reading_of_all_that_was_said_chooses() {
    for seed in 0..12 {
        let mut run = Run {
            chain: chain(),
            naive: Naive::default(),
            numbers: Numbers(seed),
            made: 0,
        };
        let place = reopenable();
        let now = clock(u64::MAX >> 1);
        let store = || place.open().unwrap();
        let mut ledger = Ledger::create(store(), run.chain.spec(), now.clone()).unwrap();
        let (mut length, mut earlier) = (0, Vec::new());
        while run.chain.state().height() < 60 {
            if run.numbers.below(3) == 0 {
                earlier.push((run.chain.clone(), run.naive.clone()));
            }
            if run.numbers.below(12) == 0 && !earlier.is_empty() {
                // Another branch, from one of the last blocks.
                let back = run.numbers.below(earlier.len().min(3) as u64) as usize;
                let at = earlier.len() - 1 - back;
                earlier.truncate(at + 1);
                (run.chain, run.naive) = earlier[at].clone();
            }
            let block = run.step();
            ledger.offer(&block, Source(1)).unwrap();
            if block.height() > length {
                length = block.height();
                let (mut own, mut ours) = (ledger.state().clone(), run.chain.state().clone());
                assert_eq!(own.root(), ours.root());
            }
            if run.numbers.below(10) == 0 {
                drop(ledger);
                ledger = Ledger::open(store(), now.clone()).unwrap();
            }
        }
        assert!(!run.naive.reveals.is_empty());
    }
}

/// A chain of so many blocks, in which the producer of the first one has committed to an onion; that member, and its layers.
fn committed(blocks: u64) -> (Chain, String, Vec<Digest>) {
    let mut chain = chain();
    let (id, first) = (chain.spec().id(), next(&chain));
    let layers = layers(&id, &first, Digest([1; 32]));
    let payload = Payload::Commit(Commit {
        layer: layers[layers.len() - 1],
    });
    let commit = says(&chain, &first, payload);
    chain.push(chain.block_by(&first, &[commit]));
    while chain.state().height() < blocks {
        chain.push(chain.block_by(&next(&chain), &[]));
    }
    (chain, first, layers)
}

fn next(chain: &Chain) -> String {
    hub(consensus::proposer(chain.spec(), chain.state(), 0).unwrap())
}

/// The same up to before a block of the member's in which a reveal counts.
fn before_own(blocks: u64) -> (Chain, String, Vec<Digest>) {
    let (mut chain, name, layers) = committed(blocks);
    while next(&chain) != name || !counts(chain.state().height() + 1) {
        chain.push(chain.block_by(&next(&chain), &[]));
    }
    (chain, name, layers)
}

fn reveal(chain: &Chain, name: &str, layer: Digest) -> Transaction {
    says(chain, name, Payload::Reveal(Reveal { layer }))
}

#[track_caller]
fn refused(chain: &Chain, producer: &str, transactions: &[Transaction]) {
    let (index, reason) = chain.refusal(&chain.block_by(producer, transactions));
    let last = transactions.len() as u32 - 1;
    assert_eq!((index, reason), (Some(last), Reason::Reveal));
}

#[test]
fn only_the_next_layer_of_its_own_onion_passes_and_once_a_block() {
    let (mut chain, name, layers) = before_own(u64::from(EPOCH));
    let top = layers.len() - 1;
    for wrong in [top, top - 2, 0] {
        refused(&chain, &name, &[reveal(&chain, &name, layers[wrong])]);
    }
    let right = reveal(&chain, &name, layers[top - 1]);
    let nonce = chain.state().account(&name).nonce + 2;
    let second = chain.signed(&name, nonce, |draft| {
        let layer = layers[top - 2];
        let payload = Payload::Reveal(Reveal { layer });
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    });
    refused(&chain, &name, &[right.clone(), second]);
    chain.push(chain.block_by(&name, &[right]));
    while next(&chain) != name || !counts(chain.state().height() + 1) {
        chain.push(chain.block_by(&next(&chain), &[]));
    }
    // Again, and the one after it.
    refused(&chain, &name, &[reveal(&chain, &name, layers[top - 1])]);
    chain.push(chain.block_by(&name, &[reveal(&chain, &name, layers[top - 2])]));
}

#[test]
fn nobody_reveals_in_anothers_block_for_another_or_without_a_commitment() {
    let (mut chain, name, layers) = before_own(u64::from(EPOCH));
    let layer = layers[layers.len() - 2];
    // A stranger, and a member by a layer of another's onion.
    refused(&chain, &name, &[reveal(&chain, "stranger", layer)]);
    let commit = Commit { layer };
    refused(
        &chain,
        &name,
        &[says(&chain, "stranger", Payload::Commit(commit))],
    );
    while next(&chain) == name || !counts(chain.state().height() + 1) {
        chain.push(chain.block_by(&next(&chain), &[]));
    }
    let other = next(&chain);
    refused(&chain, &other, &[reveal(&chain, &name, layer)]);
    refused(&chain, &other, &[reveal(&chain, &other, layer)]);
    let unknown = consensus::contribution(chain.spec(), chain.state(), &other);
    assert_eq!(unknown, Contribution::Commitment);
    let stranger = consensus::contribution(chain.spec(), chain.state(), "stranger");
    assert_eq!(stranger, Contribution::Nothing);
}

#[test]
fn what_is_committed_to_in_an_epoch_counts_from_the_next_one_on() {
    let (mut chain, name, layers) = committed(1);
    let top = layers.len() - 1;
    while chain.state().height() + 1 < u64::from(EPOCH) {
        if next(&chain) == name && counts(chain.state().height() + 1) {
            refused(&chain, &name, &[reveal(&chain, &name, layers[top - 1])]);
        }
        chain.push(chain.block_by(&next(&chain), &[]));
    }
    let (mut chain, name, _) = before_own(u64::from(EPOCH));
    // Another onion, now that others' reveals of the epoch can be seen.
    let other = crate::seeds::layers(&chain.spec().id(), &name, Digest([2; 32]));
    let payload = Payload::Commit(Commit { layer: other[top] });
    chain.push(chain.block_by(&name, &[says(&chain, &name, payload)]));
    let epoch = epoch_of(chain.state().height());
    loop {
        let height = chain.state().height() + 1;
        if next(&chain) == name && counts(height) {
            let layer = match epoch_of(height) == epoch {
                true => layers[top - 1],
                false => other[top - 1],
            };
            let wrong = match epoch_of(height) == epoch {
                true => other[top - 1],
                false => layers[top - 1],
            };
            refused(&chain, &name, &[reveal(&chain, &name, wrong)]);
            chain.push(chain.block_by(&name, &[reveal(&chain, &name, layer)]));
            break;
        }
        chain.push(chain.block_by(&next(&chain), &[]));
    }
}

#[test]
fn no_reveal_counts_in_the_last_third_of_an_epoch() {
    let (mut chain, name, layers) = committed(u64::from(EPOCH));
    while next(&chain) != name || counts(chain.state().height() + 1) {
        chain.push(chain.block_by(&next(&chain), &[]));
    }
    refused(
        &chain,
        &name,
        &[reveal(&chain, &name, layers[layers.len() - 2])],
    );
}

#[test]
fn a_reveal_waits_for_its_senders_block_and_is_not_dropped_before() {
    let (mut chain, name, layers) = before_own(u64::from(EPOCH));
    let onion = Onion::new(&chain.spec().id(), &name);
    let (top, validator) = (layers.len() - 1, &chain.validator);
    let Contribution::Below(around) = consensus::contribution(chain.spec(), chain.state(), &name)
    else {
        panic!("it can reveal")
    };
    let layer = onion.below(&layers[0], DEPTH, &around).unwrap();
    assert_eq!(layer, layers[top - 1]);
    let right = reveal(&chain, &name, layer);
    let now = chain.now();
    validator.admit(&right, now).unwrap();
    let others = (0..MEMBERS).map(hub).find(|other| *other != name).unwrap();
    let (chosen, dropped) = validator.choose(&others, now, [&right].into_iter());
    assert_eq!((chosen, dropped), (vec![], vec![]));
    let (chosen, dropped) = validator.choose(&name, now, [&right].into_iter());
    assert_eq!((chosen, dropped), (vec![right.clone()], vec![]));
    chain.push(chain.block_by(&name, std::slice::from_ref(&right)));
    // Said already: nobody keeps it, whoever makes the block.
    let (_, dropped) = chain.validator.choose(&others, now, [&right].into_iter());
    assert_eq!(dropped, std::slice::from_ref(&right));
    let (chosen, dropped) = chain.validator.choose(&name, now, [&right].into_iter());
    assert_eq!((chosen, dropped), (vec![], vec![right]));
}

#[test]
fn epochs_of_the_test_are_those_of_the_rules() {
    let epochs = Epochs::new(EPOCH).unwrap();
    for height in 1..40 {
        assert_eq!(epochs.of(height), epoch_of(height));
        assert_eq!(epochs.counts(height), counts(height));
    }
}
