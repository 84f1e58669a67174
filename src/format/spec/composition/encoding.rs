//! The canonical encoding of a composition (`FORMAT.md`, "Chain specification").

use super::{
    Checkpoints, Composition, ConsensusName, Membership, Penalties, Proposer, Retarget, SealRule,
    StakeTerms, WorkTerms,
};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::signature::PublicKey;
use crate::format::spec::{Authority, Quorum, SPEC_ENTRIES_MAX};

const CONSENSUS: &str = "consensus";

impl Composition {
    /// Appends the canonical encoding, behind the tag of the form.
    pub(in crate::format::spec) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.name.number());
        match &self.membership {
            Membership::Anyone => out.push(0),
            Membership::Listed => out.push(1),
            Membership::Staked(stake) => {
                out.push(2);
                codec::put_u32(out, stake.epoch);
                codec::put_u32(out, stake.members_max);
                codec::put_u32(out, stake.release_delay);
                out.push(stake.delegation.into());
            }
        }
        codec::put_count(out, self.members.len());
        for member in &self.members {
            codec::put_bytes(out, member.name.as_bytes());
            out.extend_from_slice(member.key.as_bytes());
            codec::put_u64(out, member.weight);
        }
        match self.proposer {
            Proposer::Open => out.push(0),
            Proposer::Turn => out.push(1),
            Proposer::WeightedTurn => out.push(2),
            Proposer::Seeded { epoch } => {
                out.push(3);
                codec::put_u32(out, epoch);
            }
        }
        match &self.seal {
            SealRule::Signature => out.push(0),
            SealRule::Quorum(quorum) => {
                out.push(1);
                put_quorum(out, *quorum);
            }
            SealRule::Work(work) => {
                out.push(2);
                codec::put_u64(out, work.difficulty);
                out.push(work.retarget.number());
                codec::put_u32(out, work.interval);
            }
        }
        out.push(self.checkpoints.is_some().into());
        if let Some(checkpoints) = &self.checkpoints {
            codec::put_u32(out, checkpoints.interval);
            put_quorum(out, checkpoints.quorum);
        }
        self.penalties.encode(out);
    }

    /// Reads what stands behind the tag of the form.
    pub(in crate::format::spec) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: read_word(reader, ConsensusName::from_number)?,
            membership: decode_membership(reader)?,
            members: decode_members(reader)?,
            proposer: decode_proposer(reader)?,
            seal: decode_seal(reader)?,
            checkpoints: match reader.flag("checkpoints")? {
                false => None,
                true => Some(Checkpoints {
                    interval: reader.u32("checkpoints")?,
                    quorum: read_quorum(reader)?,
                }),
            },
            penalties: Penalties::decode(reader)?,
        })
    }
}

impl Penalties {
    fn encode(&self, out: &mut Vec<u8>) {
        for part in [self.double_signing, self.offline, self.byzantine] {
            out.extend_from_slice(&part.to_le_bytes());
        }
        codec::put_u32(out, self.evidence_blocks);
        codec::put_u32(out, self.offline_after);
        out.push(self.treasury.is_some().into());
        if let Some(name) = &self.treasury {
            codec::put_bytes(out, name.as_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut part = || reader.array("penalties").map(u16::from_le_bytes);
        let [double_signing, offline, byzantine] = [part()?, part()?, part()?];
        Ok(Self {
            double_signing,
            offline,
            byzantine,
            evidence_blocks: reader.u32("penalties")?,
            offline_after: reader.u32("penalties")?,
            treasury: match reader.flag("penalties")? {
                false => None,
                true => Some(reader.name("penalties")?.to_owned()),
            },
        })
    }
}

fn put_quorum(out: &mut Vec<u8>, quorum: Quorum) {
    codec::put_u32(out, quorum.numerator());
    codec::put_u32(out, quorum.denominator());
}

fn read_quorum(reader: &mut Reader<'_>) -> Result<Quorum, DecodeError> {
    let start = reader.clone();
    let (numerator, denominator) = (reader.u32("quorum")?, reader.u32("quorum")?);
    let problem = DecodeProblem::Value("no quorum");
    Quorum::new(numerator, denominator).map_err(|_| start.error("quorum", problem))
}

fn read_word<T>(
    reader: &mut Reader<'_>,
    from_number: fn(u8) -> Option<T>,
) -> Result<T, DecodeError> {
    let start = reader.clone();
    let number = reader.u8(CONSENSUS)?;
    from_number(number).ok_or_else(|| start.error(CONSENSUS, DecodeProblem::Tag(number)))
}

fn decode_membership(reader: &mut Reader<'_>) -> Result<Membership, DecodeError> {
    let start = reader.clone();
    match reader.u8("membership")? {
        0 => Ok(Membership::Anyone),
        1 => Ok(Membership::Listed),
        2 => Ok(Membership::Staked(StakeTerms {
            epoch: reader.u32("epoch")?,
            members_max: reader.u32("members_max")?,
            release_delay: reader.u32("release_delay")?,
            delegation: reader.flag("delegation")?,
        })),
        tag => Err(start.error("membership", DecodeProblem::Tag(tag))),
    }
}

fn decode_members(reader: &mut Reader<'_>) -> Result<Vec<Authority>, DecodeError> {
    const FIELD: &str = "authorities";
    let count = reader.count(FIELD, SPEC_ENTRIES_MAX, 45)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(Authority {
            name: reader.name(FIELD)?.to_owned(),
            key: PublicKey::from_bytes(reader.array(FIELD)?),
            weight: reader.u64(FIELD)?,
        });
    }
    Ok(members)
}

fn decode_proposer(reader: &mut Reader<'_>) -> Result<Proposer, DecodeError> {
    let start = reader.clone();
    match reader.u8("proposer")? {
        0 => Ok(Proposer::Open),
        1 => Ok(Proposer::Turn),
        2 => Ok(Proposer::WeightedTurn),
        3 => Ok(Proposer::Seeded {
            epoch: reader.u32("seed_epoch")?,
        }),
        tag => Err(start.error("proposer", DecodeProblem::Tag(tag))),
    }
}

fn decode_seal(reader: &mut Reader<'_>) -> Result<SealRule, DecodeError> {
    let start = reader.clone();
    match reader.u8("seal")? {
        0 => Ok(SealRule::Signature),
        1 => Ok(SealRule::Quorum(read_quorum(reader)?)),
        2 => Ok(SealRule::Work(WorkTerms {
            difficulty: reader.u64("difficulty")?,
            retarget: read_word(reader, Retarget::from_number)?,
            interval: reader.u32("difficulty_adjustment_interval")?,
        })),
        tag => Err(start.error("seal", DecodeProblem::Tag(tag))),
    }
}
