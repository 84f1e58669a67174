//! `tx`: a transaction made, checked by the rules of its chain as far as they are known, signed, and written.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use hubledger::clock::{Clock, SystemClock};
use hubledger::digest::ChainId;
use hubledger::model::{Draft, Kind, PAYLOAD_BYTES_MAX, Transaction};
use hubledger::rejection::{Fault, Reason};
use hubledger::signature::KeyPair;
use hubledger::spec::Identity;
use serde_json::{Value, json};

use super::chain_rules::ChainRules;
use super::{read_key, write_new};
use crate::args::{Nonce, Tx, When};
use crate::describe;
use crate::failure::{Failure, Result};
use crate::input::{self, name_of};
use crate::output::Output;
use crate::transaction_json::TransactionJson;
use crate::transactions::{self, Form, ONE_BYTES_MAX};

pub(crate) fn tx(args: &Tx, output: &Output) -> Result {
    if is_stdout(args) && (args.out.is_some() || !output.is_json()) {
        // Whoever reads standard output expects a transaction, and nothing else.
        output.divert();
    }
    refuse_one_stdin_for_two(args)?;
    let rules = ChainRules::of(args)?;
    let keys = args.keys.iter().map(|path| read_key(path));
    let keys: Vec<KeyPair> = keys.collect::<Result<_>>()?;
    let now_us = args.at.unwrap_or_else(|| SystemClock.now_us());
    let keys: Vec<&KeyPair> = keys.iter().collect();
    let transaction = match &args.cosign {
        Some(path) => cosigned(path, &keys)?,
        None => draft(args, &rules, &keys, now_us)?
            .sign(&keys)
            .map_err(Failure::message)?,
    };
    rules.check(&transaction, now_us, args.partial || args.unsigned)?;
    give_out(args, &transaction, &rules, output)
}

/// Each of these would read standard input to its end.
fn refuse_one_stdin_for_two(args: &Tx) -> Result {
    let files = [&args.draft, &args.cosign, &args.payload_file];
    let files = files.into_iter().flatten().chain(&args.after);
    match files.filter(|path| path.as_os_str() == "-").count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::message(
            "standard input can be read for one of the options only",
        )),
    }
}

fn cosigned(path: &Path, keys: &[&KeyPair]) -> Result<Transaction> {
    let transaction = transactions::read_one(path)?;
    if transaction.kind() != Kind::Native {
        let problem = "only a native transaction can be signed";
        return Err(Failure::message(format!("{}: {problem}", name_of(path))));
    }
    let signed = transaction.signed_also_by(keys);
    signed.map_err(|error| Failure::message(format!("{}: {error}", name_of(path))))
}

fn draft(args: &Tx, rules: &ChainRules, keys: &[&KeyPair], now_us: u64) -> Result<Draft> {
    let json = match &args.draft {
        Some(path) => read_draft(path)?,
        None => TransactionJson::default(),
    };
    let chain = chain(args, rules, json.chain)?;
    let sender = args.sender.clone().or(json.sender);
    let sender = sender.or_else(|| key_as_name(rules, keys));
    let sender = said(sender, "sender")?;
    let payload = match payload(args)? {
        Some(payload) => Some(payload),
        None => json.payload,
    };
    let fee_min = rules.spec().map_or(0, |spec| spec.rules.fee_min);
    Ok(Draft {
        kind: Kind::Native,
        chain,
        receiver: said(args.receiver.clone().or(json.receiver), "receiver")?,
        operation: said(args.operation.or(json.operation), "operation")?,
        amount: args.amount.or(json.amount).unwrap_or(0),
        payload: payload.unwrap_or_default(),
        timestamp: args.at.or(json.timestamp).unwrap_or(now_us),
        expiry: expiry(args.expiry, json.expiry, now_us),
        fee: args.fee.or(json.fee).unwrap_or(fee_min),
        nonce: nonce(args, json.nonce, rules, &sender)?,
        sender,
    })
}

fn said<T>(value: Option<T>, field: &str) -> Result<T> {
    value.ok_or_else(|| Failure::message(format!("{field}: say it with --{field}, or in --draft")))
}

/// The chain that is asked for. A draft for another one is taken there only if that is said by the chain's id.
fn chain(args: &Tx, rules: &ChainRules, in_draft: Option<ChainId>) -> Result<ChainId> {
    match (rules.chain(), in_draft) {
        (Some(known), Some(drafted)) if known != drafted && args.chain.is_none() => {
            let detail = format!("the draft is for chain {drafted}, this is {known}");
            Err(Failure::refused(Fault::new(Reason::Chain, detail)))
        }
        (known, drafted) => known.or(drafted).ok_or_else(|| {
            Failure::message("chain: say for which one it is, with --store, --spec or --chain")
        }),
    }
}

/// Where names are keys, whoever signs alone has one.
fn key_as_name(rules: &ChainRules, keys: &[&KeyPair]) -> Option<String> {
    let identity = rules.spec()?.rules.identity;
    match keys {
        [key] if identity == Identity::Key => Some(key.public_key().to_string()),
        _ => None,
    }
}

fn expiry(said: Option<When>, in_draft: Option<u64>, now_us: u64) -> u64 {
    match said {
        Some(when) => when.after(now_us),
        None => in_draft.unwrap_or(0),
    }
}

fn nonce(args: &Tx, in_draft: Option<u64>, rules: &ChainRules, sender: &str) -> Result<u64> {
    match (args.nonce, in_draft) {
        (Some(Nonce::Number(number)), _) | (None, Some(number)) => Ok(number),
        (Some(Nonce::Next) | None, _) => {
            let mut last = rules.last_nonce(sender).ok_or_else(|| {
                Failure::message("nonce: say it with --nonce, or --store URL for the chain's next")
            })?;
            for path in &args.after {
                let before = transactions::read(path, ONE_BYTES_MAX)?;
                let before = before.iter().filter(|one| one.sender() == sender);
                last = before.map(Transaction::nonce).fold(last, u64::max);
            }
            let used_up = || Failure::message(format!("nonce: {sender:?} has used the last one"));
            last.checked_add(1).ok_or_else(used_up)
        }
    }
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

/// Whether the transaction goes to standard output.
fn is_stdout(args: &Tx) -> bool {
    let is_dash = |path: &PathBuf| path.as_os_str() == "-";
    !args.dry_run && args.out.as_ref().is_none_or(is_dash)
}

fn give_out(args: &Tx, transaction: &Transaction, rules: &ChainRules, output: &Output) -> Result {
    let mut full = describe::transaction_document(transaction);
    full["checked"] = json!(rules.name());
    full["bytes"] = transaction.bytes().len().into();
    match &args.out {
        Some(path) if path.as_os_str() != "-" => {
            // A file that is begun is written.
            output.stop().in_order();
            write_new(path, &in_form(path, transaction))?;
            full["out"] = path.display().to_string().into();
        }
        _ if args.dry_run => {}
        None if output.is_json() => full["encoded"] = hex::encode(transaction.bytes()).into(),
        _ if args.hex || io::stdout().is_terminal() => {
            let line = format!("{}\n", hex::encode(transaction.bytes()));
            output.data(line.as_bytes())?;
        }
        _ => output.data(transaction.bytes())?,
    }
    output.print_either(&full, &brief(&full, transaction));
    Ok(())
}

/// What people want to know of a transaction that they have just made.
fn brief(full: &Value, transaction: &Transaction) -> Value {
    let fields = [
        "id",
        "chain",
        "sender",
        "receiver",
        "operation",
        "amount",
        "fee",
        "nonce",
        "expiry",
    ];
    let mut brief = json!({});
    for field in fields {
        brief[field] = full[field].clone();
    }
    brief["payload_bytes"] = transaction.payload().len().into();
    brief["witnesses"] = transaction.witnesses().len().into();
    for field in ["checked", "bytes", "out"] {
        if let Some(value) = full.get(field) {
            brief[field] = value.clone();
        }
    }
    brief
}

/// JSON or hexadecimal digits if the name says so, else bytes.
fn in_form(path: &Path, transaction: &Transaction) -> Vec<u8> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => format!("{:#}\n", describe::transaction_document(transaction)).into_bytes(),
        Some("hex") => format!("{}\n", hex::encode(transaction.bytes())).into_bytes(),
        _ => transaction.bytes().to_vec(),
    }
}
