//! A process with three registered followers, killed at random moments: each keeps its own position with what it saw, and so sees
//! every block once and in order, while the chain is pruned behind them.
//!
//! `HUBLEDGER_FOLLOW_ROUNDS` says how often it is killed, of each backend with files.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hubledger::engine::{Engine, EngineError, Follower};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{ChainReader, Position};
use hubledger_storage::{Durability, StoreUrl};

use crate::common::{Chain, key};
use crate::every::seen;

const ROUNDS: &str = "HUBLEDGER_FOLLOW_ROUNDS";
const FOLDER: &str = "HUBLEDGER_TEST_FOLLOW_FOLDER";
const STORE: &str = "HUBLEDGER_TEST_FOLLOW_STORE";
const ROUND: &str = "HUBLEDGER_TEST_FOLLOW_ROUND";
const NAMES: [&str; 3] = ["fast", "slow", "stopping"];
/// Height and hash, with a space and a line feed.
const LINE_BYTES: u64 = 20 + 1 + 64 + 1;
/// The chain doesn't run away from its slowest follower.
const AHEAD_BLOCKS: u64 = 200;

fn line(position: Position) -> String {
    format!("{:020} {}\n", position.height, position.hash)
}

fn parse(line: &str) -> Position {
    let (height, hash) = line.split_once(' ').unwrap();
    Position {
        height: height.parse().unwrap(),
        hash: hash.parse().unwrap(),
    }
}

/// What a follower has done: a line for every block.
struct Done {
    file: File,
    last: Option<Position>,
}

impl Done {
    /// With what a kill has left, but for a line that isn't whole.
    fn open(path: &Path) -> Self {
        let options = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .clone();
        let mut file = options.open(path).unwrap();
        let lines = file.metadata().unwrap().len() / LINE_BYTES;
        file.set_len(lines * LINE_BYTES).unwrap();
        let mut last = String::new();
        if lines > 0 {
            file.seek(SeekFrom::Start((lines - 1) * LINE_BYTES))
                .unwrap();
            file.read_to_string(&mut last).unwrap();
        }
        let last = last.lines().next().map(parse);
        Self { file, last }
    }

    /// The kill of a process takes back nothing that was written.
    fn push(&mut self, position: Position) {
        self.file.write_all(line(position).as_bytes()).unwrap();
        self.last = Some(position);
    }
}

/// Does what a follower of this name does: to the end of the chain, if the engine ends; and for ever, if it is killed.
fn follow(engine: &Engine, folder: &Path, name: &str) {
    let mut done = Done::open(&folder.join(name));
    let next = |position: Option<Position>| position.map_or(0, |position| position.height + 1);
    let registered = engine.followers().get(name).flatten();
    assert!(
        next(registered) <= next(done.last),
        "a registered position is never ahead"
    );
    let floor = engine.reader().extent().unwrap().body_floor;
    assert!(floor <= next(registered), "pruned beyond a follower");
    let mut follower = engine.register(name, done.last).unwrap();
    let mut step = |follower: &mut Follower| {
        let Some(change) = follower.next() else {
            return false;
        };
        done.push(seen(change.unwrap()));
        match follower.finished(done.last.unwrap().height) {
            Ok(()) | Err(EngineError::Stopped) => true,
            Err(error) => panic!("{error}"),
        }
    };
    match name {
        "fast" => while step(&mut follower) {},
        "slow" => {
            while step(&mut follower) {
                thread::sleep(Duration::from_micros(700));
            }
        }
        _ => {
            while (0..10).all(|_| step(&mut follower)) {
                let position = follower.position();
                drop(follower);
                thread::sleep(Duration::from_millis(3));
                follower = engine.resume(name).unwrap();
                // At the end there may have been nobody left to take note.
                if follower.position() != position {
                    return;
                }
            }
        }
    }
}

/// The process that is killed; nothing but when it is told to be one.
#[test]
fn a_process_to_be_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let round = env::var(ROUND).unwrap().parse::<u64>().ok();
    let url: StoreUrl = env::var(STORE).unwrap().parse().unwrap();
    let policy = PrunePolicy::of_bodies(Keep::Last(4));
    let durability = match round.unwrap_or(0) % 3 {
        0 => Durability::Disk,
        1 => Durability::Os,
        _ => Durability::Memory,
    };
    let builder = Engine::builder().threads(1).durability(durability);
    let builder = builder.keep_to(policy.clone(), None);
    let store = url.open_or_create().unwrap();
    let engine = builder.create(store, Chain::new(1, |_| {}).spec()).unwrap();
    let engine = &engine;
    thread::scope(|scope| {
        for name in NAMES {
            scope.spawn(move || {
                // Without one of them, the others would wait for ever.
                let followed = catch_unwind(AssertUnwindSafe(|| follow(engine, folder, name)));
                if followed.is_err() {
                    std::process::exit(1);
                }
            });
        }
        while round.is_some() {
            engine.produce(&key("hub-0")).unwrap();
            let head = engine.head().unwrap().height;
            if head.is_multiple_of(16) {
                engine.prune(policy.clone(), None).unwrap();
            }
            let is_far = || {
                let lowest = engine.followers().lowest();
                lowest.is_none_or(|lowest| lowest.height + AHEAD_BLOCKS < head)
            };
            while is_far() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        // The last time: all see all there is, and then the end.
        while engine.followers().len() < NAMES.len() {
            thread::sleep(Duration::from_millis(1));
        }
        let head = engine.head().unwrap().height;
        while engine.followers().lowest().unwrap().height <= head {
            thread::sleep(Duration::from_millis(1));
        }
        engine.prune(policy.clone(), None).unwrap();
        engine.shutdown().unwrap();
    });
}

/// What the followers wrote, as far as it was looked at.
#[derive(Default)]
struct Checked {
    lines: [u64; NAMES.len()],
}

impl Checked {
    /// Every line that came since: one for each block, none twice, none left out.
    fn look(&mut self, folder: &Path) {
        for (name, lines) in NAMES.iter().zip(&mut self.lines) {
            let Ok(mut file) = File::open(folder.join(name)) else {
                continue;
            };
            file.seek(SeekFrom::Start(*lines * LINE_BYTES)).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            for line in text.split_inclusive('\n') {
                if !line.ends_with('\n') {
                    break;
                }
                assert_eq!(parse(line.trim_end()).height, *lines, "{name}");
                *lines += 1;
            }
        }
    }
}

fn process(folder: &Path, url: &str, round: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "kill::a_process_to_be_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(STORE, url)
        .env(ROUND, round)
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(File::create(folder.join("errors")).unwrap());
    command
}

/// Kills it in every round, and then lets it come to its end.
fn kill_again_and_again(scheme: &str) {
    let rounds = env::var(ROUNDS).ok();
    let rounds: u64 = rounds.map_or(10, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = format!("{scheme}:{}", folder.join("store").display());
    let errors = || fs::read_to_string(folder.join("errors")).unwrap();
    let mut checked = Checked::default();
    let started = Instant::now();
    let mut number = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..rounds {
        let mut child = process(folder, &url, &round.to_string()).spawn().unwrap();
        number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        thread::sleep(Duration::from_millis((number >> 33) % 150));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "round {round}: {}", errors());
        assert!(!errors().contains("panicked"), "{}", errors());
        checked.look(folder);
    }
    let status = process(folder, &url, "last").status().unwrap();
    assert!(status.success(), "{}", errors());
    checked.look(folder);
    let url: StoreUrl = url.parse().unwrap();
    let chain = ChainReader::open(url.open_read_only().unwrap()).unwrap();
    let extent = chain.extent().unwrap();
    assert_eq!(checked.lines, [extent.end; NAMES.len()]);
    assert_eq!(extent.body_floor, extent.end.saturating_sub(4));
    for name in NAMES {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        for (height, line) in (0..).zip(text.lines()) {
            assert_eq!(chain.hash_at(height).unwrap(), Some(parse(line).hash));
        }
        let registered = chain.followers().unwrap().get(name).flatten().unwrap();
        assert_eq!(Some(registered.height), extent.tip(), "{name}");
    }
    println!(
        "{scheme}: {rounds} rounds, {} blocks, in {:?}",
        extent.end,
        started.elapsed()
    );
}

#[test]
fn followers_of_a_log_see_every_block_once_whenever_they_are_killed() {
    kill_again_and_again("log");
}

#[test]
fn followers_of_a_database_see_every_block_once_whenever_they_are_killed() {
    kill_again_and_again("sqlite");
}
