//! Seals that are somebody else's or another block's, where signatures seal.

use hubledger::model::Block;
use hubledger::rejection::Reason;

use super::in_version;

#[test]
fn seal_of_another_block() {
    let mut chain = in_version(2, |_| {});
    chain.extend(&[]);
    let honest = chain.block(&[chain.message("alice", 1)]);
    chain.check(&honest).expect("honest");
    let rival = chain.block(&[]);
    for other in [chain.last(), &rival] {
        let seal = other.seal().clone();
        let block = Block::assemble(honest.header().clone(), seal, honest.transactions()).unwrap();
        assert_eq!(chain.refusal(&block), (None, Reason::Seal));
    }
}
