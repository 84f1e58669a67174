//! Speaking for a name that is a key.

use hubledger::rejection::Reason;
use hubledger::spec::Identity;

use super::in_version;
use crate::common::key;

#[test]
fn a_name_that_is_a_key_is_signed_for_by_that_key_alone() {
    let chain = in_version(1, |fields| fields.rules.identity = Identity::Key);
    let name = key("alice").public_key().to_string();
    let own = chain.draft(&name, 1).sign(&[&key("alice")]).unwrap();
    chain.check(&chain.block(&[own])).expect("its own key");
    let attempts = [
        chain.draft(&name, 1).sign(&[&key("mallory")]).unwrap(),
        chain
            .draft(&name, 1)
            .sign(&[&key("alice"), &key("mallory")])
            .unwrap(),
        chain
            .draft(&name.to_uppercase(), 1)
            .sign(&[&key("alice")])
            .unwrap(),
        chain.draft("alice", 1).sign(&[&key("alice")]).unwrap(),
    ];
    for attempt in attempts {
        assert_eq!(
            chain.refusal(&chain.block(&[attempt])),
            (Some(0), Reason::Identity)
        );
    }
}
