//! `produce`: the next block of a chain, of transactions from files, by the way that a hub's transactions go: admission, the
//! pool, building, sealing, committing.

mod given;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hubledger::blockfile::BlockFileWriter;
use hubledger::clock::{Clock, FixedClock, SystemClock};
use hubledger::consensus;
use hubledger::engine::{Engine, Outcome, WhenFull};
use hubledger::model::Block;
use hubledger::rejection::{Fault, Reason};
use hubledger::rules::{carry, produce};
use hubledger::signature::KeyPair;
use hubledger::spec::{ChainSpec, SealRule};
use serde_json::{Map, Value, json};

pub(super) use self::given::{Given, read_all};
use self::given::{LeftOut, all_left_out, included};
use super::{read_key, write_new};
use crate::args::Produce;
use crate::failure::{Failure, Result};
use crate::output::{Output, complain};
use crate::stop::Stop;

/// Choosing among as many transactions as are read takes less than this by far.
const CHOOSING_MAX: Duration = Duration::from_secs(600);

/// What became of the attempt to make a block.
struct Made<'a> {
    engine: Engine,
    block: Block,
    /// Nothing was committed if it would have been empty, and nobody asked for that.
    is_committed: bool,
    file: Option<BlockFileWriter>,
    refused: Vec<LeftOut<'a>>,
}

pub(crate) fn produce(args: &Produce, output: &Output) -> Result {
    // First what could fail and leave standard input read for nothing.
    let keys = args.key.iter().map(|path| read_key(path));
    let keys: Vec<KeyPair> = keys.collect::<Result<_>>()?;
    if let Some(path) = args.rest.as_ref().filter(|path| path.exists()) {
        let problem = format!("{}: exists already", path.display());
        return Err(Failure::message(problem));
    }
    let given = read_all(&args.files)?;
    if given.is_empty() && !args.allow_empty {
        return Err(Failure::message(
            "there is no transaction in what was given; --allow-empty makes a block without any",
        ));
    }
    // A block that is begun is made.
    output.stop().in_order();
    match make(args, &given, &keys, output.stop()) {
        Ok(made) => tell(args, &given, made, output),
        Err(failure) => {
            // They are in no block.
            keep(args, given.iter())?;
            Err(failure)
        }
    }
}

/// Everything up to the commit.
fn make<'a>(args: &Produce, given: &'a [Given], keys: &[KeyPair], stop: &Stop) -> Result<Made<'a>> {
    let engine = open(args, given)?;
    let keys: Vec<&KeyPair> = keys.iter().collect();
    let key = keys[0];
    let file = begin(args, &engine, key)?;
    let refused = admit(&engine, given)?;
    if stop.is_asked() {
        let detail = "no block was made; start it again";
        return Err(stop.failure(detail, Map::new()));
    }
    let parent = engine.state();
    let draft = engine.build(&key.public_key(), Instant::now() + CHOOSING_MAX)?;
    let is_committed = args.allow_empty || !draft.transactions().is_empty();
    let draft = match engine.block(parent.height())? {
        Some(last) => carry::with_attendance(engine.spec(), &parent, key, last.seal(), draft)?,
        None => draft,
    };
    let block = produce::sealed(engine.spec(), &parent, &keys, args.round, draft)?;
    if is_committed {
        commit(&engine, &block)?;
    }
    Ok(Made {
        engine,
        block,
        is_committed,
        file,
        refused,
    })
}

/// Opens the engine with a pool that has room for everything that was given.
fn open(args: &Produce, given: &[Given]) -> Result<Engine> {
    let bytes: usize = given.iter().map(|one| one.transaction.bytes().len()).sum();
    let mut builder = Engine::builder()
        .threads(args.threads.into())
        .durability(args.durability)
        .settings(|settings| {
            settings.pool_transactions = settings.pool_transactions.max(given.len());
            settings.pool_bytes = settings.pool_bytes.max(bytes);
            // All of it is somebody's who may have the whole block.
            settings.pool_sender_percent = 100;
            settings.pool_source_percent = 100;
        });
    if let Some(at_us) = args.at {
        builder = builder.clock(Arc::new(FixedClock(at_us)));
    }
    Ok(builder.open(args.store.open()?)?)
}

/// Refuses whom the chain wouldn't take a block from, before anything is done, and begins the block file.
fn begin(args: &Produce, engine: &Engine, key: &KeyPair) -> Result<Option<BlockFileWriter>> {
    let spec = engine.spec();
    consensus::producer(spec, &engine.state(), &key.public_key()).map_err(Failure::refused)?;
    refuse_future(args, spec)?;
    let next = engine.state().height().saturating_add(1);
    let parts = spec.at(next).composition();
    if args.round > 0 && !matches!(parts.seal, SealRule::Quorum(_)) {
        let name = parts.name.word();
        let problem = format!("--round: {name}: no certificates seal, so there are no rounds");
        return Err(Failure::message(problem));
    }
    let file = args.out.as_deref();
    let file = file.map(|path| BlockFileWriter::create(path, spec));
    Ok(file.transpose()?)
}

/// The engine holds a clock against the time that passes, which says nothing of a time that somebody names. A block that
/// others refuse, for it is too far ahead of their clocks, would bind this chain to its time.
fn refuse_future(args: &Produce, spec: &ChainSpec) -> Result {
    let now_us = SystemClock.now_us();
    let latest = now_us.saturating_add(spec.rules.clock_drift_max_us);
    match args.at {
        Some(at_us) if at_us > latest => {
            let ahead = at_us - now_us;
            let detail = format!("--at is {ahead} µs ahead of this machine's clock");
            Err(Failure::refused(Fault::new(Reason::Timestamp, detail)))
        }
        _ => Ok(()),
    }
}

/// Lets everything into the pool that the rules admit, and gives what they don't.
pub(super) fn admit<'a>(engine: &Engine, given: &'a [Given]) -> Result<Vec<LeftOut<'a>>> {
    let submitted = given.iter().map(|given| {
        let transaction = given.transaction.clone();
        Ok((given, engine.submit(transaction, WhenFull::Wait)?))
    });
    let submitted: Vec<_> = submitted.collect::<Result<_>>()?;
    let mut refused = Vec::new();
    for (given, ticket) in submitted {
        if let Err(fault) = ticket.wait()? {
            refused.push(LeftOut {
                given,
                fault,
                can_wait: false,
            });
        }
    }
    Ok(refused)
}

/// Hands the block in like anybody's. What is wrong with it, such as another's turn, is the failure.
pub(super) fn commit(engine: &Engine, block: &Block) -> Result {
    let handed_in = engine.offer(vec![block.encode().into()], WhenFull::Wait)?;
    match handed_in.wait()?.pop() {
        Some(Outcome::Committed { .. }) => Ok(()),
        Some(Outcome::Rejected(rejected)) => Err(Failure::invalid(rejected)),
        _ => Err(Failure::message("the block was not taken")),
    }
}

/// Writes what the options ask for, and reports.
fn tell(args: &Produce, given: &[Given], made: Made<'_>, output: &Output) -> Result {
    let Made { engine, block, .. } = made;
    if let (Some(mut file), true) = (made.file, made.is_committed) {
        file.append(&block)?;
        file.finish()?;
    }
    let left_out = all_left_out(&engine, given, &block, made.refused)?;
    let durability = engine.shutdown()?.durability.to_string();
    keep(args, left_out.iter().map(|one| one.given))?;
    for one in &left_out {
        let (id, fault) = (one.given.transaction.id(), &one.fault);
        complain(&format!(
            "left out: {id}: {}: {}",
            fault.reason, fault.detail
        ));
    }
    let list: Value = left_out.iter().map(LeftOut::describe).collect();
    if !made.is_committed {
        complain("no block was made, for no transaction can be in it");
        output.print(&json!({ "verdict": "invalid", "height": null, "left_out": list }));
        return Err(Failure::InvalidVerdict);
    }
    let header = block.header();
    let mut report = json!({
        "store": args.store.to_string(),
        "height": header.height,
        "hash": block.hash(),
        "timestamp": header.timestamp,
        "producer": header.producer,
        "transactions": header.transaction_count,
        "durability": durability,
        "included": included(given, &block),
        "left_out": list,
    });
    if let Some(path) = &args.out {
        report["out"] = path.display().to_string().into();
    }
    output.print(&report);
    verdict_on(&left_out)
}

/// Writes what is in no block where the option says, if there is anything.
fn keep<'a>(args: &Produce, rest: impl Iterator<Item = &'a Given>) -> Result {
    let bytes: Vec<u8> = rest
        .flat_map(|given| given.transaction.bytes().to_vec())
        .collect();
    match &args.rest {
        Some(path) if !bytes.is_empty() => write_new(path, &bytes),
        _ => Ok(()),
    }
}

/// How the command ends whose report was printed.
fn verdict_on(left_out: &[LeftOut<'_>]) -> Result {
    if left_out.iter().any(|one| !one.can_wait) {
        return Err(Failure::InvalidVerdict);
    }
    match left_out.is_empty() {
        true => Ok(()),
        false => Err(Failure::Negative),
    }
}
