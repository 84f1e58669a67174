//! Who has headers alone follows every composition, and believes no forged one.

use hubledger::consensus;
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::model::{Block, Header, QuorumSeal, Seal};
use hubledger::rejection::Reason;
use hubledger::rules::light::{LightClient, Step};
use hubledger::rules::produce::produce_by;
use hubledger::signature::Verifier;
use hubledger::spec::{Authority, ChainSpec, Composition, Consensus, ConsensusName, members_root};
use hubledger::vote::{Vote, VoteKind};

use crate::common::{Chain, hub, key};

const LATE: u64 = u64::MAX / 2;

fn chain(consensus: ConsensusName, members: u32, blocks: u64) -> (ChainSpec, Vec<Block>) {
    let recipe = Recipe {
        consensus,
        members,
        transactions: blocks,
        per_block: 1,
        keys: 2,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let blocks = std::iter::from_fn(|| generator.next_block().unwrap());
    let blocks = blocks.collect();
    (generator.spec().clone(), blocks)
}

fn step(block: &Block) -> Step {
    Step {
        header: block.header().clone(),
        seal: block.seal().clone(),
        members: None,
    }
}

fn steps(blocks: &[Block]) -> Vec<Step> {
    blocks.iter().map(step).collect()
}

#[test]
fn a_chain_of_each_composition_is_followed_by_its_headers() {
    let verifier = Verifier::default();
    for &name in ConsensusName::ALL {
        let (spec, blocks) = chain(name, 4, 60);
        let mut client = LightClient::new(spec.clone());
        client
            .follow(&steps(&blocks[..7]), LATE, &verifier)
            .unwrap();
        client
            .follow(&steps(&blocks[7..]), LATE, &verifier)
            .unwrap();
        assert_eq!(client.header().hash(), blocks[59].hash());
        let depth = match consensus::can_be_replaced(&spec, 60) {
            true => 10,
            false => 0,
        };
        assert_eq!(client.final_height(), 60 - depth, "{name:?}");
        // Again is not the next.
        let again = client.follow(&steps(&blocks[59..]), LATE, &verifier);
        assert_eq!(again.unwrap_err().reason, Reason::Height);
    }
}

#[test]
fn the_first_forged_header_ends_it_and_those_before_are_taken() {
    let verifier = Verifier::default();
    for &name in ConsensusName::ALL {
        let (spec, blocks) = chain(name, 4, 20);
        let good = steps(&blocks);
        let (_, others) = chain(name, 4, 21);
        let mut forged = good.clone();
        // The next one's seal, or with work, a nonce that nobody searched.
        forged[11].seal = good[12].seal.clone();
        let expected = match forged[11].seal {
            Seal::Work => {
                let mut fields = (*good[11].header).clone();
                fields.nonce += 1;
                forged[11].header = Header::new(fields).unwrap();
                Reason::Difficulty
            }
            _ => Reason::Seal,
        };
        let mut client = LightClient::new(spec.clone());
        let refused = client.follow(&forged, LATE, &verifier).unwrap_err();
        // Where members take turns, the next one's seal is by another's key.
        assert_eq!((refused.height, refused.reason), (12, expected), "{name:?}");
        assert_eq!(client.header().height, 11);
        client.follow(&good[11..], LATE, &verifier).unwrap();
        // Another chain's.
        let mut stranger = LightClient::new(spec);
        let foreign = stranger.follow(&steps(&others), LATE, &verifier);
        assert!(foreign.is_ok() || foreign.unwrap_err().reason == Reason::Chain);
    }
}

#[test]
fn headers_are_left_out_where_enough_of_the_known_weight_signed() {
    let verifier = Verifier::default();
    let (spec, blocks) = chain(ConsensusName::FederatedByzantine, 7, 40);
    let members = spec.consensus.members().to_vec();
    let mut client = LightClient::new(spec.clone());
    client
        .skip(
            blocks[29].header(),
            &members,
            &step(&blocks[30]),
            LATE,
            &verifier,
        )
        .unwrap();
    assert_eq!((client.header().height, client.final_height()), (31, 31));
    client
        .follow(&steps(&blocks[31..]), LATE, &verifier)
        .unwrap();
    // Back is no way.
    let back = client.skip(
        blocks[3].header(),
        &members,
        &step(&blocks[4]),
        LATE,
        &verifier,
    );
    assert_eq!(back.unwrap_err().reason, Reason::Height);
    // Other members than the header names.
    let mut fresh = LightClient::new(spec.clone());
    let few = fresh.skip(
        blocks[29].header(),
        &members[..3],
        &step(&blocks[30]),
        LATE,
        &verifier,
    );
    assert_eq!(few.unwrap_err().reason, Reason::MembersRoot);
    // A certificate of too few, and one with a signature that isn't one.
    let Seal::Quorum(certificate) = blocks[30].seal() else {
        panic!("a certificate")
    };
    let signed: Vec<_> = certificate.signed().collect();
    let mut thin = step(&blocks[30]);
    thin.seal = Seal::Quorum(QuorumSeal::new(0, signed[..4].iter().copied()).unwrap());
    let thin = fresh.skip(blocks[29].header(), &members, &thin, LATE, &verifier);
    assert_eq!(thin.unwrap_err().reason, Reason::Quorum);
    let mut bad = signed.clone();
    bad[6].1 = signed[5].1;
    let mut forged = step(&blocks[30]);
    forged.seal = Seal::Quorum(QuorumSeal::new(0, bad).unwrap());
    let forged = fresh.skip(blocks[29].header(), &members, &forged, LATE, &verifier);
    assert_eq!(forged.unwrap_err().reason, Reason::Seal);
    // Without certificates there is nothing to go by.
    let (spec, blocks) = chain(ConsensusName::ProofOfAuthority, 4, 10);
    let members = spec.consensus.members().to_vec();
    let mut client = LightClient::new(spec);
    let signed = client.skip(
        blocks[5].header(),
        &members,
        &step(&blocks[6]),
        LATE,
        &verifier,
    );
    assert_eq!(signed.unwrap_err().reason, Reason::Seal);
}

#[test]
fn one_member_cannot_stand_for_all_by_a_list_that_has_it_many_times() {
    let verifier = Verifier::default();
    let recipe = Recipe {
        consensus: ConsensusName::FederatedByzantine,
        members: 4,
        transactions: 10,
        per_block: 1,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let blocks: Vec<_> = std::iter::from_fn(|| generator.next_block().unwrap()).collect();
    let spec = generator.spec().clone();
    let listed = spec.consensus.members();
    let mut keys = generator.seal_keys().iter();
    let traitor = keys.find(|key| key.public_key() == listed[0].key).unwrap();
    // Nobody else has seen any of these headers.
    let many = vec![listed[0].clone(); 4];
    let of_traitor = |block: &Block| block.header().producer == listed[0].name;
    let at = 2 + blocks[2..].iter().position(of_traitor).unwrap();
    let mut fields = (**blocks[at - 1].header()).clone();
    fields.members_root = members_root(&many);
    let before = Header::new(fields).unwrap();
    let mut fields = (**blocks[at].header()).clone();
    fields.previous_hash = before.hash();
    let header = Header::new(fields).unwrap();
    let vote = Vote {
        chain: header.chain,
        height: header.height,
        round: 0,
        kind: VoteKind::Precommit,
        block: header.hash(),
    };
    let signature = traitor.sign(&vote.message());
    let seal = QuorumSeal::new(0, (0..4).map(|place| (place, signature))).unwrap();
    let forged = Step {
        header,
        seal: Seal::Quorum(seal),
        members: None,
    };
    let mut client = LightClient::new(spec.clone());
    let refused = client.skip(&before, &many, &forged, LATE, &verifier);
    assert_eq!(refused.unwrap_err().reason, Reason::Quorum);
    assert_eq!(client.header().height, 0);
}

#[test]
fn a_trusted_header_is_where_it_may_begin() {
    let verifier = Verifier::default();
    for name in [
        ConsensusName::Pbft,
        ConsensusName::ProofOfStake,
        ConsensusName::ProofOfAuthority,
    ] {
        let (spec, blocks) = chain(name, 4, 20);
        let members = spec.consensus.members().to_vec();
        let trusted = blocks[9].header().clone();
        let mut client =
            LightClient::trusting(spec.clone(), trusted.clone(), members.clone()).unwrap();
        client
            .follow(&steps(&blocks[10..]), LATE, &verifier)
            .unwrap();
        assert_eq!(client.header().height, 20);
        let others = members[1..].to_vec();
        let refused = LightClient::trusting(spec, trusted, others).unwrap_err();
        assert_eq!(refused.reason, Reason::MembersRoot);
    }
    let (spec, blocks) = chain(ConsensusName::ProofOfWork, 1, 5);
    let header = blocks[3].header().clone();
    let refused = LightClient::trusting(spec, header, Vec::new()).unwrap_err();
    assert_eq!(refused.reason, Reason::Difficulty);
}

#[test]
fn members_of_a_specification_that_takes_over_have_to_sign_too() {
    let verifier = Verifier::default();
    let mut before = Chain::in_version(FormatVersion::V2, 1, |_| {});
    before.extend(&[]);
    before.extend(&[]);
    let chain = before.succeeded(|fields| {
        let members =
            (0..4).map(|number| Authority::new(hub(number), key(&hub(number)).public_key()));
        fields.consensus =
            Consensus::of(Composition::named(ConsensusName::Pbft, members.collect()));
    });
    let keys: Vec<_> = (0..4).map(|number| key(&hub(number))).collect();
    let keys: Vec<_> = keys.iter().collect();
    let (spec, state) = (chain.spec(), chain.state());
    let good = produce_by(spec, state, &hub(2), &keys, &[], chain.now()).unwrap();
    let Seal::Quorum(certificate) = good.seal() else {
        panic!("a certificate")
    };
    // Only the one who was a member before has signed; the rest is made up.
    let mallory = key("mallory").sign(b"anything");
    let made_up = certificate.signed().map(|(place, signature)| match place {
        0 => (place, signature),
        _ => (place, mallory),
    });
    let forged = QuorumSeal::new(0, made_up).unwrap();
    let forged = good.clone().sealed(Seal::Quorum(forged));
    let steps = |last: &Block| steps(&[&chain.blocks[1..], std::slice::from_ref(last)].concat());
    let mut client = LightClient::new(spec.clone());
    let refused = client.follow(&steps(&forged), LATE, &verifier).unwrap_err();
    assert_eq!((refused.height, refused.reason), (3, Reason::Seal));
    let mut client = LightClient::new(spec.clone());
    client.follow(&steps(&good), LATE, &verifier).unwrap();
    assert_eq!(client.header().hash(), good.hash());
}
