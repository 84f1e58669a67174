//! One MPREG transaction: its fields, the bytes that its signature covers, and MPREG's checks of it alone.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use super::entry::sealed::Kept;
use super::entry::{Entry, Fields};
use super::raw::{Scalar, Shape, clip, lenient_object};
use hubledger::original::Number;
use hubledger::original::hexadecimal;
use hubledger::original::merkle::{finish_hex, node_text};
use hubledger::rejection::Reason;
use hubledger::signature::{PublicKey, Signature};

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What a transaction does, by MPREG's names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Operation {
            /// MPREG's name, as it is signed.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The operation of that exact name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

operations! {
    /// Moves value.
    Transfer = "transfer",
    /// Carries a message.
    Message = "message",
    /// A hub joins the federation.
    FederationJoin = "federation_join",
    /// A hub leaves the federation.
    FederationLeave = "federation_leave",
    /// A node registers.
    NodeRegister = "node_register",
    /// A node changes its registration.
    NodeUpdate = "node_update",
    /// A vote.
    ConsensusVote = "consensus_vote",
    /// A call of a contract.
    SmartContract = "smart_contract",
}

/// A transaction that passed the checks of MPREG's constructor: names not empty, numbers not negative, a
/// public key wherever there is a signature, both of the right length.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// MPREG's id, any text.
    pub id: String,
    /// Who sends.
    pub sender: String,
    /// Who receives.
    pub receiver: String,
    /// What it does.
    pub operation: Operation,
    /// Any bytes.
    pub payload: Vec<u8>,
    /// Seconds since the Unix epoch.
    pub timestamp: Number,
    /// What the sender pays.
    pub fee: Number,
    /// Any number; MPREG has no rule about it.
    pub nonce: Number,
    /// The Ed25519 signature over the signing bytes.
    pub signature: Option<Signature>,
    /// The key that signed. Nothing in MPREG ties it to the sender.
    pub public_key: Option<PublicKey>,
    /// The hash that the JSON records. MPREG's rules ignore it; the audit compares it.
    pub recorded_hash: Option<String>,
}

/// What MPREG's constructor or loader found wrong.
pub(super) type Fault = (Reason, String);

lenient_object! {
    /// A transaction's JSON object before its types are checked.
    RawTransaction<'a> {
        transaction_id: Scalar<'a>,
        sender: Scalar<'a>,
        receiver: Scalar<'a>,
        operation_type: Scalar<'a>,
        payload: Scalar<'a>,
        timestamp: Scalar<'a>,
        fee: Scalar<'a>,
        nonce: Scalar<'a>,
        signature: Scalar<'a>,
        public_key: Scalar<'a>,
        signature_algorithm: Scalar<'a>,
        hash: Scalar<'a>,
    }
}

fn malformed(detail: impl Into<String>) -> Fault {
    (Reason::Malformed, detail.into())
}

/// Fails with a malformed field's description.
fn typed<T>(field: Result<T, String>) -> Result<T, Fault> {
    field.map_err(malformed)
}

impl Transaction {
    /// Reads one transaction from MPREG's JSON (`Transaction.to_dict`).
    ///
    /// # Errors
    /// The reason and a detail for people, in the order in which MPREG checks.
    pub fn from_json(json: &[u8]) -> Result<Self, (Reason, String)> {
        let raw: Shape<RawTransaction<'_>> =
            serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        Self::from_raw(raw)
    }

    pub(super) fn from_raw(raw: Shape<RawTransaction<'_>>) -> Result<Self, Fault> {
        let raw = typed(raw.get("the transaction"))?;
        let id = typed(raw.transaction_id.text("transaction_id"))?.into_owned();
        let sender = typed(raw.sender.text("sender"))?.into_owned();
        let receiver = typed(raw.receiver.text("receiver"))?.into_owned();
        let operation = typed(raw.operation_type.text("operation_type"))?;
        let operation = Operation::from_name(&operation)
            .ok_or_else(|| malformed(format!("unknown operation {:?}", clip(&operation))))?;
        let payload = typed(raw.payload.text("payload"))?;
        let payload =
            hexadecimal::decode(&payload).ok_or_else(|| malformed("payload is not hexadecimal"))?;
        let timestamp = typed(raw.timestamp.number("timestamp"))?;
        let fee = typed(raw.fee.integer("fee"))?;
        let nonce = typed(raw.nonce.integer("nonce"))?;
        let signature = match raw.signature {
            Scalar::Missing => return Err(malformed("signature is missing")),
            present => optional_hex(present, "signature")?,
        };
        let public_key = optional_hex(raw.public_key, "public_key")?;
        check_algorithm(raw.signature_algorithm)?;
        let recorded_hash = raw.hash.text("hash").ok().map(|hash| hash.into_owned());

        for (name, field) in [
            (&id, "transaction_id"),
            (&sender, "sender"),
            (&receiver, "receiver"),
        ] {
            if name.is_empty() {
                return Err(malformed(format!("{field} is empty")));
            }
        }
        for (number, field) in [(&fee, "fee"), (&nonce, "nonce")] {
            if number.is_negative() {
                return Err(malformed(format!("{field} is negative")));
            }
        }
        if timestamp.is_negative() {
            return Err((
                Reason::Timestamp,
                format!("timestamp {timestamp} is negative"),
            ));
        }
        let (signature, public_key) = check_lengths(&signature, &public_key)?;
        Ok(Self {
            id,
            sender,
            receiver,
            operation,
            payload,
            timestamp,
            fee,
            nonce,
            signature,
            public_key,
            recorded_hash,
        })
    }

    /// Appends the bytes that the signature and the Merkle leaf cover.
    ///
    /// Names are not escaped: a `:` or `=` in one can make two transactions share these bytes.
    pub fn write_signing_bytes(&self, out: &mut Vec<u8>) {
        // Writing to a vector can't fail.
        let _ = write!(
            out,
            "fee={}:nonce={}:operation_type={}:payload=",
            self.fee,
            self.nonce,
            self.operation.name()
        );
        hexadecimal::append(out, &self.payload);
        let _ = write!(
            out,
            ":receiver={}:sender={}:timestamp={}:transaction_id={}",
            self.receiver, self.sender, self.timestamp, self.id
        );
    }

    /// The bytes that the signature and the Merkle leaf cover.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        let names = self.id.len() + self.sender.len() + self.receiver.len();
        let mut bytes = Vec::with_capacity(names + 2 * self.payload.len() + 160);
        self.write_signing_bytes(&mut bytes);
        bytes
    }

    /// MPREG's hash of the transaction in lowercase hexadecimal digits. Covers neither the id nor the fee.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut text = Vec::with_capacity(256 + 2 * self.payload.len());
        let operation = self.operation.name();
        let _ = write!(text, "{}:{}:{operation}:", self.sender, self.receiver);
        hexadecimal::append(&mut text, &self.payload);
        let _ = write!(text, ":{}:{}", self.timestamp, self.nonce);
        node_text(&finish_hex(Sha256::new_with_prefix(&text))).to_owned()
    }
}

impl Entry for Transaction {
    fn timestamp(&self) -> &Number {
        &self.timestamp
    }

    fn witness(&self) -> Option<(&PublicKey, &Signature)> {
        self.public_key.as_ref().zip(self.signature.as_ref())
    }
}

impl Kept for Transaction {
    fn keep(fields: Fields<'_>) -> Self {
        let [fee, nonce] = [fields.fee, fields.nonce]
            .map(|digits| digits.to_number().expect("the digits were counted"));
        Self {
            id: fields.id.into_string(),
            sender: fields.sender.into_string(),
            receiver: fields.receiver.into_string(),
            operation: fields.operation,
            payload: hexadecimal::decode_packed(fields.payload).expect("they are pairs of digits"),
            timestamp: fields.timestamp.1,
            fee,
            nonce,
            signature: fields.signature,
            public_key: fields.public_key,
            recorded_hash: Some(fields.recorded_hash.into_string()),
        }
    }
}

/// Hexadecimal bytes; empty for `""`, `null` and an absent value, which MPREG treats alike.
fn optional_hex(value: Scalar<'_>, field: &str) -> Result<Vec<u8>, Fault> {
    if matches!(value, Scalar::Missing | Scalar::Null) {
        return Ok(Vec::new());
    }
    let text = typed(value.text(field))?;
    hexadecimal::decode(&text).ok_or_else(|| malformed(format!("{field} is not hexadecimal")))
}

fn check_algorithm(algorithm: Scalar<'_>) -> Result<(), Fault> {
    if matches!(algorithm, Scalar::Missing) {
        return Ok(());
    }
    let algorithm = typed(algorithm.text("signature_algorithm"))?;
    if algorithm == "ed25519" {
        return Ok(());
    }
    Err(malformed(format!(
        "unsupported signature algorithm {:?}",
        clip(&algorithm)
    )))
}

type Witness = (Option<Signature>, Option<PublicKey>);

fn check_lengths(signature: &[u8], public_key: &[u8]) -> Result<Witness, Fault> {
    if !signature.is_empty() && public_key.is_empty() {
        return Err((Reason::PublicKey, "a signature without a public key".into()));
    }
    let public_key = match <[u8; 32]>::try_from(public_key) {
        Ok(key) => Some(PublicKey::from_bytes(key)),
        Err(_) if public_key.is_empty() => None,
        Err(_) => {
            let detail = format!(
                "a public key of {} bytes, 32 are expected",
                public_key.len()
            );
            return Err((Reason::PublicKey, detail));
        }
    };
    let signature = match <[u8; 64]>::try_from(signature) {
        Ok(bytes) => Some(Signature::from_bytes(bytes)),
        Err(_) if signature.is_empty() => None,
        Err(_) => {
            let detail = format!("a signature of {} bytes, 64 are expected", signature.len());
            return Err((Reason::Signature, detail));
        }
    };
    Ok((signature, public_key))
}
