//! What is compared after every step.

use hubledger::ledger::Lookup;
use hubledger::state::State;

use super::blocks::{HUBS, SENDERS};
use super::history::History;
use super::naive::{Known, Naive, root};

impl History {
    /// Compares everything.
    pub(crate) fn check(&mut self) {
        let (model, ledger) = (&self.model, self.ledger.as_ref().unwrap());
        assert_eq!(ledger.spec(), model.spec());
        compare(ledger.state(), model);
        if self.committed < model.height() {
            return;
        }
        let (reader, state) = (ledger.reader(), ledger.state());
        let head = model.last().hash();
        assert_eq!(reader.head().unwrap().hash(), head);
        let block = &model.blocks[self.numbers.below(model.blocks.len() as u64) as usize];
        assert_eq!(reader.hash_at(block.height()).unwrap(), Some(block.hash()));
        if let Some(transaction) = block.transactions().first() {
            let is_pruned = block.height() < reader.extent().unwrap().body_floor;
            match reader.transaction(&transaction.id()).unwrap() {
                Lookup::Found(found) => {
                    assert_eq!((found.height, found.index), (block.height(), 0));
                    let proof = reader.prove(found.height, 0, None).unwrap();
                    assert_eq!(proof.verify(&head).unwrap().height, block.height());
                }
                Lookup::Pruned { height, .. } => {
                    assert_eq!((height, true), (block.height(), is_pruned))
                }
                Lookup::Forgotten { .. } => assert!(is_pruned),
                other => panic!("{other:?}"),
            }
        }
        if model.names_root(model.height()) {
            for name in ["alice", "hub-0", "nobody"] {
                let proof = reader.prove_account(state, name, None).unwrap();
                let proven = proof.verify(&head).unwrap().value;
                let known = model.known().get(name).map(Known::encode);
                assert_eq!(proven.as_deref(), known.as_deref(), "{name}");
            }
        }
    }
}

/// Compares a state with the model's last one.
pub(super) fn compare(state: &State, model: &Naive) {
    let last = model.last();
    assert_eq!((state.height(), state.head()), (last.height(), last.hash()));
    let count = model
        .blocks
        .iter()
        .map(|block| block.transactions().len() as u64);
    assert_eq!(state.transaction_count(), count.sum::<u64>());
    for name in SENDERS.iter().chain(&HUBS).chain(&["mallory", "nobody"]) {
        let expected = model.known().get(*name).cloned().unwrap_or_default();
        let account = state.account(name);
        let keys = account.keys().map(|keys| keys.0);
        let found = (account.nonce, account.balance, keys);
        assert_eq!(
            found,
            (expected.nonce, expected.balance, expected.keys),
            "{name}"
        );
    }
    assert_eq!(state.pinned_root(), root(model.known()));
    if state.tree().is_some() {
        assert_eq!(state.clone().root(), Some(root(model.known())));
        assert_eq!(state.account_count(), model.known().len());
    }
    assert!(state.failure().is_none());
}
