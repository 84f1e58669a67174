//! A committed block as views see it: what each of them would have to work out again is worked out once.

use std::cell::OnceCell;

use hubledger::digest::{BlockHash, TransactionId};
use hubledger::model::{Block, Kind, Operation, Transaction};
use hubledger::payload::{MARK, MEANING_BYTES_MAX};

use crate::payload::Fields;

/// A committed block. Its [entries](CommittedBlock::entries) are all transactions. Among them may be few that [say something](CommittedBlock::sayings)
/// to a service, or that are [more than messages](CommittedBlock::notable): these are picked out once for all views.
#[derive(Debug)]
pub struct CommittedBlock<'a> {
    block: &'a Block,
    notable: Vec<Notable>,
}

/// A transaction that a view may have to look at.
#[derive(Debug)]
struct Notable {
    index: u32,
    saying: Option<Saying>,
}

/// A payload that may be a service's.
#[derive(Debug)]
struct Saying {
    /// Of a payload in canonical bytes; `None` where it can only be JSON.
    tag: Option<u8>,
    fields: OnceCell<Option<Fields>>,
}

/// A transaction in its place.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its place in the block.
    pub index: u32,
    transaction: &'a Transaction,
    saying: Option<&'a Saying>,
}

impl<'a> CommittedBlock<'a> {
    /// Looks at the operation and the first bytes of the payload of each transaction. O(transactions).
    #[must_use]
    pub fn new(block: &'a Block) -> Self {
        let mut notable = Vec::new();
        for (index, transaction) in (0u32..).zip(block.transactions()) {
            let tag = match transaction.kind() {
                Kind::Native => first_bytes(transaction.payload()),
                Kind::Mpreg => None,
            };
            let is_plain = matches!(
                transaction.operation(),
                Operation::Message | Operation::Transfer
            );
            if tag.is_some() || !is_plain {
                let saying = tag.map(|tag| Saying {
                    tag,
                    fields: OnceCell::new(),
                });
                notable.push(Notable { index, saying });
            }
        }
        Self { block, notable }
    }

    /// Its height.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.block.height()
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        self.block.hash()
    }

    /// When it was made, in microseconds since 1970.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.block.header().timestamp
    }

    /// The block itself.
    #[must_use]
    pub const fn block(&self) -> &'a Block {
        self.block
    }

    /// All transactions, in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut notable = self.notable.iter().peekable();
        (0u32..)
            .zip(self.block.transactions())
            .map(move |(index, transaction)| Entry {
                index,
                transaction,
                saying: notable
                    .next_if(|notable| notable.index == index)
                    .and_then(|notable| notable.saying.as_ref()),
            })
    }

    /// Those of another operation than `message` and `transfer`, and those whose payload begins as a service's does, in their order.
    pub fn notable(&self) -> impl Iterator<Item = Entry<'_>> {
        self.notable.iter().map(|notable| Entry {
            index: notable.index,
            transaction: &self.block.transactions()[notable.index as usize],
            saying: notable.saying.as_ref(),
        })
    }

    /// Those whose payload begins as a service's does, in their order.
    pub fn sayings(&self) -> impl Iterator<Item = Entry<'_>> {
        self.notable().filter(|entry| entry.saying.is_some())
    }
}

/// Whether a payload may be a service's; and its tag, if it is in canonical bytes.
fn first_bytes(payload: &[u8]) -> Option<Option<u8>> {
    match payload.first()? {
        _ if payload.len() > MEANING_BYTES_MAX => None,
        0 => match payload.strip_prefix(MARK)?.first()? {
            tag if *tag >= crate::payload::FIRST_TAG => Some(Some(*tag)),
            _ => None,
        },
        b'{' | b' ' | b'\t' | b'\n' | b'\r' => Some(None),
        _ => None,
    }
}

impl<'a> Entry<'a> {
    /// The transaction.
    #[must_use]
    pub const fn transaction(&self) -> &'a Transaction {
        self.transaction
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.transaction.id()
    }

    /// What it does.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.transaction.operation()
    }

    /// Who sent it.
    #[must_use]
    pub fn sender(&self) -> &'a str {
        self.transaction.sender()
    }

    /// The tag of a payload that may be a service's in canonical bytes.
    #[must_use]
    pub fn tag(&self) -> Option<u8> {
        self.saying?.tag
    }

    /// The fields of a payload that is a JSON object with distinct names. Parsed once, whoever asks.
    #[must_use]
    pub fn fields(&self) -> Option<&'a Fields> {
        let saying = self.saying?;
        if saying.tag.is_some() {
            return None;
        }
        let fields = saying
            .fields
            .get_or_init(|| Fields::read(self.transaction.payload()));
        fields.as_ref()
    }
}
