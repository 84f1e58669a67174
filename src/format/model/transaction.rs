//! Transactions: one signed operation of a sender.
//!
//! A [`Draft`] is plain data; signing (or leaving it unsigned) makes a [`Transaction`], which is immutable and keeps
//! its one encoding. The id covers the body; the witness is outside the id and inside the Merkle leaf.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::witness::{self, WITNESS_BYTES, Witness, Witnesses};
use crate::format::codec::{self, DecodeError, DecodeProblem, FieldError, NAME_BYTES_MAX, Reader};
use crate::format::digest::many::hash_many;
use crate::format::digest::pair::Message;
use crate::format::digest::{ChainId, Digest, TransactionId, sha256};
use crate::format::merkle;
use crate::format::signature::KeyPair;

/// The longest payload that the format allows, in bytes; a chain may set less.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most witnesses that the format allows; a chain may set less.
pub const WITNESSES_MAX: usize = 255;

const BODY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 2 * NAME_BYTES_MAX + 128;
const ID_TAG: &[u8] = b"hubledger/tx/v1";
const MESSAGE_TAG: &[u8; 7] = b"hl/tx/1";

/// The longest encoding of a native transaction with two names, a payload and witnesses of at most these sizes, in bytes:
/// that of a transfer, which alone has an amount.
pub(crate) const fn transaction_bytes_max(name: u64, payload: u64, witnesses: u64) -> u64 {
    let names = 2 * (4 + name);
    let (head, operation) = (CHAIN_AT as u64 + 32, 1 + 8);
    let body = head + names + operation + 4 + payload + NUMBERS_BYTES as u64;
    body + 1 + witnesses * WITNESS_BYTES as u64
}

/// Where a transaction comes from, which fixes what its payload is and what its witness signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Made for this chain.
    Native,
    /// Imported from a chain that MPREG kept; the payload carries what the original signature is over.
    Mpreg,
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $variant:ident = $tag:literal, $word:literal;)+) => {
        /// What a transaction does. The names are MPREG's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Operation {
            /// All operations, in the order of their tags.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The snake_case word that every output and MPREG use.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            const fn tag(self) -> u8 {
                match self {
                    $(Self::$variant => $tag,)+
                }
            }

            const fn from_tag(tag: u8) -> Option<Self> {
                match tag {
                    $($tag => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The operation that `word` stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

operations! {
    /// Moves an amount from sender to receiver.
    Transfer = 0, "transfer";
    /// Carries a message.
    Message = 1, "message";
    /// A hub joins the federation.
    FederationJoin = 2, "federation_join";
    /// A hub leaves the federation.
    FederationLeave = 3, "federation_leave";
    /// A node registers.
    NodeRegister = 4, "node_register";
    /// A node changes what it registered.
    NodeUpdate = 5, "node_update";
    /// A vote.
    ConsensusVote = 6, "consensus_vote";
    /// A call of a contract.
    SmartContract = 7, "smart_contract";
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The body of a transaction, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where the transaction comes from.
    pub kind: Kind,
    /// The chain it is for; no other accepts it.
    pub chain: ChainId,
    /// Name of the sender, 1 to 1,024 bytes.
    pub sender: String,
    /// Name of the receiver, 1 to 1,024 bytes.
    pub receiver: String,
    /// What it does.
    pub operation: Operation,
    /// What a native transfer moves; zero for everything else.
    pub amount: u64,
    /// Opaque to the chain, at most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: Vec<u8>,
    /// Microseconds since the Unix epoch.
    pub timestamp: u64,
    /// A block's timestamp must be before this; 0: never expires.
    pub expiry: u64,
    /// What the sender pays the producer.
    pub fee: u64,
    /// Larger than the nonce of the sender's transaction before; at least 1.
    pub nonce: u64,
}

impl Draft {
    /// Signs with every one of `keys`.
    ///
    /// # Errors
    /// A field over its limit, a key twice, more than [`WITNESSES_MAX`] keys.
    pub fn sign(&self, keys: &[&KeyPair]) -> Result<Transaction, FieldError> {
        let body = self.encode()?;
        let message = signed_message(&id(&body));
        let witnesses = keys.iter().map(|key| Witness::by(key, &message));
        assemble(&body, witnesses.collect())
    }

    /// Attaches `witnesses` as they are, in any order; none where the chain allows that.
    ///
    /// # Errors
    /// A field over its limit, a key twice, more than [`WITNESSES_MAX`] witnesses.
    pub fn with_witnesses(&self, witnesses: Vec<Witness>) -> Result<Transaction, FieldError> {
        assemble(&self.encode()?, witnesses)
    }

    fn encode(&self) -> Result<Vec<u8>, FieldError> {
        FieldError::check_name("sender", &self.sender)?;
        FieldError::check_name("receiver", &self.receiver)?;
        FieldError::check_length("payload", self.payload.len(), PAYLOAD_BYTES_MAX)?;
        if self.nonce == 0 {
            return Err(FieldError::new("nonce", "the smallest nonce is 1"));
        }
        let has_amount = has_amount(self.kind, self.operation);
        if !has_amount && self.amount != 0 {
            return Err(FieldError::new(
                "amount",
                "only a native transfer has an amount",
            ));
        }
        let names = self.sender.len() + self.receiver.len();
        let mut out = Vec::with_capacity(128 + names + self.payload.len());
        out.push(match self.kind {
            Kind::Native => 1,
            Kind::Mpreg => 2,
        });
        out.extend_from_slice(&self.chain.0);
        codec::put_bytes(&mut out, self.sender.as_bytes());
        codec::put_bytes(&mut out, self.receiver.as_bytes());
        out.push(self.operation.tag());
        if has_amount {
            codec::put_u64(&mut out, self.amount);
        }
        codec::put_bytes(&mut out, &self.payload);
        for number in [self.timestamp, self.expiry, self.fee, self.nonce] {
            codec::put_u64(&mut out, number);
        }
        Ok(out)
    }
}

/// An immutable transaction with the bytes it was received in. Clones are cheap and share those bytes.
#[derive(Clone)]
pub struct Transaction {
    bytes: Bytes,
    id: TransactionId,
    layout: Layout,
}

/// What tells where the fields lie in the transaction's bytes: lengths of names and payload, and where the witness begins.
/// Small, because blocks hold thousands; everything else is read from the bytes when it is asked for.
#[derive(Clone, Copy)]
struct Layout {
    kind: Kind,
    operation: Operation,
    sender: u16,
    receiver: u16,
    payload: u32,
    witness: u32,
}

/// Where the chain begins: behind the body's length and the kind.
const CHAIN_AT: usize = 5;
/// Where the sender's name begins: behind the chain and the name's length.
const SENDER_AT: usize = CHAIN_AT + 32 + 4;
/// Bytes of timestamp, expiry, fee and nonce, which end the body.
const NUMBERS_BYTES: usize = 32;

impl Layout {
    const fn witness(&self) -> usize {
        self.witness as usize
    }

    const fn sender(&self) -> Range<usize> {
        SENDER_AT..SENDER_AT + self.sender as usize
    }

    const fn receiver(&self) -> Range<usize> {
        let start = self.sender().end + 4;
        start..start + self.receiver as usize
    }

    const fn payload(&self) -> Range<usize> {
        let end = self.witness() - NUMBERS_BYTES;
        end - self.payload as usize..end
    }
}

impl Transaction {
    /// Reads exactly one transaction and hashes its body as received. O(length), no allocation beyond a shared
    /// reference to `bytes`.
    ///
    /// # Errors
    /// Anything but the canonical encoding of a valid transaction.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&bytes);
        let layout = read(&mut reader)?;
        reader.finish("transaction")?;
        let id = id(&bytes[4..layout.witness()]);
        Ok(Self { bytes, id, layout })
    }

    /// Reads transactions that lie one after the other, as in a block's body. O(length); each takes at least
    /// [`TRANSACTION_BYTES_MIN`](super::TRANSACTION_BYTES_MIN) bytes of the input, so what is allocated is bounded by it.
    ///
    /// # Errors
    /// Anything but canonical encodings of valid transactions.
    pub fn decode_all(bytes: &Bytes) -> Result<Vec<Self>, DecodeError> {
        let (mut transactions, mut offset) = (Vec::new(), 0);
        while offset < bytes.len() {
            let (transaction, end) = Self::decode_at(bytes, offset)?;
            transactions.push(transaction);
            offset = end;
        }
        Self::identify(&mut transactions);
        Ok(transactions)
    }

    /// Reads the transaction that has `index` others before it, if there are so many, as in a block's body. Of those before it only the
    /// lengths are read and the form is checked, which takes a fraction of hashing them. O(length up to its end).
    ///
    /// # Errors
    /// Anything but canonical encodings up to it.
    pub fn decode_nth(bytes: &Bytes, index: u32) -> Result<Option<Self>, DecodeError> {
        let (mut offset, mut left) = (0, index);
        while offset < bytes.len() {
            let (transaction, end) = Self::decode_at(bytes, offset)?;
            if left == 0 {
                let mut found = [transaction];
                Self::identify(&mut found);
                let [transaction] = found;
                return Ok(Some(transaction));
            }
            (offset, left) = (end, left - 1);
        }
        Ok(None)
    }

    /// The same transaction, signed by `keys` too: its id stays, and so do the witnesses that it has.
    ///
    /// # Errors
    /// A key that has signed already, more than [`WITNESSES_MAX`] witnesses.
    pub fn signed_also_by(&self, keys: &[&KeyPair]) -> Result<Self, FieldError> {
        let message = self.signed_message();
        let more = keys.iter().map(|key| Witness::by(key, &message));
        let witnesses = self.witnesses().chain(more).collect();
        assemble(&self.bytes[4..self.layout.witness()], witnesses)
    }

    /// Reads the transaction that begins at `offset` of `body` and returns the offset after it. The id is yet to be set by
    /// [`Transaction::identify`].
    pub(super) fn decode_at(body: &Bytes, offset: usize) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(&body[offset..]);
        let layout = read(&mut reader).map_err(|error| error.at_base(offset))?;
        let end = offset + reader.position();
        let bytes = body.slice(offset..end);
        let id = TransactionId::ZERO;
        Ok((Self { bytes, id, layout }, end))
    }

    /// Sets the ids of transactions that were [decoded](Transaction::decode_at) together.
    pub(super) fn identify(transactions: &mut [Self]) {
        fn message(transaction: &Transaction) -> Message<'_> {
            Message {
                prefix: ID_TAG,
                rest: &transaction.bytes[4..transaction.layout.witness()],
            }
        }
        let mut ids = Vec::with_capacity(transactions.len());
        hash_many(
            transactions.len(),
            |number| message(&transactions[number]),
            |_, id| ids.push(id),
        );
        for (transaction, id) in transactions.iter_mut().zip(ids) {
            transaction.id = TransactionId(id);
        }
    }

    /// The same transaction where its bytes are part of a larger buffer.
    pub(super) fn moved_to(&self, bytes: Bytes) -> Self {
        debug_assert_eq!(bytes, self.bytes, "the same bytes elsewhere");
        let (id, layout) = (self.id, self.layout);
        Self { bytes, id, layout }
    }

    /// The same transaction with bytes of its own, which don't keep a larger buffer in memory.
    pub(crate) fn copied(&self) -> Self {
        self.moved_to(Bytes::copy_from_slice(&self.bytes))
    }

    /// The [leaf hashes](Transaction::leaf_hash) of many.
    pub(crate) fn leaf_hashes<T: Borrow<Self>>(transactions: &[T]) -> Vec<Digest> {
        let prefix = |transaction: &T| {
            let mut prefix = [0; 33];
            prefix[1..].copy_from_slice(&transaction.borrow().id.0);
            prefix
        };
        let prefixes: Vec<[u8; 33]> = transactions.iter().map(prefix).collect();
        let message = |number: usize| Message {
            prefix: &prefixes[number],
            rest: transactions[number].borrow().witness_bytes(),
        };
        let mut leaves = Vec::with_capacity(transactions.len());
        hash_many(transactions.len(), message, |_, leaf| {
            leaves.push(Digest(leaf))
        });
        leaves
    }

    /// The canonical encoding, as received.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// `SHA-256("hubledger/tx/v1" ‖ body)`.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// Where the transaction comes from.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.layout.kind
    }

    /// The chain it is for.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        ChainId(self.array(CHAIN_AT))
    }

    /// Name of the sender.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.text(self.layout.sender())
    }

    /// Name of the receiver.
    #[must_use]
    pub fn receiver(&self) -> &str {
        self.text(self.layout.receiver())
    }

    /// The length of the receiver's name.
    pub(crate) const fn receiver_bytes(&self) -> usize {
        self.layout.receiver as usize
    }

    /// What it does.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.layout.operation
    }

    /// What a native transfer moves; zero for everything else.
    #[must_use]
    pub fn amount(&self) -> u64 {
        match has_amount(self.layout.kind, self.layout.operation) {
            true => self.number(self.layout.payload().start - 4 - 8),
            false => 0,
        }
    }

    /// The payload, opaque to the chain.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.layout.payload()]
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.number(self.layout.witness() - 32)
    }

    /// A block's timestamp must be before this; 0: never expires.
    #[must_use]
    pub fn expiry(&self) -> u64 {
        self.number(self.layout.witness() - 24)
    }

    /// What the sender pays the producer.
    #[must_use]
    pub fn fee(&self) -> u64 {
        self.number(self.layout.witness() - 16)
    }

    /// The sender's nonce.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.number(self.layout.witness() - 8)
    }

    /// The encoded witness, as it stands in the Merkle leaf.
    #[must_use]
    pub fn witness_bytes(&self) -> &[u8] {
        &self.bytes[self.layout.witness()..]
    }

    /// The witnesses in their order.
    pub fn witnesses(&self) -> impl ExactSizeIterator<Item = Witness> {
        Witnesses::new(self.witness_bytes())
    }

    /// What a native witness signs: `"hl/tx/1" ‖ id`.
    #[must_use]
    pub fn signed_message(&self) -> [u8; 39] {
        signed_message(&self.id)
    }

    /// The Merkle leaf hash over `id ‖ witness`: three compressions with one witness.
    #[must_use]
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&[&self.id.0, self.witness_bytes()])
    }

    fn text(&self, range: Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[range]).expect("was checked when decoding")
    }

    fn number(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[at..at + N]);
        array
    }
}

impl PartialEq for Transaction {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Transaction {}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.id)
            .field("sender", &self.sender())
            .field("operation", &self.operation())
            .field("nonce", &self.nonce())
            .finish_non_exhaustive()
    }
}

fn id(body: &[u8]) -> TransactionId {
    TransactionId(sha256(&[ID_TAG, body]))
}

fn signed_message(id: &TransactionId) -> [u8; 39] {
    let mut message = [0; 39];
    message[..7].copy_from_slice(MESSAGE_TAG);
    message[7..].copy_from_slice(&id.0);
    message
}

fn has_amount(kind: Kind, operation: Operation) -> bool {
    kind == Kind::Native && operation == Operation::Transfer
}

fn assemble(body: &[u8], mut witnesses: Vec<Witness>) -> Result<Transaction, FieldError> {
    FieldError::check_length("witness", witnesses.len(), WITNESSES_MAX)?;
    witnesses.sort_by_key(|witness| (witness.scheme, witness.key));
    let twice = |pair: &[Witness]| (pair[0].scheme, pair[0].key) == (pair[1].scheme, pair[1].key);
    if witnesses.windows(2).any(twice) {
        return Err(FieldError::new("witness", "a key signs twice"));
    }
    let mut out = Vec::with_capacity(4 + body.len() + 1 + witnesses.len() * WITNESS_BYTES);
    codec::put_bytes(&mut out, body);
    out.push(witnesses.len() as u8);
    witnesses
        .iter()
        .for_each(|witness| witness.encode(&mut out));
    let transaction = Transaction::decode(out.into());
    Ok(transaction.expect("every limit of the decoder was checked above"))
}

/// Reads one transaction from the front of `reader`; positions are from the reader's start.
fn read(reader: &mut Reader<'_>) -> Result<Layout, DecodeError> {
    let base = reader.position();
    let body_length = reader.length("body", BODY_BYTES_MAX)?;
    let body_end = reader.position() + body_length;
    if reader.remaining() < body_length {
        let available = reader.remaining();
        return Err(reader.error(
            "body",
            DecodeProblem::Truncated {
                needed: body_length,
                available,
            },
        ));
    }
    let layout = read_body(reader, body_end - base)?;
    // Fields that ran past the body's end have read the witness, and a body that is longer would hide bytes.
    if reader.position() != body_end {
        return Err(reader.error("body", DecodeProblem::Value("the length is not the body's")));
    }
    witness::read(reader)?;
    Ok(layout)
}

fn read_body(reader: &mut Reader<'_>, witness: usize) -> Result<Layout, DecodeError> {
    let start = reader.clone();
    let kind = match reader.u8("kind")? {
        1 => Kind::Native,
        2 => Kind::Mpreg,
        tag => return Err(start.error("kind", DecodeProblem::Tag(tag))),
    };
    reader.take("chain", 32)?;
    let sender = reader.name("sender")?.len();
    let receiver = reader.name("receiver")?.len();
    let before = reader.clone();
    let tag = reader.u8("operation")?;
    let operation = Operation::from_tag(tag)
        .ok_or_else(|| before.error("operation", DecodeProblem::Tag(tag)))?;
    if has_amount(kind, operation) {
        reader.take("amount", 8)?;
    }
    let payload = reader.bytes("payload", PAYLOAD_BYTES_MAX)?.len();
    for field in ["timestamp", "expiry", "fee"] {
        reader.take(field, 8)?;
    }
    let before = reader.clone();
    if reader.take("nonce", 8)? == [0; 8] {
        return Err(before.error("nonce", DecodeProblem::Value("the smallest nonce is 1")));
    }
    // All of these are within the limits of the format, which are far below.
    Ok(Layout {
        kind,
        operation,
        sender: sender as u16,
        receiver: receiver as u16,
        payload: payload as u32,
        witness: witness as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            kind: Kind::Native,
            chain: ChainId::ZERO,
            sender: "alice".to_owned(),
            receiver: "bob".to_owned(),
            operation: Operation::Message,
            amount: 0,
            payload: b"hello".to_vec(),
            timestamp: 1,
            expiry: 0,
            fee: 0,
            nonce: 1,
        }
    }

    #[test]
    fn signing_one_after_the_other_is_signing_together() {
        let keys = [1, 2, 3].map(|n| KeyPair::from_seed(&[n; 32]));
        let together = draft().sign(&[&keys[0], &keys[1], &keys[2]]);
        let together = together.expect("three keys");
        let mut apart = draft().with_witnesses(Vec::new()).expect("unsigned");
        for key in keys.iter().rev() {
            apart = apart.signed_also_by(&[key]).expect("a new key");
        }
        assert_eq!(apart, together);
        let twice = apart
            .signed_also_by(&[&keys[1]])
            .expect_err("signed already");
        assert_eq!(twice.to_string(), "witness: a key signs twice");
    }

    #[test]
    fn transactions_one_after_the_other_are_all_read_or_the_place_is_named() {
        let key = KeyPair::from_seed(&[1; 32]);
        let numbered = |nonce| Draft { nonce, ..draft() }.sign(&[&key]);
        let all: Vec<Transaction> = (1..4).map(|n| numbered(n).expect("sound")).collect();
        let bytes: Vec<u8> = all.iter().flat_map(|one| one.bytes().to_vec()).collect();
        let read = Transaction::decode_all(&bytes.clone().into()).expect("sound");
        assert_eq!(read, all);
        let ids = |all: &[Transaction]| all.iter().map(Transaction::id).collect::<Vec<_>>();
        assert_eq!(ids(&read), ids(&all));
        for (index, expected) in (0u32..).zip(&all) {
            let nth = Transaction::decode_nth(&bytes.clone().into(), index);
            let nth = nth.expect("sound").expect("there");
            assert_eq!((&nth, nth.id()), (expected, expected.id()));
        }
        let beyond = Transaction::decode_nth(&bytes.clone().into(), 3);
        assert_eq!(beyond.expect("sound"), None);
        let third = all[0].bytes().len() + all[1].bytes().len();
        let cut = Bytes::from(bytes).slice(..third + 3);
        let error = Transaction::decode_all(&cut).expect_err("cut");
        assert_eq!(error.offset, third);
    }

    #[test]
    fn no_transaction_within_the_limits_is_longer_than_the_longest() {
        let keys: Vec<KeyPair> = (0..3).map(|n| KeyPair::from_seed(&[n; 32])).collect();
        let keys: Vec<&KeyPair> = keys.iter().collect();
        let draft = Draft {
            kind: Kind::Native,
            chain: ChainId::ZERO,
            sender: "s".repeat(11),
            receiver: "r".repeat(11),
            operation: Operation::Transfer,
            amount: 1,
            payload: vec![7; 123],
            timestamp: 1,
            expiry: 1,
            fee: 1,
            nonce: 1,
        };
        let longest = draft.sign(&keys).expect("within the limits");
        assert_eq!(
            longest.bytes().len() as u64,
            transaction_bytes_max(11, 123, 3)
        );
    }
}
