//! Transactions as JSON, in the form that `show`, `get` and `tx` print: read again, as they are or as a draft.

use hubledger::digest::{ChainId, TransactionId};
use hubledger::model::{Draft, Kind, Operation, Scheme, Transaction, Witness};
use hubledger::signature::{PublicKey, Signature};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// What a document of a transaction says that it is.
pub(crate) const FORMAT: &str = "transaction";
pub(crate) const NATIVE: &str = "native";
pub(crate) const IMPORTED: &str = "mpreg";

/// The fields of a transaction, as far as they are there. A name that isn't known is refused, for one that is misspelt
/// would be left out in silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TransactionJson {
    format: Option<String>,
    id: Option<TransactionId>,
    kind: Option<String>,
    pub(crate) chain: Option<ChainId>,
    pub(crate) sender: Option<String>,
    pub(crate) receiver: Option<String>,
    #[serde(deserialize_with = "operation")]
    pub(crate) operation: Option<Operation>,
    pub(crate) amount: Option<u64>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) expiry: Option<u64>,
    pub(crate) fee: Option<u64>,
    pub(crate) nonce: Option<u64>,
    #[serde(deserialize_with = "payload")]
    pub(crate) payload: Option<Vec<u8>>,
    witnesses: Option<Vec<WitnessJson>>,
    // Of where it was found, or what follows from the fields.
    #[serde(rename = "height")]
    _height: IgnoredAny,
    #[serde(rename = "index")]
    _index: IgnoredAny,
    #[serde(rename = "block")]
    _block: IgnoredAny,
    #[serde(rename = "original")]
    _original: IgnoredAny,
    #[serde(rename = "meaning")]
    _meaning: IgnoredAny,
    #[serde(rename = "checked")]
    _checked: IgnoredAny,
    #[serde(rename = "out")]
    _out: IgnoredAny,
    #[serde(rename = "bytes")]
    _bytes: IgnoredAny,
    #[serde(rename = "encoded")]
    _encoded: IgnoredAny,
}

/// A witness. Whether it verifies is found out anew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessJson {
    scheme: String,
    key: PublicKey,
    signature: Signature,
    #[serde(default, rename = "verifies")]
    _verifies: IgnoredAny,
}

impl TransactionJson {
    /// What of it can't be the draft of a new transaction.
    pub(crate) fn check_draft(&self) -> Result<(), String> {
        self.check_format()?;
        match self.kind.as_deref() {
            None | Some(NATIVE) => Ok(()),
            Some(kind) => Err(format!(
                "kind: {kind:?}, but only a native transaction can be made and signed"
            )),
        }
    }

    /// The transaction that it says it is, with these very witnesses.
    pub(crate) fn into_transaction(self) -> Result<Transaction, String> {
        self.check_format()?;
        let witnesses = needed("witnesses", self.witnesses)?;
        let witnesses: Result<Vec<Witness>, String> = witnesses
            .into_iter()
            .map(WitnessJson::into_witness)
            .collect();
        let draft = Draft {
            kind: kind(&needed("kind", self.kind)?)?,
            chain: needed("chain", self.chain)?,
            sender: needed("sender", self.sender)?,
            receiver: needed("receiver", self.receiver)?,
            operation: needed("operation", self.operation)?,
            amount: needed("amount", self.amount)?,
            payload: needed("payload", self.payload)?,
            timestamp: needed("timestamp", self.timestamp)?,
            expiry: needed("expiry", self.expiry)?,
            fee: needed("fee", self.fee)?,
            nonce: needed("nonce", self.nonce)?,
        };
        let transaction = draft.with_witnesses(witnesses?);
        let transaction = transaction.map_err(|error| error.to_string())?;
        match self.id {
            Some(id) if id != transaction.id() => Err(format!(
                "id: {id}, but the fields are those of {}; `hubledger tx --draft` signs what was edited",
                transaction.id()
            )),
            _ => Ok(transaction),
        }
    }

    fn check_format(&self) -> Result<(), String> {
        match self.format.as_deref() {
            None | Some(FORMAT) => Ok(()),
            Some(other) => Err(format!("format: {other:?}, not {FORMAT:?}")),
        }
    }
}

impl WitnessJson {
    fn into_witness(self) -> Result<Witness, String> {
        let scheme = match self.scheme.as_str() {
            NATIVE => Scheme::Native,
            IMPORTED => Scheme::Mpreg,
            other => return Err(format!("witnesses: {other:?} is no scheme")),
        };
        Ok(Witness {
            scheme,
            key: self.key,
            signature: self.signature,
        })
    }
}

fn needed<T>(field: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("{field}: missing"))
}

fn kind(word: &str) -> Result<Kind, String> {
    match word {
        NATIVE => Ok(Kind::Native),
        IMPORTED => Ok(Kind::Mpreg),
        other => Err(format!("kind: {other:?} is no kind of transaction")),
    }
}

fn operation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Operation>, D::Error> {
    let word = String::deserialize(deserializer)?;
    let found = Operation::from_word(&word);
    let words: Vec<&str> = Operation::ALL.iter().map(|one| one.word()).collect();
    found.map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "operation: {word:?} is none of {}",
            words.join(", ")
        ))
    })
}

fn payload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let digits = String::deserialize(deserializer)?;
    let bytes = hex::decode(digits);
    bytes
        .map(Some)
        .map_err(|error| D::Error::custom(format!("payload: not hexadecimal digits: {error}")))
}
