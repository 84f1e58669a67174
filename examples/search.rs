//! A service beside a chain: it finds messages by the words in them. It follows the chain as a registered follower, so that pruning
//! waits for it, and keeps what it knows in one file together with the position that it has reached; so it sees every block once, whatever
//! ends it and whenever.
//!
//! Run it with `cargo run --example search [FOLDER]`; with a folder, run it twice: the second time it goes on where it was left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::{fs, io};

use anyhow::{Context, ensure};
use hubledger::clock::{Clock, SystemClock};
use hubledger::digest::TransactionId;
use hubledger::engine::{Change, Engine, Follower, WhenFull};
use hubledger::ledger::Position;
use hubledger::model::{Block, Draft, Kind, Operation};
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_storage::StoreUrl;

/// The name under which it is registered with the engine.
const NAME: &str = "search";

/// What the service knows, and after which block: one value, so that the one is never ahead of the other.
#[derive(Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Index {
    position: Option<(u64, hubledger::digest::BlockHash)>,
    words: BTreeMap<String, BTreeSet<TransactionId>>,
}

impl Index {
    /// What a committed block adds. A pure function: a test can compare it with a naive search.
    fn apply(&mut self, block: &Block) {
        for transaction in block.transactions() {
            for word in words(transaction.payload()) {
                self.words.entry(word).or_default().insert(transaction.id());
            }
        }
        self.position = Some((block.height(), block.hash()));
    }

    /// Where to go on.
    fn position(&self) -> Option<Position> {
        self.position
            .map(|(height, hash)| Position { height, hash })
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{}", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{}", path.display())),
        }
    }

    /// Index and position replace the earlier ones in one step, so that no crash leaves a mixture.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let fresh = path.with_extension("new");
        fs::write(&fresh, serde_json::to_vec(self)?)?;
        fs::File::open(&fresh)?.sync_all()?;
        Ok(fs::rename(&fresh, path)?)
    }
}

fn words(payload: &[u8]) -> impl Iterator<Item = String> + '_ {
    payload
        .split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).to_lowercase())
}

/// Takes in everything that is committed by now. A service of its own thread would loop over the follower instead, which waits.
fn catch_up(index: &mut Index, follower: &mut Follower, path: &Path) -> anyhow::Result<()> {
    while let Poll::Ready(Some(change)) = follower.try_next() {
        match change? {
            Change::Committed { block } => index.apply(&block),
            // Chains of this version don't fork. One that did would keep what each block added, and take it back here.
            Change::Reverted { height, .. } => anyhow::bail!("block {height} was reverted"),
        }
    }
    index.write(path)?;
    if let Some(position) = index.position() {
        // Only now need the engine keep nothing for us up to there.
        follower.finished(position.height)?;
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let (folder, _temporary) = folder()?;
    let hub = KeyPair::from_seed(&[1; 32]);
    let url: StoreUrl = format!("log:{}", folder.join("chain").display()).parse()?;
    let engine = Engine::builder()
        .threads(1)
        .create(url.open_or_create()?, &specification(&hub)?)?;

    let path = folder.join("search.json");
    let mut index = Index::read(&path)?;
    println!(
        "known after block {:?}",
        index.position().map(|position| position.height)
    );
    let mut follower = engine.register(NAME, index.position())?;

    for text in ["the first message", "the second message", "another one"] {
        send(&engine, &hub, text)?;
        engine.produce(&hub)?;
    }
    catch_up(&mut index, &mut follower, &path)?;

    let found = index.words.get("message").map_or(0, BTreeSet::len);
    println!("{found} messages have the word \"message\"");
    // What a naive search says.
    let mut naive = Index::default();
    for height in 0..=engine.head()?.height {
        naive.apply(&engine.block(height)?.context("a block below the head")?);
    }
    ensure!(naive == index, "the index isn't what the chain says");

    engine.shutdown()?;
    ensure!(
        Index::read(&path)? == index,
        "the file isn't what the service knows"
    );
    Ok(())
}

/// The folder that was named, or one that is removed at the end.
fn folder() -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    match std::env::args_os().nth(1) {
        Some(folder) => {
            fs::create_dir_all(&folder)?;
            Ok((folder.into(), None))
        }
        None => {
            let folder = tempfile::tempdir()?;
            Ok((folder.path().to_owned(), Some(folder)))
        }
    }
}

fn specification(hub: &KeyPair) -> anyhow::Result<ChainSpec> {
    Ok(ChainSpec::from_toml(&format!(
        r#"
        name = "searched"
        genesis_time = 1_700_000_000_000_000

        [consensus]
        kind = "proof_of_authority"

        [[consensus.authorities]]
        name = "hub"
        key = "{}"
        "#,
        hub.public_key()
    ))?)
}

fn send(engine: &Engine, key: &KeyPair, text: &str) -> anyhow::Result<()> {
    let draft = Draft {
        kind: Kind::Native,
        chain: engine.spec().id(),
        sender: "hub".to_owned(),
        receiver: "everybody".to_owned(),
        operation: Operation::Message,
        amount: 0,
        payload: text.as_bytes().to_vec(),
        timestamp: SystemClock.now_us(),
        expiry: 0,
        fee: 0,
        nonce: engine.state().account("hub").nonce + 1,
    };
    let verdict = engine.submit(draft.sign(&[key])?, WhenFull::Wait)?.wait()?;
    ensure!(verdict.is_ok(), "our own message is refused: {verdict:?}");
    Ok(())
}
