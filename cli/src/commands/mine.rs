//! `mine`: blocks of a chain that work seals, found on all cores until somebody stops it.

use std::time::{Duration, Instant};

use hubledger::blockfile::BlockFileWriter;
use hubledger::consensus::work::{Outcome, Search, Target, Template};
use hubledger::engine::Engine;
use hubledger::model::{Block, Header, HeaderFields, Seal};
use hubledger::signature::KeyPair;
use serde_json::{Map, json};

use super::produce::{Given, admit, commit, read_all};
use super::read_key;
use crate::args::Mine;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::stop::Stop;

/// For so long a search goes on before it begins anew with a later time, and with what came in since.
const SEARCH_MAX: Duration = Duration::from_secs(10);

pub(crate) fn mine(args: &Mine, output: &Output) -> Result {
    let key = read_key(&args.key)?;
    let given = read_all(&args.files)?;
    let builder = Engine::builder()
        .threads(args.threads.into())
        .durability(args.durability);
    let engine = builder.open(args.store.open()?)?;
    if engine.spec().composition().work().is_none() {
        let name = engine.spec().composition().name.word();
        let problem = format!("{}: {name}: there is nothing to mine", args.store);
        return Err(Failure::message(problem));
    }
    output.stop().in_order();
    let file = args.out.as_deref();
    let mut file = file
        .map(|path| BlockFileWriter::create(path, engine.spec()))
        .transpose()?;
    admit_all(&engine, &given)?;
    for found in 0..args.blocks {
        let Some((block, hashes, seconds)) = find(args, &engine, &key, output.stop())? else {
            if let Some(file) = file {
                file.finish()?;
            }
            let detail = format!("{found} blocks were found; start it again");
            return Err(output.stop().failure(detail, Map::new()));
        };
        commit(&engine, &block)?;
        if let Some(file) = &mut file {
            file.append(&block)?;
        }
        let header = block.header();
        output.print(&json!({
            "height": header.height,
            "hash": block.hash(),
            "producer": header.producer,
            "difficulty": header.difficulty,
            "nonce": header.nonce,
            "transactions": header.transaction_count,
            "hashes": hashes,
            "seconds": seconds,
        }));
    }
    if let Some(file) = file {
        file.finish()?;
    }
    engine.shutdown()?;
    Ok(())
}

fn admit_all(engine: &Engine, given: &[Given]) -> Result {
    match admit(engine, given)?.into_iter().next() {
        Some(refused) => Err(Failure::refused(refused.fault)),
        None => Ok(()),
    }
}

/// The next block, the hashes that it took and for how long; `None` if it was stopped.
fn find(
    args: &Mine,
    engine: &Engine,
    key: &KeyPair,
    stop: &Stop,
) -> Result<Option<(Block, u64, f64)>> {
    let (began, mut hashes) = (Instant::now(), 0u64);
    loop {
        let draft = engine.build(&key.public_key(), Instant::now() + SEARCH_MAX)?;
        let until = Instant::now() + SEARCH_MAX;
        let search = Search {
            threads: args.threads.into(),
            ..Search::new(Target::from_difficulty(draft.header().difficulty))
        };
        let template = Template::of(draft.header());
        match search.run(&template, || stop.is_asked() || Instant::now() >= until) {
            Outcome::Found { nonce, .. } => {
                hashes = hashes.saturating_add(nonce).saturating_add(1);
                let block = with_nonce(&draft, nonce)?;
                return Ok(Some((block, hashes, began.elapsed().as_secs_f64())));
            }
            Outcome::Cancelled { .. } if stop.is_asked() => return Ok(None),
            Outcome::Cancelled { next } => hashes = hashes.saturating_add(next),
            Outcome::Exhausted => hashes = u64::MAX,
        }
    }
}

fn with_nonce(draft: &Block, nonce: u64) -> Result<Block> {
    let header = Header::new(HeaderFields {
        nonce,
        ..(**draft.header()).clone()
    })?;
    let block = Block::assemble(header, Seal::Work, draft.transactions());
    block.map_err(|error| Failure::message(error.to_string()))
}
