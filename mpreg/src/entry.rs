//! What is kept of each transaction of a block: all of it, or what the rules look at.

use super::transaction::{Operation, Transaction};
use hubledger::original::Number;
use hubledger::signature::{PublicKey, Signature};

/// A transaction as a [`Block`](super::Block) keeps it. The block keeps its signing bytes as well, so that an entry needs
/// nothing of what they hold.
///
/// The kinds are this module's: [`Transaction`] for whoever looks at the contents, [`Brief`] for who only wants a verdict.
pub trait Entry: sealed::Kept + Send {
    /// Seconds since the Unix epoch.
    fn timestamp(&self) -> &Number;

    /// The signature and the key that made it, where there is a signature.
    fn witness(&self) -> Option<(&PublicKey, &Signature)>;
}

pub(super) mod sealed {
    use super::{Fields, Transaction};

    /// How an entry comes about.
    pub trait Kept: From<Transaction> {
        /// From fields that passed every check of a transaction alone.
        fn keep(fields: Fields<'_>) -> Self;
    }
}

/// A string that was read.
#[derive(Debug)]
pub(super) enum Text<'a> {
    /// ASCII as it stands in the text.
    Plain(&'a [u8]),
    /// What was spelled with escapes.
    Spelled(String),
}

impl Text<'_> {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Spelled(text) => text.as_bytes(),
        }
    }

    pub(super) fn into_string(self) -> String {
        match self {
            Self::Plain(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Spelled(text) => text,
        }
    }
}

/// The digits of an integer that isn't negative, as Python prints it: no more than it reads, and no zero in front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits<'a>(pub(super) &'a [u8]);

impl Digits<'_> {
    pub(super) fn to_number(self) -> Option<Number> {
        Number::parse(std::str::from_utf8(self.0).ok()?).ok()
    }
}

/// A transaction's checked fields, borrowed from its text where they can be.
#[derive(Debug)]
pub struct Fields<'a> {
    pub(super) id: Text<'a>,
    pub(super) sender: Text<'a>,
    pub(super) receiver: Text<'a>,
    pub(super) operation: Operation,
    /// Pairs of lowercase hexadecimal digits.
    pub(super) payload: &'a [u8],
    /// As Python prints it, and its value.
    pub(super) timestamp: (&'a str, Number),
    pub(super) fee: Digits<'a>,
    pub(super) nonce: Digits<'a>,
    pub(super) signature: Option<Signature>,
    pub(super) public_key: Option<PublicKey>,
    pub(super) recorded_hash: Text<'a>,
}

impl Fields<'_> {
    /// Appends what [`Transaction::write_signing_bytes`] appends for a transaction with these fields.
    pub(super) fn write_signing_bytes(&self, out: &mut Vec<u8>) {
        let parts: [&[u8]; 16] = [
            b"fee=",
            self.fee.0,
            b":nonce=",
            self.nonce.0,
            b":operation_type=",
            self.operation.name().as_bytes(),
            b":payload=",
            self.payload,
            b":receiver=",
            self.receiver.as_bytes(),
            b":sender=",
            self.sender.as_bytes(),
            b":timestamp=",
            self.timestamp.0.as_bytes(),
            b":transaction_id=",
            self.id.as_bytes(),
        ];
        out.reserve(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            out.extend_from_slice(part);
        }
    }
}

/// What the rules for a chain look at in a transaction beside its signing bytes.
#[derive(Debug, Clone)]
pub struct Brief {
    timestamp: Number,
    signature: Option<Signature>,
    public_key: Option<PublicKey>,
}

impl Entry for Brief {
    fn timestamp(&self) -> &Number {
        &self.timestamp
    }

    fn witness(&self) -> Option<(&PublicKey, &Signature)> {
        self.public_key.as_ref().zip(self.signature.as_ref())
    }
}

impl From<Transaction> for Brief {
    fn from(transaction: Transaction) -> Self {
        Self {
            timestamp: transaction.timestamp,
            signature: transaction.signature,
            public_key: transaction.public_key,
        }
    }
}

impl sealed::Kept for Brief {
    fn keep(fields: Fields<'_>) -> Self {
        Self {
            timestamp: fields.timestamp.1,
            signature: fields.signature,
            public_key: fields.public_key,
        }
    }
}
