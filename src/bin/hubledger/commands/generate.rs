//! `generate` and `keygen`.

use hubledger::blockfile::BlockFileWriter;
use hubledger::generate::{Generator, Recipe};
use hubledger::signature::KeyPair;
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
    };
    let mut generator = match (&args.spec, &args.key) {
        (Some(spec), Some(key)) => Generator::for_spec(recipe, read_spec(spec)?, read_key(key)?)?,
        _ => Generator::new(recipe)?,
    };
    let stop = output.stop();
    stop.in_order();
    let mut file = BlockFileWriter::create(&args.out, generator.spec())?;
    let mut progress = Progress::new("generate", Some(args.transactions));
    let (mut blocks, mut transactions) = (1u64, 0u64);
    let mut head = generator.spec().genesis().hash();
    while let Some(block) = generator.next_block()? {
        if stop.is_asked() {
            let detail = format!(
                "nothing was written to {}; start it again",
                args.out.display()
            );
            return Err(stop.failure(detail, Map::new()));
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
