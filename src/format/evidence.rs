//! Evidence of a member's fault: signatures that an honest member never makes together, or at all. Anybody can hand it in.
//!
//! What is judged here follows from the bytes alone: that the two statements contradict each other, and which signatures have to
//! hold ([`Evidence::claims`]; all of them, or somebody could convict an innocent by adding a signature that nobody checks). Whose the key
//! was at that height, whether it was its turn, and what the fault costs, is for whoever has the state.
//!
//! One fault has one form: the two statements are in the order of their blocks' hashes. Only the offender could make other
//! signatures on the same statements, or further ones; so a member is convicted once for a kind of fault at a height and round,
//! whatever the statements.

use bytes::Bytes;

use crate::format::codec::{self, DecodeError, DecodeProblem, FieldError, Reader};
use crate::format::digest::{BlockHash, ChainId};
use crate::format::model::{HEADER_BYTES_MAX, Header, Seal};
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::{PublicKey, Signature};
use crate::format::vote::Vote;

const TAG_DOUBLE_VOTE: u8 = 1;
const TAG_DOUBLE_PROPOSAL: u8 = 2;
const TAG_UNAUTHORISED_SEAL: u8 = 3;
/// The kind under which being absent is noted among [convictions](crate::state::tables::Convictions). No evidence has it.
pub const TAG_OFFLINE: u8 = 4;

const DOUBLE_VOTE: &str = "double_vote";
const DOUBLE_PROPOSAL: &str = "double_proposal";
const UNAUTHORISED_SEAL: &str = "unauthorised_seal";

/// The longest evidence, in bytes: two headers with their signatures.
pub const EVIDENCE_BYTES_MAX: usize = 1 + 32 + 2 * (4 + HEADER_BYTES_MAX + 64);

/// A fault of whoever holds a key, with the proof. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Two votes for different blocks, of one kind in one round.
    DoubleVote(DoubleVote),
    /// Two seals by one key on different blocks of one height.
    DoubleProposal(DoubleProposal),
    /// A seal by a key on a block that it may not have been entitled to seal.
    UnauthorisedSeal(UnauthorisedSeal),
}

/// Two votes of one key that differ in nothing but the block, which are in ascending order, with their signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubleVote {
    key: PublicKey,
    votes: [Vote; 2],
    signatures: [Signature; 2],
}

impl DoubleVote {
    /// Two signed votes of the holder of `key`, in any order.
    ///
    /// # Errors
    /// Votes that don't contradict each other: of another chain, height, round or kind, or for one block; or for none.
    pub fn new(
        key: PublicKey,
        one: (Vote, Signature),
        other: (Vote, Signature),
    ) -> Result<Self, FieldError> {
        if !one.0.has_subject_of(&other.0) {
            return Err(FieldError::new(
                "votes",
                "they are not about the same round",
            ));
        }
        let [(first, by_first), (second, by_second)] = in_order(one, other, |vote| vote.block)?;
        if first.block.is_zero() {
            return Err(FieldError::new("votes", "one is for no block"));
        }
        Ok(Self {
            key,
            votes: [first, second],
            signatures: [by_first, by_second],
        })
    }

    /// The two votes, ascending by block.
    #[must_use]
    pub const fn votes(&self) -> &[Vote; 2] {
        &self.votes
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let [first, second] = &self.votes;
        out.extend_from_slice(self.key.as_bytes());
        first.encode(out);
        out.extend_from_slice(self.signatures[0].as_bytes());
        out.extend_from_slice(&second.block.0);
        out.extend_from_slice(self.signatures[1].as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = PublicKey::from_bytes(reader.array("evidence key")?);
        let first = Vote::decode(reader)?;
        let by_first = signature(reader)?;
        let start = reader.clone();
        let second = first.decode_other(reader)?;
        check_order(&start, first.block, second.block)?;
        Ok(Self {
            key,
            votes: [first, second],
            signatures: [by_first, signature(reader)?],
        })
    }
}

/// Two headers of one chain and height that one key sealed, in ascending order of their hashes, with the signatures on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubleProposal {
    key: PublicKey,
    headers: [Header; 2],
    signatures: [Signature; 2],
}

impl DoubleProposal {
    /// Two headers with the seal signatures of the holder of `key`, in any order.
    ///
    /// # Errors
    /// Headers of different chains or heights, or twice the same.
    pub fn new(
        key: PublicKey,
        one: (Header, Signature),
        other: (Header, Signature),
    ) -> Result<Self, FieldError> {
        if (one.0.chain, one.0.height) != (other.0.chain, other.0.height) {
            return Err(FieldError::new("headers", ELSEWHERE));
        }
        let [(first, by_first), (second, by_second)] = in_order(one, other, Header::hash)?;
        Ok(Self {
            key,
            headers: [first, second],
            signatures: [by_first, by_second],
        })
    }

    /// The two headers, ascending by hash.
    #[must_use]
    pub const fn headers(&self) -> &[Header; 2] {
        &self.headers
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.as_bytes());
        for (header, signature) in self.headers.iter().zip(&self.signatures) {
            codec::put_bytes(out, header.bytes());
            out.extend_from_slice(signature.as_bytes());
        }
    }

    fn decode(bytes: &Bytes, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = PublicKey::from_bytes(reader.array("evidence key")?);
        let first = header(bytes, reader)?;
        let by_first = signature(reader)?;
        let start = reader.clone();
        let second = header(bytes, reader)?;
        if (first.chain, first.height) != (second.chain, second.height) {
            return Err(start.error("evidence header", DecodeProblem::Value(ELSEWHERE)));
        }
        check_order(&start, first.hash(), second.hash())?;
        Ok(Self {
            key,
            headers: [first, second],
            signatures: [by_first, signature(reader)?],
        })
    }
}

/// A header with a seal signature. That it was no right of the key's to sign it, only the state at the height tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnauthorisedSeal {
    key: PublicKey,
    header: Header,
    signature: Signature,
}

impl UnauthorisedSeal {
    /// The header, and the signature on it by the holder of `key`.
    #[must_use]
    pub const fn new(key: PublicKey, header: Header, signature: Signature) -> Self {
        Self {
            key,
            header,
            signature,
        }
    }

    /// The header that was sealed.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.as_bytes());
        codec::put_bytes(out, self.header.bytes());
        out.extend_from_slice(self.signature.as_bytes());
    }

    fn decode(bytes: &Bytes, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: PublicKey::from_bytes(reader.array("evidence key")?),
            header: header(bytes, reader)?,
            signature: signature(reader)?,
        })
    }
}

impl Evidence {
    /// The key whose holder is accused.
    #[must_use]
    pub const fn key(&self) -> PublicKey {
        match self {
            Self::DoubleVote(fault) => fault.key,
            Self::DoubleProposal(fault) => fault.key,
            Self::UnauthorisedSeal(fault) => fault.key,
        }
    }

    /// The chain that the fault was on.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        match self {
            Self::DoubleVote(fault) => fault.votes[0].chain,
            Self::DoubleProposal(fault) => fault.headers[0].chain,
            Self::UnauthorisedSeal(fault) => fault.header.chain,
        }
    }

    /// The height of the fault, by which its age counts, and whose members are the ones to ask. It may be any number.
    #[must_use]
    pub fn height(&self) -> u64 {
        match self {
            Self::DoubleVote(fault) => fault.votes[0].height,
            Self::DoubleProposal(fault) => fault.headers[0].height,
            Self::UnauthorisedSeal(fault) => fault.header.height,
        }
    }

    /// The round of the fault; 0 of one that knows no rounds.
    #[must_use]
    pub const fn round(&self) -> u32 {
        match self {
            Self::DoubleVote(fault) => fault.votes[0].round,
            Self::DoubleProposal(_) | Self::UnauthorisedSeal(_) => 0,
        }
    }

    /// The number of the kind of fault, as it is encoded.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::DoubleVote(_) => TAG_DOUBLE_VOTE,
            Self::DoubleProposal(_) => TAG_DOUBLE_PROPOSAL,
            Self::UnauthorisedSeal(_) => TAG_UNAUTHORISED_SEAL,
        }
    }

    /// The fixed word for the fault.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::DoubleVote(_) => DOUBLE_VOTE,
            Self::DoubleProposal(_) => DOUBLE_PROPOSAL,
            Self::UnauthorisedSeal(_) => UNAUTHORISED_SEAL,
        }
    }

    /// The word for the kind of fault with this [number](Self::tag).
    #[must_use]
    pub const fn word_of(tag: u8) -> Option<&'static str> {
        match tag {
            TAG_DOUBLE_VOTE => Some(DOUBLE_VOTE),
            TAG_DOUBLE_PROPOSAL => Some(DOUBLE_PROPOSAL),
            TAG_UNAUTHORISED_SEAL => Some(UNAUTHORISED_SEAL),
            _ => None,
        }
    }

    /// Checks that the fault was on `chain`, the one in force at [`Self::height`]: what the holder of the key did on another chain, perhaps
    /// one for tests, is no fault here. Everything else that bytes alone tell was refused when the value was made.
    ///
    /// # Errors
    /// `chain`.
    pub fn check_form(&self, chain: &ChainId) -> Result<(), Fault> {
        match self.chain() {
            found if found == *chain => Ok(()),
            found => {
                let detail = format!("evidence of a fault on chain {found}, not on {chain}");
                Err(Fault::new(Reason::Chain, detail))
            }
        }
    }

    /// Tells `claim` every signature that has to hold, one or two: key, message, signature, in the order of the bytes.
    pub fn claims(&self, mut claim: impl FnMut(PublicKey, &[u8], Signature)) {
        match self {
            Self::DoubleVote(fault) => {
                for (vote, signature) in fault.votes.iter().zip(&fault.signatures) {
                    claim(fault.key, &vote.message(), *signature);
                }
            }
            Self::DoubleProposal(fault) => {
                for (header, signature) in fault.headers.iter().zip(&fault.signatures) {
                    claim(fault.key, &Seal::message(&header.hash()), *signature);
                }
            }
            Self::UnauthorisedSeal(fault) => {
                let message = Seal::message(&fault.header.hash());
                claim(fault.key, &message, fault.signature);
            }
        }
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag()];
        match self {
            Self::DoubleVote(fault) => fault.encode(&mut out),
            Self::DoubleProposal(fault) => fault.encode(&mut out),
            Self::UnauthorisedSeal(fault) => fault.encode(&mut out),
        }
        out
    }

    /// Reads canonical evidence; headers are shared slices of `bytes`. O(length).
    ///
    /// # Errors
    /// Anything but the canonical encoding of two statements that contradict each other, or of one sealed header.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let start = reader.clone();
        let evidence = match reader.u8("evidence")? {
            TAG_DOUBLE_VOTE => Self::DoubleVote(DoubleVote::decode(&mut reader)?),
            TAG_DOUBLE_PROPOSAL => {
                Self::DoubleProposal(DoubleProposal::decode(bytes, &mut reader)?)
            }
            TAG_UNAUTHORISED_SEAL => {
                Self::UnauthorisedSeal(UnauthorisedSeal::decode(bytes, &mut reader)?)
            }
            tag => return Err(start.error("evidence", DecodeProblem::Tag(tag))),
        };
        reader.finish("evidence")?;
        Ok(evidence)
    }
}

const ELSEWHERE: &str = "the headers are not of one chain and height";

/// Two signed statements, ascending by what they are about.
fn in_order<T>(
    one: (T, Signature),
    other: (T, Signature),
    block: impl Fn(&T) -> BlockHash,
) -> Result<[(T, Signature); 2], FieldError> {
    match block(&one.0).cmp(&block(&other.0)) {
        std::cmp::Ordering::Less => Ok([one, other]),
        std::cmp::Ordering::Greater => Ok([other, one]),
        std::cmp::Ordering::Equal => Err(FieldError::new("blocks", "both are the same block")),
    }
}

fn check_order(start: &Reader<'_>, first: BlockHash, second: BlockHash) -> Result<(), DecodeError> {
    match first < second {
        true => Ok(()),
        false => Err(start.error("evidence block", DecodeProblem::Order)),
    }
}

fn signature(reader: &mut Reader<'_>) -> Result<Signature, DecodeError> {
    Ok(Signature::from_bytes(reader.array("evidence signature")?))
}

fn header(bytes: &Bytes, reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
    let length = reader.bytes("evidence header", HEADER_BYTES_MAX)?.len();
    let start = reader.position() - length;
    let header = Header::decode(bytes.slice(start..reader.position()));
    header.map_err(|error| error.at_base(start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::format::FormatVersion;
    use crate::format::digest::Digest;
    use crate::format::model::{HeaderFields, VectorClock};
    use crate::format::signature::{self, KeyPair};
    use crate::format::vote::VoteKind;

    const CHAIN: ChainId = ChainId([1; 32]);

    fn offender() -> KeyPair {
        KeyPair::from_seed(&[7; 32])
    }

    fn vote(block: u8) -> Vote {
        Vote {
            chain: CHAIN,
            height: 5,
            round: 2,
            kind: VoteKind::Prevote,
            block: BlockHash([block; 32]),
        }
    }

    fn header(chain: ChainId, height: u64, nonce: u64) -> Header {
        Header::new(HeaderFields {
            version: FormatVersion::V2,
            chain,
            height,
            previous_hash: BlockHash::ZERO,
            merkle_root: Digest::ZERO,
            history_root: Digest::ZERO,
            state_root: Digest::ZERO,
            members_root: Digest::ZERO,
            weight: 1,
            transactions: 0,
            transaction_count: 0,
            body_size: 0,
            vector_clock: VectorClock::new([("hub-0".to_owned(), 1)]).unwrap(),
            timestamp: 9,
            producer: "hub-0".to_owned(),
            difficulty: 1,
            nonce,
        })
        .unwrap()
    }

    fn voted(vote: Vote) -> (Vote, Signature) {
        (vote, vote.sign(&offender()))
    }

    fn sealed(header: Header) -> (Header, Signature) {
        let signature = offender().sign(&Seal::message(&header.hash()));
        (header, signature)
    }

    fn double_vote(one: Vote, other: Vote) -> Result<DoubleVote, FieldError> {
        DoubleVote::new(offender().public_key(), voted(one), voted(other))
    }

    fn double_proposal(one: Header, other: Header) -> Result<DoubleProposal, FieldError> {
        DoubleProposal::new(offender().public_key(), sealed(one), sealed(other))
    }

    fn all() -> [Evidence; 3] {
        let (header_1, header_2) = (header(CHAIN, 5, 1), header(CHAIN, 5, 2));
        let (header, signature) = sealed(header_1.clone());
        let unauthorised = UnauthorisedSeal::new(offender().public_key(), header, signature);
        [
            Evidence::DoubleVote(double_vote(vote(1), vote(2)).unwrap()),
            Evidence::DoubleProposal(double_proposal(header_1, header_2).unwrap()),
            Evidence::UnauthorisedSeal(unauthorised),
        ]
    }

    fn holding(evidence: &Evidence) -> Vec<bool> {
        let mut found = Vec::new();
        evidence.claims(|key, message, signature| {
            assert_eq!(key, offender().public_key());
            found.push(signature::verify(&key, message, &signature).is_ok());
        });
        found
    }

    #[test]
    fn evidence_reads_back_from_its_own_bytes_only() {
        for evidence in all() {
            let bytes = Bytes::from(evidence.encode());
            assert!(bytes.len() <= EVIDENCE_BYTES_MAX);
            assert_eq!(Evidence::decode(&bytes).unwrap(), evidence);
            for length in 0..bytes.len() {
                assert!(Evidence::decode(&bytes.slice(..length)).is_err());
            }
            assert!(Evidence::decode(&[&bytes[..], &[0]].concat().into()).is_err());
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                let changed = Bytes::from(changed);
                if let Ok(other) = Evidence::decode(&changed) {
                    assert_eq!(other.encode(), changed);
                }
            }
        }
    }

    #[test]
    fn every_signature_of_genuine_evidence_is_claimed_and_holds() {
        let [vote, proposal, seal] = all();
        assert_eq!(holding(&vote), [true, true]);
        assert_eq!(holding(&proposal), [true, true]);
        assert_eq!(holding(&seal), [true]);
        for evidence in [vote, proposal, seal] {
            assert_eq!((evidence.chain(), evidence.height()), (CHAIN, 5));
        }
    }

    #[test]
    fn a_forged_signature_is_claimed_like_a_genuine_one() {
        let mut forged = double_vote(vote(1), vote(2)).unwrap();
        forged.signatures[1] = forged.signatures[0];
        assert_eq!(holding(&Evidence::DoubleVote(forged)), [true, false]);
    }

    #[test]
    fn the_same_fault_has_one_encoding_whatever_the_order() {
        assert_eq!(double_vote(vote(1), vote(2)), double_vote(vote(2), vote(1)));
        let (one, other) = (header(CHAIN, 5, 1), header(CHAIN, 5, 2));
        assert_eq!(
            double_proposal(one.clone(), other.clone()),
            double_proposal(other, one)
        );
        let mut swapped = double_vote(vote(1), vote(2)).unwrap();
        swapped.votes.swap(0, 1);
        swapped.signatures.swap(0, 1);
        let error = Evidence::decode(&Evidence::DoubleVote(swapped).encode().into()).unwrap_err();
        assert_eq!(error.problem, DecodeProblem::Order);
    }

    #[test]
    fn votes_that_an_honest_member_may_make_are_no_evidence() {
        let others = [
            vote(1),
            Vote {
                chain: ChainId([2; 32]),
                ..vote(2)
            },
            Vote {
                height: 6,
                ..vote(2)
            },
            // A member may change its mind in a later round.
            Vote {
                round: 3,
                ..vote(2)
            },
            Vote {
                kind: VoteKind::Precommit,
                ..vote(2)
            },
            vote(0),
        ];
        for other in others {
            assert!(double_vote(vote(1), other).is_err(), "{other:?}");
        }
        let twice = DoubleVote {
            votes: [vote(1); 2],
            ..double_vote(vote(1), vote(2)).unwrap()
        };
        assert!(Evidence::decode(&Evidence::DoubleVote(twice).encode().into()).is_err());
    }

    #[test]
    fn headers_of_other_heights_or_chains_are_no_evidence() {
        let one = header(CHAIN, 5, 1);
        for other in [
            header(CHAIN, 6, 1),
            header(ChainId([2; 32]), 5, 1),
            one.clone(),
        ] {
            assert!(double_proposal(one.clone(), other.clone()).is_err());
            let genuine = double_proposal(one.clone(), header(CHAIN, 5, 2)).unwrap();
            let mut headers = [one.clone(), other];
            headers.sort_by_key(Header::hash);
            let forged = Evidence::DoubleProposal(DoubleProposal { headers, ..genuine });
            assert!(Evidence::decode(&forged.encode().into()).is_err());
        }
    }

    #[test]
    fn a_fault_on_another_chain_is_none_here() {
        for evidence in all() {
            assert!(evidence.check_form(&CHAIN).is_ok());
            let fault = evidence.check_form(&ChainId([2; 32])).unwrap_err();
            assert_eq!(fault.reason, Reason::Chain);
        }
    }
}
