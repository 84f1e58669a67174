//! Changes of parameters that were proposed, and who approved of them so far.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem};
use crate::format::digest::TransactionId;
use crate::format::payload::{ParameterValue, VALUE_MEMBERS_MAX};
use crate::format::spec::Parameter;

/// The most names that can approve of a proposal.
pub const APPROVALS_MAX: usize = 4096;

const _: () = assert!(APPROVALS_MAX >= VALUE_MEMBERS_MAX);

/// A proposal that isn't decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The transaction in which it was made.
    pub id: TransactionId,
    /// What is to change.
    pub parameter: Parameter,
    /// Into what.
    pub value: ParameterValue,
    /// From which height on.
    pub effective: u64,
    /// The members who approved of it, ascending; the proposer is one of them.
    pub approvals: Vec<String>,
}

/// The table of proposals, by proposer: each has one at most.
#[derive(Debug, Clone, Copy)]
pub struct Proposals;

impl Table for Proposals {
    const NUMBER: u8 = 6;
    type Value = Proposal;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        check_name(key)
    }

    fn encode(value: &Proposal) -> Vec<u8> {
        let mut out = value.id.0.to_vec();
        out.push(value.parameter.number());
        codec::put_u64(&mut out, value.effective);
        value.value.encode(&mut out);
        codec::put_count(&mut out, value.approvals.len());
        for name in &value.approvals {
            codec::put_bytes(&mut out, name.as_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Proposal, DecodeError> {
        whole(bytes, "proposal", |reader| {
            let id = TransactionId(reader.array("id")?);
            let start = reader.clone();
            let number = reader.u8("parameter")?;
            let parameter = Parameter::from_number(number)
                .ok_or_else(|| start.error("parameter", DecodeProblem::Tag(number)))?;
            let effective = reader.u64("effective")?;
            let value = ParameterValue::decode(parameter, reader)?;
            let count = reader.count("approvals", APPROVALS_MAX, 5)?;
            let mut approvals: Vec<String> = Vec::with_capacity(count);
            for _ in 0..count {
                let start = reader.clone();
                let name = reader.name("approvals")?;
                if approvals.last().is_some_and(|last| last.as_str() >= name) {
                    return Err(start.error("approvals", DecodeProblem::Order));
                }
                approvals.push(name.to_owned());
            }
            Ok(Proposal {
                id,
                parameter,
                value,
                effective,
                approvals,
            })
        })
    }
}
