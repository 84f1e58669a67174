//! Transactions of one's own: made by the rules of their chain as far as they are known, signed, checked, and written where they are
//! wanted.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use hubledger::clock::{Clock, SystemClock};
use hubledger::digest::ChainId;
use hubledger::model::{Draft, Kind, Transaction};
use hubledger::rejection::{Fault, Reason};
use hubledger::signature::{KeyPair, PublicKey};
use hubledger::spec::{ChainSpec, Identity};
use serde_json::{Value, json};

use super::chain_rules::ChainRules;
use super::{read_key, write_new};
use crate::args::{Authoring, Nonce, When};
use crate::describe;
use crate::failure::{Failure, Result};
use crate::input::name_of;
use crate::output::Output;
use crate::transaction_json::TransactionJson;
use crate::transactions::{self, ONE_BYTES_MAX};

/// Whoever makes a transaction: the keys, and the rules of the chain.
pub(super) struct Author<'a> {
    options: &'a Authoring,
    rules: ChainRules,
    keys: Vec<KeyPair>,
    now_us: u64,
}

impl<'a> Author<'a> {
    /// Reads what the options name. `files` are others that the command reads.
    pub(super) fn begin<'f>(
        options: &'a Authoring,
        files: impl IntoIterator<Item = &'f PathBuf>,
        output: &Output,
    ) -> Result<Self>
    where
        'a: 'f,
    {
        if is_stdout(options) && (options.out.is_some() || !output.is_json()) {
            // Whoever reads standard output expects a transaction, and nothing else.
            output.divert();
        }
        refuse_one_stdin_for_two(files.into_iter().chain(&options.after))?;
        let rules = ChainRules::of(options)?;
        let keys = options.keys.iter().map(|path| read_key(path));
        Ok(Self {
            options,
            rules,
            keys: keys.collect::<Result<_>>()?,
            now_us: options.at.unwrap_or_else(|| SystemClock.now_us()),
        })
    }

    /// The specification of the chain, where it is known.
    pub(super) fn spec(&self) -> Option<&ChainSpec> {
        self.rules.spec()
    }

    /// The keys that sign.
    pub(super) fn keys(&self) -> &[KeyPair] {
        &self.keys
    }

    /// The public halves of the keys that sign.
    pub(super) fn public_keys(&self) -> Vec<PublicKey> {
        self.keys.iter().map(KeyPair::public_key).collect()
    }

    /// Who sends: whom the options name, else the draft; else, where names are keys, whoever signs alone.
    pub(super) fn sender(&self, drafted: Option<String>) -> Result<String> {
        let named = self.options.sender.clone().or(drafted);
        said(named.or_else(|| self.key_as_name()), "sender")
    }

    /// The transaction in `path` with more signatures.
    pub(super) fn cosigned(&self, path: &Path) -> Result<Transaction> {
        let transaction = transactions::read_one(path)?;
        if transaction.kind() != Kind::Native {
            let problem = "only a native transaction can be signed";
            return Err(Failure::message(format!("{}: {problem}", name_of(path))));
        }
        let keys: Vec<&KeyPair> = self.keys.iter().collect();
        let signed = transaction.signed_also_by(&keys);
        signed.map_err(|error| Failure::message(format!("{}: {error}", name_of(path))))
    }

    /// A transaction of these fields. What is said of its author in the options goes before what is said in them.
    pub(super) fn signed(&self, fields: TransactionJson) -> Result<Transaction> {
        let keys: Vec<&KeyPair> = self.keys.iter().collect();
        self.draft(fields)?.sign(&keys).map_err(Failure::message)
    }

    /// Checks a transaction by the rules of its chain, as far as they are known.
    pub(super) fn check(&self, transaction: &Transaction) -> Result {
        let is_partial = self.options.partial || self.options.unsigned;
        self.rules.check(transaction, self.now_us, is_partial)
    }

    fn draft(&self, fields: TransactionJson) -> Result<Draft> {
        let (options, now_us) = (self.options, self.now_us);
        let chain = self.chain(fields.chain)?;
        let sender = self.sender(fields.sender)?;
        Ok(Draft {
            kind: Kind::Native,
            chain,
            receiver: said(fields.receiver, "receiver")?,
            operation: said(fields.operation, "operation")?,
            amount: fields.amount.unwrap_or(0),
            payload: fields.payload.unwrap_or_default(),
            timestamp: options.at.or(fields.timestamp).unwrap_or(now_us),
            expiry: expiry(options.expiry, fields.expiry, now_us),
            fee: options
                .fee
                .or(fields.fee)
                .unwrap_or_else(|| self.rules.fee_min()),
            nonce: self.nonce(fields.nonce, &sender)?,
            sender,
        })
    }

    /// The chain that is asked for. A draft for another one is taken there only if that is said by the chain's id.
    fn chain(&self, in_draft: Option<ChainId>) -> Result<ChainId> {
        match (self.rules.chain(), in_draft) {
            (Some(known), Some(drafted)) if known != drafted && self.options.chain.is_none() => {
                let detail = format!("the draft is for chain {drafted}, this is {known}");
                Err(Failure::refused(Fault::new(Reason::Chain, detail)))
            }
            (known, drafted) => known.or(drafted).ok_or_else(|| {
                Failure::message("chain: say for which one it is, with --store, --spec or --chain")
            }),
        }
    }

    /// Where names are keys, whoever signs alone has one.
    fn key_as_name(&self) -> Option<String> {
        let identity = self.spec()?.rules.identity;
        match &self.keys[..] {
            [key] if identity == Identity::Key => Some(key.public_key().to_string()),
            _ => None,
        }
    }

    fn nonce(&self, in_draft: Option<u64>, sender: &str) -> Result<u64> {
        match (self.options.nonce, in_draft) {
            (Some(Nonce::Number(number)), _) | (None, Some(number)) => Ok(number),
            (Some(Nonce::Next) | None, _) => {
                let mut last = self.rules.last_nonce(sender).ok_or_else(|| {
                    Failure::message(
                        "nonce: say it with --nonce, or --store URL for the chain's next",
                    )
                })?;
                for path in &self.options.after {
                    let before = transactions::read(path, ONE_BYTES_MAX)?;
                    let before = before.iter().filter(|one| one.sender() == sender);
                    last = before.map(Transaction::nonce).fold(last, u64::max);
                }
                let used_up =
                    || Failure::message(format!("nonce: {sender:?} has used the last one"));
                last.checked_add(1).ok_or_else(used_up)
            }
        }
    }

    /// Checks a transaction, writes it where the options say, and reports.
    pub(super) fn give_out(&self, transaction: &Transaction, output: &Output) -> Result {
        let options = self.options;
        let is_partial = options.partial || options.unsigned;
        self.rules.check(transaction, self.now_us, is_partial)?;
        let mut full = describe::transaction_document(transaction, self.spec());
        full["checked"] = json!(self.rules.name());
        full["bytes"] = transaction.bytes().len().into();
        match &options.out {
            Some(path) if path.as_os_str() != "-" => {
                // A file that is begun is written.
                output.stop().in_order();
                write_new(path, &self.in_form(path, transaction))?;
                full["out"] = path.display().to_string().into();
            }
            _ if options.dry_run => {}
            None if output.is_json() => full["encoded"] = hex::encode(transaction.bytes()).into(),
            _ if options.hex || io::stdout().is_terminal() => {
                let line = format!("{}\n", hex::encode(transaction.bytes()));
                output.data(line.as_bytes())?;
            }
            _ => output.data(transaction.bytes())?,
        }
        output.print_either(&full, &brief(&full, transaction));
        Ok(())
    }

    /// JSON or hexadecimal digits if the name says so, else bytes.
    fn in_form(&self, path: &Path, transaction: &Transaction) -> Vec<u8> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => {
                let document = describe::transaction_document(transaction, self.spec());
                format!("{document:#}\n").into_bytes()
            }
            Some("hex") => format!("{}\n", hex::encode(transaction.bytes())).into_bytes(),
            _ => transaction.bytes().to_vec(),
        }
    }
}

/// Each of these would read standard input to its end.
fn refuse_one_stdin_for_two<'f>(files: impl Iterator<Item = &'f PathBuf>) -> Result {
    match files.filter(|path| path.as_os_str() == "-").count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::message(
            "standard input can be read for one of the options only",
        )),
    }
}

fn said<T>(value: Option<T>, field: &str) -> Result<T> {
    value.ok_or_else(|| Failure::message(format!("{field}: say it with --{field}, or in --draft")))
}

fn expiry(said: Option<When>, in_draft: Option<u64>, now_us: u64) -> u64 {
    match said {
        Some(when) => when.after(now_us),
        None => in_draft.unwrap_or(0),
    }
}

/// Whether the transaction goes to standard output.
fn is_stdout(options: &Authoring) -> bool {
    let is_dash = |path: &PathBuf| path.as_os_str() == "-";
    !options.dry_run && options.out.as_ref().is_none_or(is_dash)
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
    for field in ["meaning", "checked", "bytes", "out"] {
        if let Some(value) = full.get(field) {
            brief[field] = value.clone();
        }
    }
    brief
}
