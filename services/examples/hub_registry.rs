//! A registry of hubs on a chain: registered, changed, left; who is there now and who was; proofs; and the same registry made anew from the chain.
//!
//! Run it with `cargo run -p hubledger-services --example hub_registry`.

use anyhow::{Context, bail, ensure};
use hubledger::clock::{Clock, SystemClock};
use hubledger::engine::{Engine, WhenFull};
use hubledger::model::{Draft, Kind, Operation};
use hubledger::payload::{KeySet, Leave, Payload, Profile, Register};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_services::registry::{
    AtHeight, Criteria, Facet, Registry, RegistryPayload, RegistryView, UpdateProfile, proof,
};
use hubledger_services::view::{Following, Settings, ViewReader, Views};
use hubledger_storage::StoreUrl;

/// A hub with the chain of the registry.
struct House {
    engine: Engine,
    key: KeyPair,
    following: Following,
    reader: ViewReader,
}

impl House {
    fn open() -> anyhow::Result<Self> {
        let key = KeyPair::from_seed(&[1; 32]);
        let spec = ChainSpec::from_toml(&format!(
            r#"
            format = 2
            name = "hub_registry"
            genesis_time = 1_700_000_000_000_000

            [consensus]
            kind = "proof_of_authority"
            authorities = [{{ name = "bootstrap", key = "{}" }}]

            [rules]
            identity = "registered"
            "#,
            key.public_key()
        ))?;
        let engine = Engine::builder()
            .threads(1)
            .create(StoreUrl::Memory.create()?, &spec)?;
        let views = views(&engine)?;
        Ok(Self {
            reader: views.reader(RegistryView::NAME)?,
            following: views.follow(&engine, "services")?,
            engine,
            key,
        })
    }

    /// Makes a block of what one hub says, and gives the registry after it.
    fn say(&self, name: &str, operation: Operation, payload: Vec<u8>) -> anyhow::Result<Registry> {
        let draft = Draft {
            kind: Kind::Native,
            chain: self.engine.spec().id(),
            sender: name.to_owned(),
            receiver: name.to_owned(),
            operation,
            amount: 0,
            payload,
            timestamp: SystemClock.now_us(),
            expiry: 0,
            fee: 0,
            nonce: self.engine.state().account(name).nonce + 1,
        };
        let transaction = draft.sign(&[&key_of(name)])?;
        let ticket = self.engine.submit(transaction, WhenFull::Wait)?;
        if let Err(fault) = ticket.wait()? {
            bail!("{name} is refused: {}: {}", fault.reason, fault.detail);
        }
        self.engine.produce(&self.key)?;
        self.following.wait_for(self.engine.head()?.height)?;
        Ok(Registry::new(self.reader.snapshot()?))
    }
}

fn views(engine: &Engine) -> anyhow::Result<Views> {
    let view = Box::new(RegistryView::new(engine.spec().clone()));
    let store = StoreUrl::Memory.create()?;
    let chain = engine.reader();
    Ok(Views::open(store, chain, vec![view], Settings::default())?)
}

/// A real hub reads its key with `KeyPair::read_pem`.
fn key_of(name: &str) -> KeyPair {
    let mut seed = [0; 32];
    for (byte, letter) in seed.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    KeyPair::from_seed(&seed)
}

fn register(name: &str, region: &str, capabilities: &[&str]) -> anyhow::Result<Vec<u8>> {
    let register = Payload::Register(Register {
        keys: KeySet::single(key_of(name).public_key())?,
        recovery: None,
        stake: 0,
        attester: None,
        profile: Profile {
            node_type: "full_node".to_owned(),
            role: "hub".to_owned(),
            region: region.to_owned(),
            network_address: format!("wss://{name}.example.org:6666"),
            capabilities: capabilities.iter().map(|one| (*one).to_owned()).collect(),
        },
    });
    Ok(register.encode())
}

fn list(registry: &Registry, title: &str) -> anyhow::Result<()> {
    let as_of = registry.as_of().context("a block was seen")?;
    println!("{title} (as of block {}):", as_of.height);
    for number in registry.find(Criteria::default(), 0, 100)? {
        let name = registry.name(number)?.context("a node has a name")?;
        let node = registry.node(&name)?.context("the name is a node's")?;
        let (region, able) = (&node.profile.region, node.profile.capabilities.join(", "));
        println!("  {name:<10} {region:<9} {able}");
    }
    Ok(())
}

/// All of the registry follows from the chain: one that is made anew is the same.
fn compare_with_rebuilt(registry: &Registry, engine: &Engine) -> anyhow::Result<()> {
    let mut anew = views(engine)?;
    anew.catch_up()?;
    let rebuilt = Registry::new(anew.reader(RegistryView::NAME)?.snapshot()?);
    for name in ["hub-east", "hub-west", "hub-south", "hub-north"] {
        let (one, other) = (rebuilt.node(name)?, registry.node(name)?);
        ensure!(one == other, "{name} is another");
        let (Some(one), Some(other)) = (one, other) else {
            continue;
        };
        let histories = (
            rebuilt.history(&one, 0, 99)?,
            registry.history(&other, 0, 99)?,
        );
        ensure!(histories.0 == histories.1, "{name} has another history");
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let house = House::open()?;
    let joins = Operation::FederationJoin;
    house.say(
        "hub-east",
        joins,
        register("hub-east", "us_east", &["routing", "storage"])?,
    )?;
    house.say(
        "hub-west",
        joins,
        register("hub-west", "eu_west", &["routing"])?,
    )?;
    let registry = house.say(
        "hub-south",
        joins,
        register("hub-south", "af_south", &["storage"])?,
    )?;
    list(&registry, "registered")?;

    let moves = RegistryPayload::UpdateProfile(UpdateProfile {
        region: Some("us_east".to_owned()),
        capabilities: Some(vec!["routing".to_owned(), "queue".to_owned()]),
        ..UpdateProfile::default()
    });
    house.say("hub-west", Operation::NodeUpdate, moves.encode())?;
    let leaves = Payload::Leave(Leave).encode();
    let registry = house.say("hub-south", Operation::FederationLeave, leaves)?;
    list(&registry, "one moved, one left")?;

    let criteria = Criteria {
        facets: &[Facet::Region("us_east"), Facet::Capability("routing")],
        alive_at: Some(SystemClock.now_us()),
    };
    let found = registry.find(criteria, 0, 100)?.len();
    println!("{found} of them route in us_east and are alive");
    match registry.active_at(3, 0, 100)? {
        AtHeight::Seen(active) => println!("{} were active after block 3", active.len()),
        AtHeight::Unseen { .. } => bail!("the view has seen all blocks"),
    }

    // Whoever knows the head's hash and nothing else is shown who is registered, and who isn't.
    let (chain, head) = (house.engine.reader(), house.engine.head()?);
    let node = registry.node("hub-east")?.context("it is registered")?;
    let (transaction, shown) = proof::of_registration(&node, &chain, None)?;
    let proven = proof::check_registration(&transaction, &shown, "hub-east", &head.hash())?;
    let length = shown.encode().len();
    println!(
        "hub-east was registered in block {}, by {length} bytes",
        proven.height
    );
    let absent = proof::of_row("hub-north", &chain)?.context("the chain has a state root")?;
    ensure!(proof::check_row(&absent, "hub-north", &head.hash())?.is_none());
    println!("hub-north never was, by {} bytes", absent.encode().len());

    compare_with_rebuilt(&registry, &house.engine)?;
    println!("rebuilt from the chain: the same");
    house.following.stop()?;
    house.engine.shutdown()?;
    Ok(())
}
