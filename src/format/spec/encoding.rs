//! The canonical encoding of a chain specification (`FORMAT.md`, "Chain specification").

use std::collections::BTreeMap;

use super::{
    ChainSpec, Consensus, Identity, Import, InitialAccount, Limits, Rules, SPEC_ENTRIES_MAX,
    SpecFields,
};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::Digest;
use crate::format::signature::PublicKey;

/// The longest encoding of a specification, in bytes.
pub const SPEC_BYTES_MAX: usize = 16 * 1024 * 1024;

const VERSION: u8 = 1;

pub(super) fn encode(fields: &SpecFields) -> Vec<u8> {
    let mut out = vec![VERSION];
    codec::put_bytes(&mut out, fields.name.as_bytes());
    codec::put_u64(&mut out, fields.genesis_time);
    fields.consensus.encode(&mut out);
    encode_limits(&fields.limits, &mut out);
    encode_rules(&fields.rules, &mut out);
    codec::put_count(&mut out, fields.accounts.len());
    for (name, account) in &fields.accounts {
        codec::put_bytes(&mut out, name.as_bytes());
        out.push(account.key.is_some().into());
        if let Some(key) = account.key {
            out.extend_from_slice(key.as_bytes());
        }
        codec::put_u64(&mut out, account.balance);
    }
    match &fields.import {
        None => out.push(0),
        Some(import) => {
            out.push(1);
            codec::put_bytes(&mut out, import.chain.as_bytes());
            codec::put_u64(&mut out, import.blocks);
            out.extend_from_slice(&import.head.0);
            out.extend_from_slice(&import.record.0);
        }
    }
    out
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
        let mut reader = Reader::new(bytes);
        let fields = decode(&mut reader)?;
        let end = reader.clone();
        reader.finish("specification")?;
        Self::new(fields).map_err(|error| {
            // An encoded specification may be anybody's: its fields are checked as those of a file that people wrote.
            end.error(
                error.field,
                DecodeProblem::Value("the specification contradicts itself"),
            )
        })
    }
}

fn decode(reader: &mut Reader<'_>) -> Result<SpecFields, DecodeError> {
    let start = reader.clone();
    let version = reader.u8("version")?;
    if version != VERSION {
        return Err(start.error("version", DecodeProblem::Version(version.into())));
    }
    Ok(SpecFields {
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
        accounts: decode_accounts(reader)?,
        import: decode_import(reader)?,
    })
}

fn decode_rules(reader: &mut Reader<'_>) -> Result<Rules, DecodeError> {
    let start = reader.clone();
    let identity = match reader.u8("identity")? {
        0 => Identity::Open,
        1 => Identity::Pinned,
        2 => Identity::Key,
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
