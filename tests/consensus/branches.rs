//! Which of two chains is the better one, and what is final.

use hubledger::consensus::{self, Weight};
use hubledger::format::FormatVersion;
use hubledger::spec::{FINALITY_DEPTH_MAX, Finality};
use hubledger::tree::{Branch, may_replace};

use crate::common::{Chain, hub};
use crate::contract::chains;

#[test]
fn every_block_has_weight_and_what_is_final_stays_so() {
    for mut chain in chains() {
        let mut branch = Branch::genesis(chain.spec());
        assert_eq!((branch.weight, branch.height), (Weight(0), 0));
        let mut final_before = consensus::final_height(chain.spec(), chain.state());
        for height in 1..6u64 {
            let authorities = chain.spec().consensus.bound().count() as u64;
            let turn = ((height - 1) % authorities) as usize;
            chain.push(chain.block_by(&hub(turn), &[]));
            let (spec, header) = (chain.spec(), chain.last().header());
            let Weight(weight) = consensus::weight(spec, header);
            assert!((1..1 << 64).contains(&weight));
            let longer = branch.with(spec, header);
            assert!(longer > branch, "a chain outweighs its beginnings");
            assert_eq!((longer.head, longer.height), (header.hash(), height));
            assert_eq!(chain.state().weight(), longer.weight.0);
            branch = longer;
            let settled = consensus::final_height(spec, chain.state());
            assert!((final_before..=height).contains(&settled));
            final_before = settled;
            for common in 0..=height {
                let may = may_replace(spec, chain.state(), common);
                assert_eq!(may, common >= settled);
            }
        }
    }
}

#[test]
fn rivals_at_one_height_have_one_better() {
    let chain = Chain::new(2, |_| {});
    let genesis = Branch::genesis(chain.spec());
    let rivals = ["hub-0", "hub-1"].map(|name| chain.block_by(name, &[]));
    let [a, b] = rivals.map(|block| genesis.with(chain.spec(), block.header()));
    assert_eq!(a.weight, b.weight);
    assert_eq!(a > b, a.head < b.head);
}

#[test]
fn a_chain_with_a_depth_is_final_so_far_below_its_head() {
    for depth in [1, 3, FINALITY_DEPTH_MAX] {
        let mut chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
            fields.terms.finality = Finality::Depth(depth);
            fields.limits.body_bytes_max = 1 << 20;
        });
        for height in 1..6u64 {
            chain.extend(&[]);
            let settled = consensus::final_height(chain.spec(), chain.state());
            assert_eq!(settled, height.saturating_sub(depth.into()));
        }
    }
}
