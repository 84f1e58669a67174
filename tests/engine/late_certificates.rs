//! Certificates of members that come and go by their stakes: whose signatures they hold follows from the state alone, and they are checked
//! in the batches of the blocks' transactions all the same. The verdicts are those of the sequential validator.

use std::time::Duration;

use bytes::Bytes;
use hubledger::consensus;
use hubledger::engine::{Committed, Engine, Outcome};
use hubledger::ledger::{Ledger, Staging};
use hubledger::model::{Block, Operation, QuorumSeal, Seal, Transaction};
use hubledger::payload::{Payload, Stake};
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::produce::produce_by;
use hubledger::signature::KeyPair;
use hubledger::spec::{
    Authority, Composition, Consensus, Membership, Proposer, Quorum, SealRule, StakeTerms,
};

use crate::common::{
    Chain, Numbers, account, clock, corrupt_signature, hub, key, reopenable, stakes,
};
use crate::support::{delays, encoded, outcomes};

/// Names that are members at first.
const FOUNDERS: usize = 4;
/// Names that ever put up a stake.
const NAMES: usize = 9;

/// A chain without blocks, whose members change every second height.
fn begun() -> Chain {
    let terms = StakeTerms {
        epoch: 2,
        members_max: 5,
        release_delay: 8,
        delegation: false,
    };
    let members = (0..FOUNDERS).map(hub).map(|name| Authority {
        key: key(&name).public_key(),
        name,
        weight: 20,
    });
    let spec = stakes::spec(terms, members.collect(), |fields| {
        let Consensus::Composed(parts) = &mut fields.consensus else {
            panic!("stakes are composed");
        };
        **parts = Composition {
            proposer: Proposer::WeightedTurn,
            seal: SealRule::Quorum(Quorum::TWO_THIRDS),
            ..(**parts).clone()
        };
        for number in 0..NAMES {
            let (name, mut initial) = account(&hub(number), 10_000);
            // A member's key is listed with it.
            initial.key = initial.key.filter(|_| number >= FOUNDERS);
            fields.accounts.insert(name, initial);
        }
    });
    Chain::of(spec)
}

/// Somebody puts up more than all others, so that the members of later heights are others.
fn stake(chain: &Chain, number: usize, amount: u64) -> Transaction {
    let name = hub(number);
    let nonce = chain.state().account(&name).nonce + 1;
    let payload = Payload::Stake(Stake {
        key: key(&name).public_key(),
        amount,
    });
    chain.signed(&name, nonce, |draft| {
        draft.operation = Operation::ConsensusVote;
        draft.payload = payload.encode();
    })
}

/// The next block, sealed by all members.
fn next(chain: &Chain, transactions: &[Transaction]) -> Block {
    let (spec, state) = (chain.spec(), chain.state());
    let members = consensus::members(spec, state, state.height() + 1);
    let proposer = consensus::proposer(spec, state, 0).expect("turns are kept");
    let keys: Vec<KeyPair> = members.iter().map(|one| key(&one.name)).collect();
    let keys: Vec<&KeyPair> = keys.iter().collect();
    let producer = &members[proposer].name;
    produce_by(spec, state, producer, &keys, transactions, chain.now()).unwrap()
}

/// A chain of so many blocks, and how many different lists of members it had.
fn grown(blocks: u64, numbers: &mut Numbers) -> (Chain, usize) {
    let mut chain = begun();
    let mut lists = vec![member_names(&chain)];
    for height in 1..=blocks {
        let number = numbers.below(NAMES as u64) as usize;
        let mut transactions = vec![stake(&chain, number, 20 + 7 * height)];
        for index in 0..numbers.below(4) {
            transactions.push(chain.message(&format!("node-{height}-{index}"), 1));
        }
        let block = next(&chain, &transactions);
        chain.push(block);
        let names = member_names(&chain);
        if lists.last() != Some(&names) {
            lists.push(names);
        }
    }
    (chain, lists.len())
}

/// Those of the next height.
fn member_names(chain: &Chain) -> Vec<String> {
    let (spec, state) = (chain.spec(), chain.state());
    let members = consensus::members(spec, state, state.height() + 1);
    members.iter().map(|one| one.name.clone()).collect()
}

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// One signature of the certificate is somebody else's.
    Certificate,
    /// All of them are those of strangers.
    Strangers,
    /// A transaction's signature.
    Signature,
    /// Both.
    CertificateAndSignature,
    /// A transaction breaks a rule, and the certificate is as above.
    CertificateAndRule,
}

const ALL: [Wrong; 6] = [
    Wrong::Nothing,
    Wrong::Certificate,
    Wrong::Strangers,
    Wrong::Signature,
    Wrong::CertificateAndSignature,
    Wrong::CertificateAndRule,
];

/// The block behind `chain` with something wrong.
fn faulty(chain: &Chain, wrong: Wrong) -> Block {
    let mut transactions = vec![stake(chain, 2, 11), chain.message("node", 1)];
    match wrong {
        Wrong::Signature | Wrong::CertificateAndSignature => {
            transactions[1] = corrupt_signature(&transactions[1]);
        }
        Wrong::CertificateAndRule => transactions[0] = chain.message("node", 7),
        Wrong::Nothing | Wrong::Certificate | Wrong::Strangers => {}
    }
    let block = next(chain, &transactions);
    match wrong {
        Wrong::Nothing | Wrong::Signature => block,
        Wrong::Strangers => forged(&block, |_| true),
        _ => forged(&block, |place| place == 1),
    }
}

/// The block under a certificate whose signatures at some places are over something else.
fn forged(block: &Block, is_bad: impl Fn(usize) -> bool) -> Block {
    let Seal::Quorum(certificate) = block.seal() else {
        panic!("a block without a certificate");
    };
    let signed = certificate
        .signed()
        .map(|(place, signature)| match is_bad(place) {
            true => (place, key("mallory").sign(b"something else")),
            false => (place, signature),
        });
    let seal = QuorumSeal::new(certificate.round(), signed).unwrap();
    Block::assemble(
        block.header().clone(),
        Seal::Quorum(seal),
        block.transactions(),
    )
    .unwrap()
}

type Verdicts = (usize, Option<Rejected>);

fn sequential(chain: &Chain, blocks: &[Bytes]) -> Verdicts {
    let store = reopenable();
    let store = store.open().unwrap();
    let mut ledger = Ledger::create(store, chain.spec(), clock(u64::MAX / 4)).unwrap();
    for (number, block) in blocks.iter().enumerate() {
        match ledger.stage_bytes(block).unwrap() {
            Staging::Rejected(rejected) => return (number, Some(rejected)),
            staged => assert_eq!(staged, Staging::Staged),
        }
    }
    (blocks.len(), None)
}

#[derive(Debug, Clone, Copy)]
struct Setup {
    threads: usize,
    batch: usize,
    parcel_blocks: usize,
    delays: Option<u64>,
}

fn engine(chain: &Chain, setup: Setup) -> Engine {
    let builder = Engine::builder().settings(|settings| {
        settings.threads = setup.threads;
        settings.batch_signatures = setup.batch;
        settings.parcel_blocks = setup.parcel_blocks;
        settings.probe = setup
            .delays
            .map(|seed| delays(seed, Duration::from_micros(200)));
    });
    let builder = builder.clock(clock(u64::MAX / 4));
    let store = reopenable();
    builder.create(store.open().unwrap(), chain.spec()).unwrap()
}

fn parallel(chain: &Chain, blocks: &[Bytes], setup: Setup) -> Verdicts {
    let engine = engine(chain, setup);
    let mut verdicts = (0, None);
    for outcome in outcomes(&engine, blocks) {
        match outcome {
            Outcome::Committed(Committed { .. }) => verdicts.0 += 1,
            Outcome::Rejected(rejected) => verdicts.1 = Some(rejected),
            Outcome::Held { .. } => panic!("every block comes once"),
        }
    }
    engine.shutdown().unwrap();
    verdicts
}

#[test]
fn certificates_of_changing_members_get_the_sequential_verdicts_on_1_2_and_8_threads() {
    let mut reasons = Vec::new();
    for (seed, wrong) in (0..).zip(ALL) {
        let mut numbers = Numbers(seed);
        let (chain, lists) = grown(12 + seed, &mut numbers);
        assert!(lists > 2, "the members change");
        let mut blocks = encoded(&chain.blocks[1..]);
        blocks.push(faulty(&chain, wrong).encode().into());
        // And some behind it.
        let mut longer = chain.clone();
        longer.push(faulty(&chain, Wrong::Nothing));
        blocks.push(next(&longer, &[longer.message("node", 2)]).encode().into());
        let expected = sequential(&chain, &blocks);
        assert_eq!(expected.1.is_none(), wrong == Wrong::Nothing, "{wrong:?}");
        reasons.push(expected.1.as_ref().map(|rejected| rejected.reason));
        for (threads, batch) in [(1, 8192), (2, 3), (8, 1), (2, 8192)] {
            for parcel_blocks in [1, 3, 512] {
                let setup = Setup {
                    threads,
                    batch,
                    parcel_blocks,
                    delays: (parcel_blocks == 3).then_some(seed),
                };
                let found = parallel(&chain, &blocks, setup);
                assert_eq!(found, expected, "{wrong:?}, {setup:?}");
            }
        }
    }
    let seal = Some(Reason::Seal);
    assert_eq!(
        reasons,
        [None, seal, seal, Some(Reason::Signature), seal, seal]
    );
}

#[test]
fn blocks_behind_a_forged_certificate_are_ruled_again_with_the_members_of_their_own_chain() {
    let (chain, _) = grown(16, &mut Numbers(7));
    let whole = encoded(&chain.blocks[1..]);
    // The same block by its hash, which covers no seal: what is behind it is ruled before anybody knows.
    let mut forgery = whole[..8].to_vec();
    forgery[7] = forged(&chain.blocks[8], |place| place == 0).encode().into();
    for seed in 0..12 {
        let setup = Setup {
            threads: [1, 2, 8][seed as usize % 3],
            batch: [1, 8192][seed as usize % 2],
            parcel_blocks: 2,
            delays: Some(seed),
        };
        let engine = engine(&chain, setup);
        std::thread::scope(|scope| {
            let forger = scope.spawn(|| outcomes(&engine, &forgery));
            for outcome in outcomes(&engine, &whole) {
                assert!(!matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
            }
            // If the whole chain was first, the forged block is the one that is held, by its hash.
            if let Some(Outcome::Rejected(rejected)) = forger.join().unwrap().last() {
                assert_eq!((rejected.height, rejected.reason), (8, Reason::Seal));
            }
        });
        assert_eq!(engine.head().unwrap().hash(), chain.last().hash());
        engine.shutdown().unwrap();
    }
}

#[test]
fn members_who_come_and_go_share_an_entry_of_the_vector_clock() {
    let (chain, lists) = grown(30, &mut Numbers(3));
    assert!(lists > 6, "{lists} lists");
    let clock = &chain.last().header().vector_clock;
    let entries: Vec<_> = clock.iter().collect();
    assert_eq!(entries, [(consensus::ANYBODY, 30)]);
    assert!(matches!(
        chain.spec().composition().membership,
        Membership::Staked(_)
    ));
}
