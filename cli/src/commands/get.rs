//! `get`: one transaction, one block, or the head.

use std::path::Path;

use hubledger::ledger::{ChainReader, LedgerError, Lookup};
use serde_json::{Value, json};

use super::write_new;
use crate::args::{BlockName, Get};
use crate::describe;
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn get(args: &Get, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    if let Some(name) = &args.tx {
        return get_transaction(&reader, name, args.out.as_deref(), output);
    }
    if let Some(name) = args.block {
        return get_block(&reader, name, output);
    }
    output.print(&describe::header(&reader.head()?));
    Ok(())
}

fn get_transaction(
    reader: &ChainReader,
    name: &str,
    out: Option<&Path>,
    output: &Output,
) -> Result {
    let (found, answer) = match reader.find(name)? {
        Lookup::Found(placed) => {
            if let Some(path) = out {
                // A file that is begun is written.
                output.stop().in_order();
                write_new(path, placed.transaction().bytes())?;
            }
            (true, describe::placed(&placed, reader.spec()))
        }
        Lookup::Pruned { height, index } => (
            false,
            json!({ "found": "pruned", "height": height, "index": index }),
        ),
        Lookup::NotIndexed { watermark } => (
            false,
            json!({ "found": "not indexed yet", "watermark": watermark }),
        ),
        Lookup::Forgotten { below } => (
            false,
            json!({ "found": "forgotten", "transaction": name, "index_floor": below }),
        ),
        Lookup::Absent => (false, json!({ "found": "absent", "transaction": name })),
    };
    answer_with(found, &answer, output)
}

fn get_block(reader: &ChainReader, name: BlockName, output: &Output) -> Result {
    let (height, name) = match name {
        BlockName::Height(height) => (Some(height), height.to_string()),
        BlockName::Hash(hash) => (reader.height_of(&hash)?, hash.to_string()),
    };
    let absent = json!({ "found": "absent", "block": name });
    let Some(height) = height else {
        return answer_with(false, &absent, output);
    };
    match reader.block(height) {
        Ok(Some(block)) => answer_with(true, &describe::block(&block, Some(reader.spec())), output),
        Ok(None) => answer_with(false, &absent, output),
        Err(LedgerError::Pruned(_)) => {
            let mut answer = match reader.header(height)? {
                Some(header) => describe::header(&header),
                None => absent,
            };
            answer["transactions"] = "pruned".into();
            answer_with(true, &answer, output)
        }
        Err(error) => Err(error.into()),
    }
}

fn answer_with(found: bool, answer: &Value, output: &Output) -> Result {
    output.print(answer);
    if found {
        Ok(())
    } else {
        Err(Failure::Negative)
    }
}
