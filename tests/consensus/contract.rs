//! What everybody relies on who asks the consensus, whatever its kind.

use std::collections::HashSet;

use hubledger::consensus::{self, SEAL_CLAIMS_MAX};
use hubledger::format::FormatVersion;
use hubledger::model::{Block, Seal};
use hubledger::rejection::Reason;
use hubledger::rules::{Claims, Depth, Prepared, Validator};
use hubledger::signature::{self, PublicKey, Signature};
use hubledger::spec::Consensus;

use crate::common::{Chain, hub, key};

/// The chains of every kind there is, in every version of the format; their authorities are called `hub-0`, `hub-1`, ….
pub(crate) fn chains() -> Vec<Chain> {
    let authority = |version, authorities, turns| {
        Chain::in_version(version, authorities, |fields| match &mut fields.consensus {
            Consensus::ProofOfAuthority(consensus) => consensus.round_robin = turns,
            other => panic!("{other:?} has a chain of its own here"),
        })
    };
    let of_version = |&version| {
        [
            authority(version, 1, false),
            authority(version, 1, true),
            authority(version, 3, false),
            authority(version, 3, true),
        ]
    };
    FormatVersion::ALL.iter().flat_map(of_version).collect()
}

type Claim = (PublicKey, Vec<u8>, Signature);

fn claims(chain: &Chain, block: &Block) -> Vec<Claim> {
    let mut found = Vec::new();
    consensus::claims(
        chain.spec(),
        block.header(),
        block.seal(),
        |key, message, signature| found.push((key, message.to_vec(), signature)),
    );
    found
}

#[test]
fn what_a_producer_drafts_and_seals_passes_in_somebodys_turn() {
    for mut chain in chains() {
        for _ in 0..6 {
            let (spec, state) = (chain.spec(), chain.state());
            let names: Vec<String> = spec
                .consensus
                .bound()
                .map(|(name, _)| name.to_owned())
                .collect();
            let mut passed = 0;
            for name in &names {
                let pair = key(name);
                let producer = consensus::producer(spec, state, &pair.public_key()).unwrap();
                assert_eq!(producer, **name);
                let block = chain.block_by(&producer, &[]);
                let drafted = consensus::draft(spec, state);
                let header = block.header();
                assert_eq!(
                    (drafted.difficulty, drafted.nonce),
                    (header.difficulty, header.nonce)
                );
                assert_eq!(*block.seal(), consensus::seal(spec, state, &pair, header));
                match consensus::check_seal(spec, header, block.seal()) {
                    Ok(()) => passed += 1,
                    Err(fault) => {
                        assert_eq!(fault.reason, Reason::Turn);
                        assert!(!consensus::goes_on_alone(spec));
                        continue;
                    }
                }
                consensus::check_entitlement(spec, state, header, block.seal()).unwrap();
                let claims = claims(&chain, &block);
                assert!((1..=SEAL_CLAIMS_MAX).contains(&claims.len()));
                for (key, message, signature) in &claims {
                    signature::verify(key, message, signature).unwrap();
                }
                let changes = consensus::changes(spec, state, header);
                assert!(changes.is_none());
            }
            assert!(passed > 0, "somebody can go on");
            assert!(!consensus::goes_on_alone(spec) || passed == names.len());
            let stranger = consensus::producer(spec, state, &key("mallory").public_key());
            assert_eq!(stranger.unwrap_err().reason, Reason::Producer);
            let turn = names
                .iter()
                .map(|name| chain.block_by(name, &[]))
                .find(|block| {
                    consensus::check_seal(chain.spec(), block.header(), block.seal()).is_ok()
                });
            chain.push(turn.unwrap());
        }
    }
}

#[test]
fn the_seal_that_was_judged_with_the_bytes_decides_the_ruling() {
    for chain in chains() {
        let block = chain.block_by(&hub(0), &[chain.message("alice", 1)]);
        let header = block.header().clone();
        let bare = Block::assemble(header, Seal::None, block.transactions()).unwrap();
        let (good, bad) = (
            Prepared::new(chain.spec(), block),
            Prepared::new(chain.spec(), bare),
        );
        assert_eq!(good.seal_fault(), None);
        let found = bad.seal_fault().unwrap();
        assert_eq!(found.reason, Reason::Seal);
        let refused = chain.check(bad.block()).unwrap_err();
        assert_eq!(
            (refused.reason, &refused.detail),
            (found.reason, &found.detail)
        );
        // No claim of a block that is refused without any is worth a check.
        let mut claims = Claims::default();
        claims.add_block(0, chain.spec(), &bad, |_, _| false);
        assert!(claims.is_empty());
        claims.add_block(0, chain.spec(), &good, |_, _| false);
        assert_eq!(claims.len(), 2);
    }
}

#[test]
#[should_panic(expected = "blocks are prepared for the chain that rules them")]
fn a_block_that_was_prepared_for_another_chain_is_not_ruled() {
    let (chain, other) = (
        Chain::new(1, |_| {}),
        Chain::new(1, |fields| fields.name = "other".to_owned()),
    );
    let prepared = Prepared::new(other.spec(), chain.block(&[]));
    let now_us = chain.now();
    let _ = Validator::new(chain.spec().clone()).rule(&prepared, Depth::Full { now_us });
}

#[test]
fn only_those_enter_the_clock_whom_the_consensus_knows() {
    for chain in chains() {
        for state in [None, Some(chain.state())] {
            consensus::check_clock_entry(chain.spec(), 1, state, "hub-0").unwrap();
            let fault =
                consensus::check_clock_entry(chain.spec(), 1, state, "mallory").unwrap_err();
            assert_eq!(fault.reason, Reason::VectorClock);
        }
    }
}

#[test]
fn the_members_root_is_told_with_and_without_a_state_and_commits_to_names_and_order() {
    let mut seen = HashSet::new();
    for chain in chains() {
        let spec = chain.spec();
        let root = consensus::members_root(spec, 1, Some(chain.state()));
        assert_eq!(root, consensus::members_root(spec, 1, None));
        assert_eq!(root, Some(spec.members_root()));
        seen.insert(root);
    }
    // One of one authority, one of three: turns and versions make no members.
    assert_eq!(seen.len(), 2);
    let turned = Chain::new(3, |fields| match &mut fields.consensus {
        Consensus::ProofOfAuthority(consensus) => consensus.authorities.reverse(),
        other => panic!("{other:?} has a chain of its own here"),
    });
    assert!(seen.insert(Some(turned.spec().members_root())));
}
