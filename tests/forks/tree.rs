//! The tree of branches by itself: what it keeps, what it throws out, and what it says of blocks.

use hubledger::consensus::Weight;
use hubledger::format::FormatVersion;
use hubledger::merkle::{Frontier, history_leaf};
use hubledger::model::{Block, Seal};
use hubledger::rejection::{Reason, Rejected};
use hubledger::signature::Verifier;
use hubledger::spec::Finality;
use hubledger::tree::{ForkBounds, ForkTree, Offered, Source};

use crate::common::{self, Chain};

/// A chain of so many empty blocks by `hub-0`, all of which may be replaced.
fn chain(blocks: u64) -> Chain {
    let mut chain = Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms.finality = Finality::Depth(100);
        fields.limits.body_bytes_max = 1 << 20;
    });
    for _ in 0..blocks {
        chain.extend(&[]);
    }
    chain
}

/// A chain that leaves `chain` behind the block at `common` with `blocks` blocks by `hub-1`, each with a message of this sender.
fn beside(chain: &Chain, common: usize, blocks: u64, sender: &str) -> Chain {
    let mut other = Chain::of(chain.spec().clone());
    for block in &chain.blocks[1..=common] {
        other.push(block.clone());
    }
    for _ in 0..blocks {
        let message = other.message(sender, other.state().height() + 1);
        other.push(other.block_by("hub-1", &[message]));
    }
    other
}

fn tree(chain: &Chain, bounds: ForkBounds) -> ForkTree {
    let genesis = &chain.blocks[0];
    let mut history = Frontier::new();
    history.push(history_leaf(&genesis.hash()));
    let first = (genesis.header().clone(), Weight(0));
    let mut tree = ForkTree::new(chain.spec().clone(), first, history, bounds);
    chain.blocks[1..]
        .iter()
        .for_each(|block| tree.push(block.header()));
    tree
}

fn offer(tree: &mut ForkTree, block: &Block, source: &str) -> Offered {
    let now_us = block.header().timestamp;
    tree.offer(block, Source::of(source), now_us, &Verifier::default())
}

fn reason(offered: Offered) -> (Reason, String) {
    match offered {
        Offered::Refused(rejected) => (rejected.reason, rejected.detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_branch_is_better_once_it_weighs_more_and_says_where_it_leaves() {
    let chain = chain(5);
    let other = beside(&chain, 2, 4, "alice");
    let mut tree = tree(&chain, ForkBounds::default());
    for block in &other.blocks[3..5] {
        assert_eq!(offer(&mut tree, block, "a"), Offered::Aside);
        assert_eq!(tree.better(), None);
    }
    offer(&mut tree, &other.blocks[5], "a");
    let best = offer(&mut tree, &other.blocks[6], "a");
    assert_eq!(best, Offered::Better);
    let better = tree.better().unwrap();
    assert_eq!((better.common, &better.blocks[..]), (2, &other.blocks[3..]));
    let ancestor = tree.common_ancestor(&other.last().hash(), &chain.last().hash());
    assert_eq!(ancestor, Some(chain.blocks[2].hash()));
    let own = tree.common_ancestor(&other.last().hash(), &other.blocks[4].hash());
    assert_eq!(own, Some(other.blocks[4].hash()));
    assert_eq!(
        tree.common_ancestor(
            &chain.last().hash(),
            &beside(&chain, 1, 1, "x").last().hash()
        ),
        None
    );
    // The branches change places.
    tree.leave(2, chain.blocks[3..].to_vec());
    better
        .blocks
        .iter()
        .for_each(|block| tree.push(block.header()));
    assert_eq!(tree.best().head, other.last().hash());
    let branches = tree.branches();
    assert_eq!(branches.len(), 1);
    assert_eq!(
        (branches[0].branch.head, branches[0].common),
        (chain.last().hash(), 2)
    );
    assert_eq!(tree.better(), None);
}

#[test]
fn the_tree_is_drawn_with_each_branch_beside_the_block_that_it_leaves() {
    let chain = chain(20);
    let mut tree = tree(&chain, ForkBounds::default());
    assert_eq!(tree.draw().lines().count(), 3, "a row is shortened");
    let long = beside(&chain, 16, 3, "alice");
    let short = beside(&chain, 18, 1, "bob");
    let mut twig = Chain::of(chain.spec().clone());
    long.blocks[1..18]
        .iter()
        .for_each(|block| twig.push(block.clone()));
    twig.push(twig.block_by("hub-0", &[]));
    for block in long.blocks[17..]
        .iter()
        .chain(&short.blocks[19..])
        .chain(&twig.blocks[18..])
    {
        assert_eq!(offer(&mut tree, block, "a"), Offered::Aside);
    }
    let drawing = tree.draw();
    let lines: Vec<String> = drawing
        .lines()
        .map(|line| {
            line.chars()
                .take_while(|c| !c.is_ascii_hexdigit())
                .chain(
                    line.split(' ')
                        .find(|word| word.parse::<u64>().is_ok())
                        .unwrap_or("")
                        .chars(),
                )
                .collect()
        })
        .collect();
    let expected = [
        "● 20",
        "● 19",
        "│ ○ 19",
        "├─╯",
        "● 18",
        "● 17",
        "│ ○ 19",
        "│ ○ 18",
        "│ │ ○ 18",
        "│ ├─╯",
        "│ ○ 17",
        "├─╯",
        "● 16",
        "⋮ 15",
        "● 0",
    ];
    assert_eq!(lines, expected, "{drawing}");
    let heads = tree.fork_at(19);
    assert_eq!(heads[0].head, chain.blocks[19].hash());
    assert_eq!(heads.len(), 3);
    assert_eq!(tree.fork_at(21), []);
}

#[test]
fn what_comes_before_its_parent_waits_for_it() {
    let chain = chain(1);
    let other = beside(&chain, 1, 5, "alice");
    let mut tree = tree(&chain, ForkBounds::default());
    for block in other.blocks[3..].iter().rev() {
        assert_eq!(offer(&mut tree, block, "a"), Offered::Orphan);
        assert_eq!(offer(&mut tree, block, "b"), Offered::Orphan, "again");
    }
    assert_eq!(tree.orphans(), 4);
    assert_eq!(offer(&mut tree, &other.blocks[2], "a"), Offered::Better);
    assert_eq!(tree.orphans(), 0);
    assert_eq!(tree.better().unwrap().blocks, other.blocks[2..]);
    assert_eq!(offer(&mut tree, &other.blocks[4], "a"), Offered::Known);
}

#[test]
fn what_is_final_is_not_replaced_and_the_reason_says_so() {
    let chain = chain(6);
    let mut tree = tree(&chain, ForkBounds::default());
    let early = beside(&chain, 2, 2, "alice");
    assert_eq!(offer(&mut tree, &early.blocks[3], "a"), Offered::Aside);
    let late = beside(&chain, 4, 2, "alice");
    assert_eq!(offer(&mut tree, &late.blocks[6], "a"), Offered::Orphan);
    tree.settle(4);
    assert_eq!(tree.final_height(), 4);
    assert_eq!(tree.branches(), [], "it would replace block 3");
    for block in [&early.blocks[3], &early.blocks[4], &chain.blocks[2]] {
        let (reason, detail) = reason(offer(&mut tree, block, "a"));
        assert_eq!(reason, Reason::Fork);
        assert!(detail.contains("final"), "{detail}");
    }
    let at_once = beside(&chain, 3, 2, "bob");
    let (reason, detail) = reason(offer(&mut tree, &at_once.blocks[5], "a"));
    assert_eq!(reason, Reason::Fork);
    assert!(
        detail.contains("block 4") && detail.contains("final"),
        "{detail}"
    );
    // Behind the last final block is room for others.
    offer(&mut tree, &late.blocks[5], "a");
    assert_eq!(tree.branches().len(), 1);
    assert_eq!(tree.branches()[0].branch.head, late.blocks[6].hash());
}

#[test]
fn a_refused_block_takes_with_it_whatever_follows() {
    let chain = chain(1);
    let other = beside(&chain, 1, 5, "alice");
    let mut tree = tree(&chain, ForkBounds::default());
    other.blocks[2..5]
        .iter()
        .for_each(|block| drop(offer(&mut tree, block, "a")));
    let bad = &other.blocks[3];
    let rejected = Rejected::block(3, Reason::Nonce, "used");
    tree.refuse(rejected.clone(), &bad.hash());
    assert_eq!(offer(&mut tree, bad, "a"), Offered::Refused(rejected));
    for block in &other.blocks[4..] {
        assert_eq!(reason(offer(&mut tree, block, "a")).0, Reason::PreviousHash);
    }
    assert_eq!(tree.better().unwrap().blocks, other.blocks[2..3]);
    assert_eq!(tree.orphans(), 0);
}

#[test]
fn nothing_is_kept_that_its_header_or_seal_tells_to_be_wrong() {
    let chain = chain(3);
    let other = beside(&chain, 1, 3, "alice");
    let mut tree = tree(&chain, ForkBounds::default());
    let good = &other.blocks[2];
    let reseal = |seal: Seal, block: &Block| {
        Block::assemble(block.header().clone(), seal, block.transactions()).unwrap()
    };
    let foreign = Seal::by_authority(&common::key("hub-0"), &good.hash());
    let other_body = Block::assemble(
        good.header().clone(),
        good.seal().clone(),
        chain.blocks[2].transactions(),
    );
    assert!(
        other_body.is_err(),
        "its size and number of transactions are in the header"
    );
    let forge = |change: fn(&mut hubledger::model::HeaderFields)| {
        let mut fields = common::fields(good);
        change(&mut fields);
        common::sealed(fields, &common::key("hub-1"), good.transactions())
    };
    let cases = [
        (reseal(foreign, good), Reason::Seal),
        (reseal(Seal::None, good), Reason::Seal),
        (reseal(Seal::None, &other.blocks[4]), Reason::Seal),
        (forge(|fields| fields.weight += 1), Reason::Weight),
        (
            forge(|fields| fields.history_root.0[0] ^= 1),
            Reason::HistoryRoot,
        ),
        (
            forge(|fields| fields.merkle_root.0[0] ^= 1),
            Reason::MerkleRoot,
        ),
        (forge(|fields| fields.timestamp = 0), Reason::Timestamp),
        (forge(|fields| fields.height += 1), Reason::Height),
    ];
    for (block, expected) in cases {
        match offer(&mut tree, &block, "a") {
            Offered::Refused(rejected) => assert_eq!(rejected.reason, expected, "{rejected}"),
            // Of a wrong height, its parent isn't where it should be.
            other => assert_eq!((other, expected), (Offered::Orphan, Reason::Height)),
        }
    }
    assert_eq!((tree.branches(), tree.orphans()), (vec![], 1));
    // What was refused for its seal isn't marked: anybody can put a bad seal on a good block.
    assert_eq!(offer(&mut tree, good, "a"), Offered::Aside);
    let late = Block::assemble(good.header().clone(), Seal::None, good.transactions()).unwrap();
    assert_eq!(
        offer(&mut tree, &late, "a"),
        Offered::Known,
        "it is the same block"
    );
}

#[test]
fn a_flood_of_orphans_drives_out_its_own_source_only() {
    let chain = chain(1);
    let bounds = ForkBounds {
        orphans: 12,
        orphan_sources: 3,
        ..ForkBounds::default()
    };
    let mut tree = tree(&chain, bounds);
    let orphan = |sender: &str| beside(&chain, 0, 3, sender).last().clone();
    let quiet = [orphan("quiet-0"), orphan("quiet-1")];
    quiet
        .iter()
        .for_each(|block| drop(offer(&mut tree, block, "quiet")));
    for number in 0..30 {
        let flood = orphan(&format!("flood-{number}"));
        assert_eq!(offer(&mut tree, &flood, "loud"), Offered::Orphan);
        assert!(tree.orphans_of(Source::of("loud")) <= 4);
    }
    for number in 0..30 {
        let source = format!("peer-{}", number % 5);
        offer(&mut tree, &orphan(&format!("more-{number}")), &source);
        assert!(tree.orphans() <= 12);
    }
    assert_eq!(tree.orphans_of(Source::of("quiet")), 2);
    quiet
        .iter()
        .for_each(|block| assert_eq!(offer(&mut tree, block, "x"), Offered::Orphan));
    assert_eq!(tree.orphans(), 12);
}

#[test]
fn orphans_go_when_the_chain_has_gone_on_and_those_far_above_it_are_not_taken() {
    let mut chain = chain(1);
    let bounds = ForkBounds {
        orphan_heights: 3,
        ..ForkBounds::default()
    };
    let mut tree = tree(&chain, bounds);
    let other = beside(&chain, 0, 6, "alice");
    assert_eq!(offer(&mut tree, &other.blocks[4], "a"), Offered::Orphan);
    assert_eq!(offer(&mut tree, &other.blocks[5], "a"), Offered::NoRoom);
    for left in [1, 1, 1, 0] {
        chain.extend(&[]);
        tree.push(chain.last().header());
        tree.settle(0);
        assert_eq!(tree.orphans(), left);
    }
}

#[test]
fn bytes_are_bounded_of_orphans_and_of_branches() {
    let chain = chain(1);
    let long = |sender: &str, common| {
        let mut other = beside(&chain, common, 1, sender);
        let message = other.signed(sender, 9, |draft| draft.payload = vec![7; 40_000]);
        other.push(other.block_by("hub-1", &[message]));
        other
    };
    let bounds = ForkBounds {
        orphan_bytes: 400_000,
        side_bytes: 100_000,
        ..ForkBounds::default()
    };
    let mut tree = tree(&chain, bounds);
    for number in 0..10 {
        offer(&mut tree, long(&format!("a-{number}"), 0).last(), "a");
    }
    assert_eq!(tree.orphans(), 2, "a quarter of the bytes");
    let full = tree.bytes();
    for number in 0..10 {
        let other = long(&format!("b-{number}"), 0);
        offer(&mut tree, &other.blocks[1], "b");
        offer(&mut tree, &other.blocks[2], "b");
        assert!(
            tree.bytes() <= full + 200_000,
            "of branches, and a quarter for orphans"
        );
    }
    assert!(!tree.branches().is_empty());
}

#[test]
fn the_worst_branches_make_room() {
    let chain = chain(8);
    let bounds = ForkBounds {
        side_blocks: 6,
        ..ForkBounds::default()
    };
    let mut tree = tree(&chain, bounds);
    let good = beside(&chain, 3, 4, "good");
    good.blocks[4..]
        .iter()
        .for_each(|block| assert_eq!(offer(&mut tree, block, "a"), Offered::Aside));
    for number in 0..20 {
        let low = beside(&chain, 1, 1, &format!("low-{number}"));
        let offered = offer(&mut tree, low.last(), "b");
        assert!(matches!(offered, Offered::Aside | Offered::NoRoom));
        assert!(tree.side_blocks().count() <= 6);
    }
    assert_eq!(tree.branches()[0].branch.head, good.last().hash());
    assert!(
        good.blocks[4..]
            .iter()
            .all(|block| tree.side_block(&block.hash()).is_some())
    );
}
