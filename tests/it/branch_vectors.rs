//! Blocks of several branches in the order in which they come, as a file (`tests/vectors/README.md`): where each is put, and the best
//! branch after it.

use std::collections::BTreeSet;

use hubledger::consensus::Weight;
use hubledger::format::FormatVersion;
use hubledger::ledger::{Ledger, Placement};
use hubledger::model::Block;
use hubledger::spec::{ChainSpec, Finality};
use hubledger::testing::branches::badly_sealed;
use hubledger::tree::Source;
use serde_json::{Value, json};

use crate::common::{
    self, Chain, SECOND, account, clock, corrupt_signature, fields, key, rewritten, sealed,
};
use crate::vectors::{bytes, list, vectors};

/// Later than any block.
const NOW: u64 = common::GENESIS_TIME + 1000 * SECOND;

fn genesis() -> Chain {
    Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms.finality = Finality::Depth(3);
        fields.terms.root_interval = 1;
        fields.rules.balances = true;
        let held = ["alice", "bob"].map(|name| account(name, 1000));
        fields.accounts.extend(held);
    })
}

/// The chain with another block, in which alice gives bob so much.
fn with(chain: &Chain, producer: &str, amount: u64) -> Chain {
    let mut longer = chain.clone();
    let nonce = chain.state().height() + 1;
    let gift = chain.transfer("alice", "bob", (amount, 1), nonce);
    longer.push(chain.block_by(producer, &[gift]));
    longer
}

/// What comes, each with what is to be said of it.
fn arrivals() -> Vec<(&'static str, Block)> {
    let genesis = genesis();
    let a1 = with(&genesis, "hub-0", 1);
    let (a2, b1) = (with(&a1, "hub-0", 2), with(&genesis, "hub-1", 10));
    let b2 = with(&b1, "hub-1", 20);
    let b3 = with(&b2, "hub-0", 30);
    let b4 = with(&b3, "hub-1", 40);
    let b5 = with(&b4, "hub-0", 50);
    let b6 = with(&b5, "hub-1", 60);
    let heavier = b3.forged(&[], |header| header.weight += 1);
    let other_root = b3.forged(&[], |header| header.state_root.0[0] ^= 1);
    let unsigned = corrupt_signature(&b3.transfer("alice", "bob", (1, 1), 4));
    let unsigned = b3.block_by("hub-1", &[unsigned]);
    let mut after = fields(b5.last());
    after.previous_hash = unsigned.hash();
    let behind_unsigned = sealed(after, &key("hub-0"), b5.last().transactions());
    let rival = with(&a2, "hub-0", 3);
    let twin = |is_lower: bool| {
        let mut twins = (61..).map(|amount| with(&b5, "hub-0", amount));
        twins.find(|twin| (twin.last().hash() < b6.last().hash()) == is_lower)
    };
    let [higher, lower] = [false, true].map(|is_lower| twin(is_lower).unwrap());
    let unknown = rewritten(b6.last(), |header| header.previous_hash.0 = [1; 32]);
    let unknown = sealed(fields(&unknown), &key("hub-1"), unknown.transactions());
    vec![
        ("goes on with the chain", a1.last().clone()),
        ("beside it, of the same weight", b1.last().clone()),
        ("before the block that it follows", b3.last().clone()),
        ("again", b1.last().clone()),
        ("the heavier branch for now", a2.last().clone()),
        (
            "brings the block that waited for it, and a heavier branch",
            b2.last().clone(),
        ),
        ("names another weight", heavier),
        ("is signed by somebody else", unsigned),
        ("follows one that is not valid", behind_unsigned),
        ("names another state root", other_root),
        ("goes on", b4.last().clone()),
        ("leaves another block final", b5.last().clone()),
        ("leaves the chain below what is final", rival.last().clone()),
        (
            "under the seal of somebody who may not make it",
            badly_sealed(b6.last()),
        ),
        ("the same under the right one", b6.last().clone()),
        (
            "of the same weight with a higher hash",
            higher.last().clone(),
        ),
        ("of the same weight with a lower hash", lower.last().clone()),
        ("of nobody knows what", unknown),
    ]
}

fn name(placement: &Placement) -> &'static str {
    match placement {
        Placement::InChain => "in chain",
        Placement::Aside => "aside",
        Placement::Orphan => "orphan",
        Placement::Known => "known",
        Placement::Refused(_) => "refused",
        other => panic!("{other:?}"),
    }
}

/// What a ledger says of a block that comes, and where it is behind it.
fn offer(ledger: &mut Ledger, block: &Block) -> Value {
    let placement = ledger.offer(block, Source::UNSAID).unwrap().placement;
    let reason = match &placement {
        Placement::Refused(rejected) => json!(rejected.reason),
        _ => Value::Null,
    };
    let mut state = ledger.state().clone();
    let best = ledger.fork_tree().unwrap().best();
    assert_eq!(
        (best.head, best.weight),
        (state.head(), Weight(state.weight()))
    );
    json!({
        "placement": name(&placement),
        "reason": reason,
        "head": state.head(),
        "height": state.height(),
        "weight": state.weight().to_string(),
        "final": ledger.fork_tree().unwrap().final_height(),
        "state_root": state.root(),
    })
}

fn branch_vectors() -> Value {
    let genesis = genesis();
    let mut ledger = Ledger::create(common::memory(), genesis.spec(), clock(NOW)).unwrap();
    let arrivals = arrivals().into_iter().map(|(note, block)| {
        json!({
            "note": note,
            "block": hex::encode(block.encode()),
            "hash": block.hash(),
            "then": offer(&mut ledger, &block),
        })
    });
    json!({
        "arrivals": arrivals.collect::<Vec<_>>(),
        "specification": hex::encode(genesis.spec().bytes()),
        "chain": genesis.spec().id(),
        "now_us": NOW,
    })
}

#[test]
fn blocks_of_branches_and_the_best_chain_after_each() {
    let vectors = vectors("branches.json", branch_vectors);
    let spec = ChainSpec::decode(&bytes(&vectors["specification"])).unwrap();
    assert_eq!(json!(spec.id()), vectors["chain"]);
    let now = clock(vectors["now_us"].as_u64().unwrap());
    let mut ledger = Ledger::create(common::memory(), &spec, now).unwrap();
    let (mut placements, mut reasons, mut reverted) = (BTreeSet::new(), BTreeSet::new(), 0);
    for arrival in list(&vectors["arrivals"]) {
        let block = Block::decode(&bytes(&arrival["block"]).into()).unwrap();
        assert_eq!(json!(block.hash()), arrival["hash"]);
        let before = ledger.state().head();
        let then = offer(&mut ledger, &block);
        assert_eq!(then, arrival["then"], "{}", arrival["note"]);
        let has_kept = ledger
            .fork_tree()
            .unwrap()
            .chain()
            .any(|block| block.head == before);
        reverted += u32::from(!has_kept);
        placements.insert(then["placement"].to_string());
        reasons.insert(then["reason"].to_string());
    }
    // What the file is for is in it.
    assert_eq!(placements.len(), 5, "{placements:?}");
    assert_eq!(reasons.len(), 7, "{reasons:?}");
    // By weight, and by hash.
    assert_eq!(reverted, 2);
    assert!(ledger.fork_tree().unwrap().final_height() > 0);
}
