//! `generate` and `keygen`.

use std::io::{self, BufWriter, StdoutLock};
use std::path::Path;

use anyhow::Context;
use hubledger::blockfile::{BlockFileWriter, BlockStream};
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::model::Block;
use hubledger::signature::KeyPair;
use hubledger::spec::{ChainSpec, Identity};
use serde_json::{Map, json};

use super::{read_key, read_spec};
use crate::args::{Generate, Keygen};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;

pub(crate) fn generate(args: &Generate, output: &Output) -> Result {
    let recipe = Recipe {
        transactions: args.transactions,
        keys: args.keys,
        payload_bytes: args.payload,
        per_block: args.per_block,
        seed: args.seed,
        version: FormatVersion::try_from(args.format).map_err(Failure::message)?,
        identity: match args.registered {
            true => Identity::Registered,
            false => Identity::Pinned,
        },
        keys_each: args.keys_each,
        threshold: args.threshold.unwrap_or(args.keys_each),
        consensus: args.consensus,
        members: args.members,
    };
    let mut generator = match &args.spec {
        Some(spec) => {
            let keys = args.key.iter().map(|path| read_key(path));
            Generator::for_spec(recipe, read_spec(spec)?, keys.collect::<Result<_>>()?)?
        }
        None => Generator::new(recipe)?,
    };
    if let Some(folder) = &args.keys_out {
        write_keys(folder, &generator)?;
    }
    let stop = output.stop();
    stop.in_order();
    let mut file = Sink::open(&args.out, generator.spec(), output)?;
    let mut progress = Progress::new("generate", Some(args.transactions));
    let (mut blocks, mut transactions) = (1u64, 0u64);
    let mut head = generator.spec().genesis().hash();
    while let Some(block) = generator.next_block()? {
        if stop.is_asked() {
            return Err(stop.failure(file.unfinished(&args.out), Map::new()));
        }
        file.append(&block)?;
        blocks += 1;
        transactions += block.transactions().len() as u64;
        head = block.hash();
        progress.block(block.transactions().len() as u64, transactions);
    }
    file.finish()?;
    output.print(&json!({
        "out": args.out.display().to_string(),
        "chain": generator.spec().id(),
        "blocks": blocks,
        "transactions": transactions,
        "head": head,
        "seconds": progress.finish(),
    }));
    Ok(())
}

/// The keys of all who seal, so that somebody can go on with the chain: `hub-0.pem`, `hub-1.pem`, ….
fn write_keys(folder: &Path, generator: &Generator) -> Result {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (number, key) in generator.seal_keys().iter().enumerate() {
        let path = folder.join(format!("hub-{number}.pem"));
        key.write_pem(&path)
            .map_err(|error| Failure::Failed(error.into()))?;
    }
    Ok(())
}

/// Where the blocks go.
pub(super) enum Sink {
    File(BlockFileWriter),
    Stdout(BlockStream<BufWriter<StdoutLock<'static>>>),
}

const STDOUT: &str = "standard output";

impl Sink {
    /// A new file, or standard output for `-`; the report then goes to standard error.
    pub(super) fn open(path: &Path, spec: &ChainSpec, output: &Output) -> Result<Self> {
        if path.as_os_str() != "-" {
            return Ok(Self::File(BlockFileWriter::create(path, spec)?));
        }
        output.divert();
        let stdout = BufWriter::new(io::stdout().lock());
        let stream = BlockStream::new(stdout, spec).context(STDOUT)?;
        Ok(Self::Stdout(stream))
    }

    /// What is left where the blocks were to go, if they end here.
    pub(super) fn unfinished(&self, path: &Path) -> String {
        match self {
            Self::File(_) => format!("nothing was written to {}; start it again", path.display()),
            Self::Stdout(_) => {
                format!("the block file that went to {STDOUT} is not whole; start it again")
            }
        }
    }

    pub(super) fn append(&mut self, block: &Block) -> Result {
        match self {
            Self::File(file) => file.append(block)?,
            Self::Stdout(stream) => stream.append(block).context(STDOUT)?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result {
        match self {
            Self::File(file) => file.finish()?,
            Self::Stdout(stream) => drop(stream.finish().context(STDOUT)?),
        }
        Ok(())
    }
}

pub(crate) fn keygen(args: &Keygen, output: &Output) -> Result {
    // A file that is begun is written.
    output.stop().in_order();
    let key = KeyPair::generate().map_err(|error| Failure::Failed(error.into()))?;
    key.write_pem(&args.out)
        .map_err(|error| Failure::Failed(error.into()))?;
    output.print(&json!({
        "out": args.out.display().to_string(),
        "public_key": key.public_key(),
    }));
    Ok(())
}
