//! Every composition makes chains, and who isn't entitled can't extend them.

use hubledger::consensus;
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::model::{Block, Header, HeaderFields, QuorumSeal, Seal, VectorClock};
use hubledger::payload::Payload;
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::{Depth, Validator};
use hubledger::signature::KeyPair;
use hubledger::spec::{
    ChainSpec, Composition, Consensus, ConsensusName, Finality, Membership, Quorum, SealRule,
};
use hubledger::testing::members::{federation, listed};

use crate::common::{Chain, key};

/// A chain of a composition, in a validator that judges all of it as a stranger's.
struct Made {
    validator: Validator,
    generator: Generator,
}

impl Made {
    fn new(consensus: ConsensusName, members: u32) -> Self {
        let recipe = Recipe {
            consensus,
            members,
            transactions: 200,
            per_block: 4,
            keys: 3,
            ..Recipe::default()
        };
        let generator = Generator::new(recipe).unwrap();
        Self {
            validator: Validator::new(generator.spec().clone()),
            generator,
        }
    }

    fn spec(&self) -> &ChainSpec {
        self.validator.spec()
    }

    fn next(&mut self) -> Block {
        self.generator.next_block().unwrap().unwrap()
    }

    fn check(&self, block: &Block) -> Result<(), Rejected> {
        let now_us = block.header().timestamp;
        let verdict = self.validator.check(block, Depth::Full { now_us });
        verdict.map(drop)
    }

    fn push(&mut self, block: &Block) {
        let now_us = block.header().timestamp;
        let valid = self.validator.check(block, Depth::Full { now_us });
        self.validator.apply(&valid.unwrap());
    }

    /// The block with other header fields, and all the work and all the signatures that it needs.
    fn forged(&self, block: &Block, change: impl FnOnce(&mut HeaderFields)) -> Block {
        self.forged_by(
            block,
            &self.generator.seal_keys().iter().collect::<Vec<_>>(),
            0,
            change,
        )
    }

    fn forged_by(
        &self,
        block: &Block,
        keys: &[&KeyPair],
        round: u32,
        change: impl FnOnce(&mut HeaderFields),
    ) -> Block {
        let mut fields = (**block.header()).clone();
        change(&mut fields);
        let header = Header::new(fields).unwrap();
        let header = consensus::with_work(self.spec(), header, 1 << 24).unwrap();
        let state = self.validator.state();
        let seal = consensus::seal_by(self.spec(), state, keys, round, &header);
        Block::assemble(header, seal, block.transactions()).unwrap()
    }

    /// The clock of the next block, if somebody makes it.
    fn clock_after(&self, producer: &str) -> VectorClock {
        let state = self.validator.state();
        let counted = consensus::clock_name(self.spec(), state.height() + 1, producer);
        state.clock().increment(counted).unwrap()
    }

    fn reason(&self, block: &Block) -> Reason {
        self.check(block).unwrap_err().reason
    }
}

#[test]
fn a_chain_of_each_composition_is_made_and_is_valid_to_a_stranger() {
    for &name in ConsensusName::ALL {
        for members in [1, 4, 7] {
            let mut made = Made::new(name, members);
            let spec = made.spec().clone();
            assert_eq!(spec.contradictions(), vec![], "{name:?}");
            assert_eq!(spec.composition().name, name);
            let text = spec.to_toml();
            assert_eq!(
                ChainSpec::from_toml(&text).unwrap().id(),
                spec.id(),
                "{text}"
            );
            assert_eq!(ChainSpec::decode(spec.bytes()).unwrap().id(), spec.id());
            for _ in 0..50 {
                let block = made.next();
                made.push(&block);
            }
            assert_eq!(made.validator.state().height(), 50);
            assert_eq!(made.spec().version, FormatVersion::V2);
        }
    }
}

#[test]
fn a_chain_that_asks_who_was_there_carries_the_certificate_of_each_block_in_the_next() {
    let recipe = Recipe {
        consensus: ConsensusName::ProofOfStake,
        members: 4,
        transactions: 40,
        per_block: 4,
        keys: 3,
        ..Recipe::default()
    };
    let pattern = Generator::new(recipe.clone()).unwrap();
    let mut fields = (**pattern.spec()).clone();
    let Consensus::Composed(parts) = &mut fields.consensus else {
        panic!("stakes are composed");
    };
    parts.seal = SealRule::Quorum(Quorum::TWO_THIRDS);
    for member in &mut parts.members {
        member.key = key(&member.name).public_key();
    }
    let keys = parts.members.iter().map(|member| key(&member.name));
    let keys: Vec<KeyPair> = keys.collect();
    fields.terms.finality = Finality::Immediate;
    fields.limits.transactions_max = 100;
    let words = fields.in_words();
    let (_, penalties) = words
        .iter()
        .find(|(path, _)| *path == "consensus.penalties")
        .unwrap();
    let absent = "Being in none of 100 certificates that later blocks carry, one after the other, costs 0.10 %.";
    assert!(penalties.contains(absent), "{penalties}");
    let spec = ChainSpec::new(fields).unwrap();
    let mut generator = Generator::for_spec(recipe, spec.clone(), keys).unwrap();
    let mut validator = Validator::new(spec);
    while let Some(block) = generator.next_block().unwrap() {
        let height = block.height();
        let said = block.transactions().iter();
        let said = said.filter_map(|one| Payload::of(one, false));
        let certified: Vec<u64> = said
            .filter_map(|said| match said {
                Payload::Certify(certify) => Some(certify.vote().height),
                _ => None,
            })
            .collect();
        let expected: &[u64] = if height > 1 { &[height - 1] } else { &[] };
        assert_eq!(certified, expected);
        let now_us = block.header().timestamp;
        let valid = validator.check(&block, Depth::Full { now_us });
        validator.apply(&valid.unwrap());
    }
    assert_eq!(validator.state().height(), 10);
}

#[test]
fn parts_that_are_not_the_names_own_are_in_the_text_too() {
    let named = |name| Composition::named(name, listed(&[20, 20, 20, 20]));
    let staked = named(ConsensusName::ProofOfStake).membership;
    let mut delegating = named(ConsensusName::ProofOfStake);
    delegating.membership = named(ConsensusName::DelegatedProofOfStake).membership;
    let mut alone = named(ConsensusName::DelegatedProofOfStake);
    alone.membership = staked.clone();
    let mut agreeing = named(ConsensusName::FederatedByzantine);
    agreeing.membership = staked;
    let mut voting = named(ConsensusName::ProofOfStake);
    voting.membership = Membership::Listed;
    let mut checkpoints = named(ConsensusName::Hybrid);
    checkpoints.penalties.double_signing = 700;
    for parts in [delegating, alone, agreeing, voting, checkpoints] {
        let chain = Chain::new(0, |fields| {
            let works = parts.work().is_some();
            federation(fields, parts);
            if works {
                fields.terms.finality = Finality::Depth(20);
            }
        });
        let text = chain.spec().to_toml();
        let again = ChainSpec::from_toml(&text).unwrap();
        assert_eq!(again.id(), chain.spec().id(), "{text}");
    }
}

#[test]
fn nobody_without_entitlement_extends_a_chain_of_any_composition() {
    for &name in ConsensusName::ALL {
        let mut made = Made::new(name, 4);
        for _ in 0..5 {
            let block = made.next();
            made.push(&block);
        }
        let block = made.next();
        made.check(&block).unwrap();
        // A seal of another kind.
        let seals = [
            Seal::None,
            Seal::Work,
            Seal::by_authority(&key("mallory"), &block.hash()),
        ];
        for seal in seals {
            if std::mem::discriminant(&seal) == std::mem::discriminant(block.seal()) {
                continue;
            }
            let bare = block.clone().sealed(seal);
            assert_eq!(made.reason(&bare), Reason::Seal, "{name:?}");
        }
        // A number that isn't the consensus's.
        let works = made.spec().composition().work().is_some();
        let harder = made.forged(&block, |fields| {
            fields.difficulty += 1;
            // Which is also what the chain weighs, where it is work.
            fields.weight += u128::from(works);
        });
        assert_eq!(made.reason(&harder), Reason::Difficulty, "{name:?}");
        let heavier = made.forged(&block, |fields| fields.weight += 1);
        assert_eq!(made.reason(&heavier), Reason::Weight, "{name:?}");
        let members = made.forged(&block, |fields| fields.members_root.0[0] ^= 1);
        assert_eq!(made.reason(&members), Reason::MembersRoot, "{name:?}");
        if made.spec().composition().work().is_some() {
            let easier = made.forged(&block, |fields| fields.difficulty = 1);
            let reason = made.reason(&easier);
            // What the header claims is also what it says that the chain weighs.
            assert_eq!(reason, Reason::Weight, "{name:?}");
            let lazy = made.forged(&block, |fields| {
                fields.weight -= u128::from(fields.difficulty - 1);
                fields.difficulty = 1;
            });
            assert_eq!(made.reason(&lazy), Reason::Difficulty, "{name:?}");
            let mut fields = (**block.header()).clone();
            fields.nonce += 1;
            let unmined = Block::assemble(
                Header::new(fields).unwrap(),
                Seal::Work,
                block.transactions(),
            );
            assert_eq!(made.reason(&unmined.unwrap()), Reason::Difficulty);
            continue;
        }
        // A producer who is nobody, or whose turn it isn't.
        let stranger = made.forged(&block, |fields| {
            fields.vector_clock = made.clock_after("mallory");
            fields.producer = "mallory".to_owned();
        });
        assert_eq!(made.reason(&stranger), Reason::Producer, "{name:?}");
        let own = block.header().producer.clone();
        let others = made.spec().consensus.members().iter();
        let other = others
            .map(|one| one.name.clone())
            .find(|one| *one != own)
            .unwrap();
        let other_key = made.generator.seal_keys().iter().find(|key| {
            let mut members = made.spec().consensus.members().iter();
            members.any(|one| one.name == other && one.key == key.public_key())
        });
        let mut keys = vec![other_key.unwrap()];
        keys.extend(made.generator.seal_keys());
        keys.dedup_by_key(|key| key.public_key());
        let late = made.forged_by(&block, &keys, 0, |fields| {
            fields.vector_clock = made.clock_after(&other);
            fields.producer.clone_from(&other);
        });
        match consensus::proposer(made.spec(), made.validator.state(), 0) {
            Some(_) => assert_eq!(made.reason(&late), Reason::Turn, "{name:?}"),
            None => made.check(&late).unwrap(),
        }
        if let Seal::Quorum(certificate) = block.seal() {
            certificates(&made, &block, certificate);
        }
    }
}

/// What is wrong with a certificate.
fn certificates(made: &Made, block: &Block, certificate: &QuorumSeal) {
    let keys: Vec<&KeyPair> = made.generator.seal_keys().iter().collect();
    let two = made.forged_by(block, &keys[..2], 0, |_| {});
    assert_eq!(made.reason(&two), Reason::Quorum);
    let three = made.forged_by(block, &keys[..3], 0, |_| {});
    made.check(&three).unwrap();
    // Signatures of another round, or one that is nobody's.
    let signed: Vec<_> = certificate.signed().collect();
    let other_round = QuorumSeal::new(1, signed.clone()).unwrap();
    let moved = block.clone().sealed(Seal::Quorum(other_round));
    assert_eq!(made.reason(&moved), Reason::Seal);
    let mut swapped = signed.clone();
    (swapped[0].1, swapped[1].1) = (signed[1].1, signed[0].1);
    let swapped = QuorumSeal::new(0, swapped).unwrap();
    let swapped = block.clone().sealed(Seal::Quorum(swapped));
    assert_eq!(made.reason(&swapped), Reason::Seal);
    let beyond = signed.iter().copied().chain([(9, signed[0].1)]);
    let beyond = QuorumSeal::new(0, beyond).unwrap();
    let beyond = block.clone().sealed(Seal::Quorum(beyond));
    assert_eq!(made.reason(&beyond), Reason::Seal);
    // In a later round whoever proposed in an earlier one still may have.
    let later = made.forged_by(block, &keys, 3, |_| {});
    made.check(&later).unwrap();
    assert!(matches!(
        made.spec().composition().seal,
        SealRule::Quorum(_)
    ));
}
