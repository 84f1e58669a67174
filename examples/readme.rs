//! The program in `README.md`: run it with `cargo run --example readme`.

use hubledger::engine::{Engine, Outcome, WhenFull};
use hubledger::model::{Draft, Kind, Operation};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_storage::StoreUrl;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = KeyPair::from_seed(&[7; 32]); // or KeyPair::read_pem("hub.pem")
    let spec = ChainSpec::from_toml(&format!(
        r#"
        name = "mine"
        genesis_time = 1_700_000_000_000_000
        [consensus]
        kind = "proof_of_authority"
        [[consensus.authorities]]
        name = "hub"
        key = "{}"
        "#,
        key.public_key()
    ))?;
    let store = "memory:".parse::<StoreUrl>()?.open_or_create()?; // or log:DIR, sqlite:FILE, rocksdb:DIR
    let engine = Engine::builder().threads(2).create(store, &spec)?;
    let mut follower = engine.follow(1)?; // every block from there on, once and in order

    let hello = Draft {
        kind: Kind::Native,
        chain: spec.id(),
        sender: "hub".into(),
        receiver: "everybody".into(),
        operation: Operation::Message,
        amount: 0,
        payload: b"hello".to_vec(),
        timestamp: spec.genesis_time + 1,
        expiry: 0,
        fee: 0,
        nonce: 1,
    };
    let id = engine
        .submit(hello.sign(&[&key])?, WhenFull::Wait)?
        .wait()?
        .expect("it breaks no rule");
    assert!(matches!(engine.produce(&key)?, Outcome::Committed(_)));
    assert!(follower.next().is_some());

    let head = engine.head()?.hash();
    let proof = engine.prove(&id, Some(&head))?;
    proof.verify(&head)?; // what anybody can do who trusts the head
    engine.shutdown()?;
    Ok(())
}
