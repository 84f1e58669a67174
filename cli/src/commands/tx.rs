//! `tx`: a transaction of any operation, from options, from JSON, or both; or one that gets more signatures.

use std::path::Path;

use hubledger::model::PAYLOAD_BYTES_MAX;

use super::author::Author;
use crate::args::Tx;
use crate::failure::{Failure, Result};
use crate::input::{self, name_of};
use crate::output::Output;
use crate::transaction_json::TransactionJson;
use crate::transactions::{Form, ONE_BYTES_MAX};

pub(crate) fn tx(args: &Tx, output: &Output) -> Result {
    let files = [&args.draft, &args.cosign, &args.payload_file];
    let author = Author::begin(&args.author, files.into_iter().flatten(), output)?;
    let transaction = match &args.cosign {
        Some(path) => author.cosigned(path)?,
        None => author.signed(fields(args)?)?,
    };
    author.give_out(&transaction, output)
}

/// What the transaction says: by the options, or else by the draft.
fn fields(args: &Tx) -> Result<TransactionJson> {
    let mut fields = match &args.draft {
        Some(path) => read_draft(path)?,
        None => TransactionJson::default(),
    };
    if let Some(payload) = payload(args)? {
        fields.payload = Some(payload);
    }
    fields.operation = args.operation.or(fields.operation);
    fields.receiver = args.receiver.clone().or(fields.receiver);
    fields.amount = args.amount.or(fields.amount);
    Ok(fields)
}

fn payload(args: &Tx) -> Result<Option<Vec<u8>>> {
    if let Some(path) = &args.payload_file {
        return input::read(path, PAYLOAD_BYTES_MAX as u64).map(Some);
    }
    let text = args.payload.as_ref().map(|text| text.as_bytes().to_vec());
    Ok(text.or_else(|| args.payload_hex.clone()))
}

fn read_draft(path: &Path) -> Result<TransactionJson> {
    let bytes = input::read(path, ONE_BYTES_MAX)?;
    let problem = |problem: String| Failure::message(format!("{}: {problem}", name_of(path)));
    if Form::of(&bytes) != Form::Json {
        let instead = "not a JSON object; `hubledger --json show` makes one of a transaction";
        return Err(problem(instead.to_owned()));
    }
    let json: TransactionJson =
        serde_json::from_slice(&bytes).map_err(|error| problem(error.to_string()))?;
    json.check_draft().map_err(problem)?;
    Ok(json)
}
