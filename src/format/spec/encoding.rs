//! The canonical encoding of a chain specification (`FORMAT.md`, "Chain specification").

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    ChainSpec, Consensus, Identity, Import, InitialAccount, Limits, PREDECESSORS_MAX, Predecessor,
    Rules, SPEC_ENTRIES_MAX, SpecFields, Terms, check,
};
use crate::format::FormatVersion;
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::Digest;
use crate::format::signature::PublicKey;

/// The longest encoding of a specification, in bytes.
pub const SPEC_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) fn encode(fields: &SpecFields) -> Vec<u8> {
    let mut out = vec![fields.version.number()];
    codec::put_bytes(&mut out, fields.name.as_bytes());
    codec::put_u64(&mut out, fields.genesis_time);
    fields.consensus.encode(&mut out);
    encode_limits(&fields.limits, &mut out);
    encode_rules(&fields.rules, &mut out);
    let has_terms = fields.version >= FormatVersion::V2;
    if has_terms {
        fields.terms.encode(&mut out);
    }
    encode_accounts(&fields.accounts, &mut out);
    out.push(fields.import.is_some().into());
    if let Some(import) = &fields.import {
        codec::put_bytes(&mut out, import.chain.as_bytes());
        codec::put_u64(&mut out, import.blocks);
        out.extend_from_slice(&import.head.0);
        out.extend_from_slice(&import.record.0);
    }
    if has_terms {
        out.push(fields.predecessor.is_some().into());
        if let Some(predecessor) = &fields.predecessor {
            predecessor.encode(&mut out);
        }
    }
    out
}

fn encode_accounts(accounts: &BTreeMap<String, InitialAccount>, out: &mut Vec<u8>) {
    codec::put_count(out, accounts.len());
    for (name, account) in accounts {
        codec::put_bytes(out, name.as_bytes());
        out.push(account.key.is_some().into());
        if let Some(key) = account.key {
            out.extend_from_slice(key.as_bytes());
        }
        codec::put_u64(out, account.balance);
    }
}

fn encode_limits(limits: &Limits, out: &mut Vec<u8>) {
    let numbers = [
        limits.transactions_max,
        limits.body_bytes_max,
        limits.payload_bytes_max,
        limits.name_bytes_max,
        limits.clock_entries_max,
    ];
    for number in numbers {
        codec::put_u32(out, number);
    }
    out.push(limits.witnesses_max);
}

fn encode_rules(rules: &Rules, out: &mut Vec<u8>) {
    out.push(match rules.identity {
        Identity::Open => 0,
        Identity::Pinned => 1,
        Identity::Key => 2,
        Identity::Registered => 3,
    });
    out.push(rules.witnesses_min);
    out.push(rules.balances.into());
    for number in [
        rules.fee_min,
        rules.clock_drift_max_us,
        rules.clock_advance_max,
    ] {
        codec::put_u64(out, number);
    }
}

impl ChainSpec {
    /// Reads exactly one canonical specification.
    ///
    /// # Errors
    /// Anything but the canonical encoding of a valid specification.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_within(&Bytes::copy_from_slice(bytes), PREDECESSORS_MAX)
    }

    /// The same of one that goes on from at most so many others, one behind the other. All of them share the bytes.
    pub(super) fn decode_within(bytes: &Bytes, predecessors: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let fields = decode(&mut reader, bytes, predecessors)?;
        let end = reader.clone();
        reader.finish("specification")?;
        let checked = check::check(&fields);
        let spec = checked.and_then(|()| Self::of_encoded(fields, bytes.clone()));
        spec.map_err(|problem| {
            // An encoded specification may be anybody's: its fields are checked as those of a file that people wrote.
            end.error(
                problem.error.field,
                DecodeProblem::Value("the specification contradicts itself"),
            )
        })
    }
}

/// Reads the fields from the front of `bytes`, which `reader` is over.
fn decode(
    reader: &mut Reader<'_>,
    bytes: &Bytes,
    predecessors: usize,
) -> Result<SpecFields, DecodeError> {
    let version = reader.version()?;
    let has_terms = version >= FormatVersion::V2;
    Ok(SpecFields {
        version,
        name: reader.name("name")?.to_owned(),
        genesis_time: reader.u64("genesis_time")?,
        consensus: Consensus::decode(reader)?,
        limits: Limits {
            transactions_max: reader.u32("transactions_max")?,
            body_bytes_max: reader.u32("body_bytes_max")?,
            payload_bytes_max: reader.u32("payload_bytes_max")?,
            name_bytes_max: reader.u32("name_bytes_max")?,
            clock_entries_max: reader.u32("clock_entries_max")?,
            witnesses_max: reader.u8("witnesses_max")?,
        },
        rules: decode_rules(reader)?,
        terms: match has_terms {
            true => Terms::decode(reader)?,
            false => Terms::default(),
        },
        accounts: decode_accounts(reader)?,
        import: decode_import(reader)?,
        predecessor: match has_terms && reader.flag("predecessor")? {
            true => Some(Predecessor::decode(
                reader,
                bytes,
                predecessors.checked_sub(1),
            )?),
            false => None,
        },
    })
}

fn decode_rules(reader: &mut Reader<'_>) -> Result<Rules, DecodeError> {
    let start = reader.clone();
    let identity = match reader.u8("identity")? {
        0 => Identity::Open,
        1 => Identity::Pinned,
        2 => Identity::Key,
        3 => Identity::Registered,
        tag => return Err(start.error("identity", DecodeProblem::Tag(tag))),
    };
    Ok(Rules {
        identity,
        witnesses_min: reader.u8("witnesses_min")?,
        balances: reader.flag("balances")?,
        fee_min: reader.u64("fee_min")?,
        clock_drift_max_us: reader.u64("clock_drift_max_us")?,
        clock_advance_max: reader.u64("clock_advance_max")?,
    })
}

fn decode_accounts(
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<String, InitialAccount>, DecodeError> {
    const FIELD: &str = "accounts";
    let count = reader.count(FIELD, SPEC_ENTRIES_MAX, 14)?;
    let mut accounts: BTreeMap<String, InitialAccount> = BTreeMap::new();
    for _ in 0..count {
        let start = reader.clone();
        let name = reader.name(FIELD)?;
        if accounts
            .last_key_value()
            .is_some_and(|(last, _)| last.as_str() >= name)
        {
            return Err(start.error(FIELD, DecodeProblem::Order));
        }
        let key = match reader.flag(FIELD)? {
            true => Some(PublicKey::from_bytes(reader.array(FIELD)?)),
            false => None,
        };
        let balance = reader.u64(FIELD)?;
        accounts.insert(name.to_owned(), InitialAccount { key, balance });
    }
    Ok(accounts)
}

fn decode_import(reader: &mut Reader<'_>) -> Result<Option<Import>, DecodeError> {
    if !reader.flag("import")? {
        return Ok(None);
    }
    Ok(Some(Import {
        chain: reader.name("import.chain")?.to_owned(),
        blocks: reader.u64("import.blocks")?,
        head: Digest(reader.array("import.head")?),
        record: Digest(reader.array("import.record")?),
    }))
}
