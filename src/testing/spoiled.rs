//! A block for each reason to refuse one, made from what would have been a good one, by somebody who has all the keys and does all the work.

use super::composed::members_of;
use super::federation::Choices;
use super::{Chain, GENESIS_TIME, corrupt_signature, fields, hub, key, witness};
use crate::consensus;
use crate::format::FormatVersion;
use crate::format::digest::{BlockHash, Digest};
use crate::format::evidence::{DoubleVote, Evidence};
use crate::format::model::{Block, Draft, HeaderFields, Kind, QuorumSeal, Seal, Transaction};
use crate::format::payload::{
    Approve, Certify, Convict, KeySet, Leave, ParameterValue, Payload, Profile, Propose, Register,
    Reveal, Rotate,
};
use crate::format::rejection::Reason;
use crate::format::signature::KeyPair;
use crate::format::spec::{ConsensusName, Parameter, SealRule};
use crate::format::vote::{Vote, VoteKind};
use crate::state::tables::{CheckpointRow, CheckpointRows, Registrations};

/// A name that valid blocks register once, whose keys get too old then.
pub const AGED: &str = "aged";
/// For how many heights they speak.
pub const KEY_AGE: u64 = 2;
/// The longest payload.
pub const PAYLOAD_BYTES_MAX: u32 = 2_000;
/// Names that have a balance and are bound to their own keys from genesis on.
pub const SENDERS: [&str; 3] = [BANK, "clerk", "spoiler"];
/// From whom others get what they need to register.
pub const BANK: &str = "bank";
/// So much.
const GIFT: u64 = 100;

/// Why no block of a chain of [`World`](super::branches::World) is refused for a reason, whatever it says; `None` if some are.
#[must_use]
pub const fn unreachable_because(name: ConsensusName, reason: Reason) -> Option<&'static str> {
    use ConsensusName::{Hybrid, ProofOfAuthority, ProofOfWork};
    match (reason, name) {
        (Reason::PublicKey, _) => Some(
            "no rule gives it: a key of a native chain is 32 bytes, and one that is no point verifies nothing",
        ),
        (Reason::Turn, ProofOfAuthority) => Some("each authority makes blocks at any time"),
        (Reason::Turn, ProofOfWork | Hybrid) => Some("whoever does the work makes blocks"),
        (
            Reason::Quorum,
            ProofOfAuthority
            | ProofOfWork
            | ConsensusName::ProofOfStake
            | ConsensusName::DelegatedProofOfStake,
        ) => Some("nothing asks for a certificate"),
        (Reason::Parameter | Reason::Proposal, ProofOfWork) => {
            Some("there is no member who could propose or approve")
        }
        _ => None,
    }
}

/// Whether only bytes that are no block, or what a ledger holds already, can be refused for it.
#[must_use]
pub const fn is_of_bytes(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Malformed | Reason::BodySize | Reason::Genesis | Reason::Fork
    )
}

/// A block after the last one of a chain that is refused for a reason; `None` if none can be made there.
///
/// Where [its hash doesn't cover the fault](is_of_seal), the block under another seal may be good.
pub fn spoiled(chain: &Chain, reason: Reason, choose: Choices<'_>) -> Option<Block> {
    match reason {
        Reason::Turn => out_of_turn(chain),
        Reason::Seal => Some(badly_sealed(chain)),
        Reason::Quorum => match chain.spec().composition().seal {
            SealRule::Quorum(_) => Some(by_too_few(chain)),
            _ => Some(chain.block(&[certify(chain, 1)?])),
        },
        Reason::Difficulty => Some(of_other_difficulty(chain, choose)),
        Reason::Producer => Some(by_nobody(chain)),
        _ => match rewriting(reason) {
            Some(change) => Some(rewritten(chain, |header| change(chain, header))),
            None => Some(chain.block(&transactions(chain, reason)?)),
        },
    }
}

/// Whether the fault is the seal's, which the hash of the block doesn't cover.
#[must_use]
pub fn is_of_seal(chain: &Chain, reason: Reason) -> bool {
    let is_certified = matches!(chain.spec().composition().seal, SealRule::Quorum(_));
    reason == Reason::Seal || is_certified && matches!(reason, Reason::Quorum | Reason::Turn)
}

/// A change of a header that makes it break a rule.
type Change = fn(&Chain, &mut HeaderFields);

const fn rewriting(reason: Reason) -> Option<Change> {
    Some(match reason {
        Reason::Version => |_, header| {
            header.version = FormatVersion::V1;
            (header.weight, header.transactions) = (0, 0);
            (header.members_root, header.state_root) = (Digest::ZERO, Digest::ZERO);
        },
        Reason::Chain => |_, header| header.chain.0[0] ^= 1,
        Reason::Height => |_, header| header.height += 1,
        Reason::PreviousHash => |_, header| header.previous_hash.0[0] ^= 1,
        Reason::MerkleRoot => |_, header| header.merkle_root.0[0] ^= 1,
        Reason::HistoryRoot => |_, header| header.history_root.0[0] ^= 1,
        Reason::StateRoot => |_, header| header.state_root.0[0] ^= 1,
        Reason::MembersRoot => |_, header| header.members_root.0[0] ^= 1,
        Reason::Weight => |_, header| header.weight += 1,
        Reason::TransactionCount => |_, header| header.transactions += 1,
        Reason::Timestamp => |_, header| header.timestamp = GENESIS_TIME - 1,
        Reason::VectorClock => |chain, header| header.vector_clock = chain.state().clock().clone(),
        _ => return None,
    })
}

fn rewritten(chain: &Chain, change: impl FnOnce(&mut HeaderFields)) -> Block {
    chain.forged(&[chain.message("spoiler", next(chain))], change)
}

fn next(chain: &Chain) -> u64 {
    chain.state().height() + 1
}

/// By a member whose turn it isn't in the first round.
fn out_of_turn(chain: &Chain) -> Option<Block> {
    let turn = chain.proposer(0)?;
    let mut names = members_of(chain).into_iter();
    let other = names.find(|name| *name != turn)?;
    Some(chain.block_by(&other, &[]))
}

/// By a stranger, or where anybody makes blocks by nobody at all.
fn by_nobody(chain: &Chain) -> Block {
    match chain.spec().composition().work() {
        Some(_) => rewritten(chain, |header| header.producer.clear()),
        None => chain.block_by("mallory", &[]),
    }
}

/// Under what claims to be the seal of those who may seal.
fn badly_sealed(chain: &Chain) -> Block {
    let block = chain.block(&[chain.message("spoiler", next(chain))]);
    let seal = match block.seal() {
        Seal::Quorum(certificate) => {
            let mut signed: Vec<_> = certificate.signed().collect();
            let forged = key("mallory").sign(&block.hash().0);
            signed[0].1 = forged;
            QuorumSeal::new(certificate.round(), signed).map_or(Seal::None, Seal::Quorum)
        }
        Seal::Work => Seal::None,
        _ => Seal::by_authority(&key("mallory"), &block.hash()),
    };
    block.sealed(seal)
}

fn by_too_few(chain: &Chain) -> Block {
    let block = chain.block(&[chain.message("spoiler", next(chain))]);
    let keys = chain.seal_keys(&chain.producer());
    chain.sealed_in(0, &[&keys[0]], fields(&block), block.transactions())
}

fn of_other_difficulty(chain: &Chain, choose: Choices<'_>) -> Block {
    let works = chain.spec().composition().work().is_some();
    if works && choose(2) == 0 {
        // A nonce that is none.
        let block = chain.block(&[]);
        for more in 1.. {
            let idle = super::rewritten(&block, |header| header.nonce += more);
            let target = consensus::work::Target::from_difficulty(idle.header().difficulty);
            if !target.is_met_by(&idle.hash()) {
                return idle;
            }
            if idle.header().difficulty <= 1 {
                break;
            }
        }
    }
    rewritten(chain, |header| {
        header.difficulty += 1;
        // Which is also what the chain weighs, where it is work.
        header.weight += u128::from(works);
    })
}

/// Transactions of which the last is the first that breaks a rule.
fn transactions(chain: &Chain, reason: Reason) -> Option<Vec<Transaction>> {
    let nonce = next(chain);
    let one = |change: fn(&mut Draft)| vec![chain.signed("spoiler", nonce, change)];
    let message = |name: &str, nonce| chain.message(name, nonce);
    let said = |name: &str, payload: Payload| vec![says(chain, name, nonce, &payload, &[name])];
    Some(match reason {
        Reason::Limit => one(|draft| draft.payload = vec![0; PAYLOAD_BYTES_MAX as usize + 1]),
        Reason::Fee => one(|draft| draft.fee = 0),
        Reason::Expired => {
            let now = chain.now();
            vec![chain.signed("spoiler", nonce, |draft| draft.expiry = now)]
        }
        Reason::Nonce => vec![message("spoiler", nonce + 1), message("spoiler", nonce)],
        Reason::Duplicate => vec![message("spoiler", nonce), message("spoiler", nonce)],
        Reason::Identity => vec![
            chain
                .draft("clerk", nonce)
                .sign(&[&key("mallory")])
                .unwrap(),
        ],
        Reason::Balance => vec![chain.transfer("spoiler", "mallory", (1 << 52, 1), nonce)],
        Reason::Signature => vec![corrupt_signature(&message("spoiler", nonce))],
        Reason::SignatureMissing => {
            let draft = chain.draft("spoiler", nonce);
            vec![draft.with_witnesses(Vec::new()).unwrap()]
        }
        Reason::Operation => {
            let mut draft = chain.draft("spoiler", nonce);
            (draft.kind, draft.fee) = (Kind::Mpreg, 0);
            let signed = witness(&key("spoiler"), b"whatever MPREG signs");
            vec![draft.with_witnesses(vec![signed]).unwrap()]
        }
        Reason::Evidence => said("spoiler", of_a_stranger(chain)),
        Reason::Reveal => {
            let layer = Digest([1; 32]);
            said("spoiler", Payload::Reveal(Reveal { layer }))
        }
        Reason::Member => said("spoiler", approval()),
        Reason::Proposal if !members_of(chain).is_empty() => said(&hub(0), approval()),
        Reason::Parameter if !members_of(chain).is_empty() => said(
            &hub(0),
            Payload::Propose(Propose {
                parameter: Parameter::FeeMin,
                value: ParameterValue::Number(2),
                effective: nonce + 9,
            }),
        ),
        _ => of_keys(chain, reason)?,
    })
}

/// Those about the keys of a name.
fn of_keys(chain: &Chain, reason: Reason) -> Option<Vec<Transaction>> {
    const NAME: &str = "newcomer";
    let says =
        |nonce, payload: &Payload, signers: &[&str]| says(chain, NAME, nonce, payload, signers);
    let joins = |names: &[&str]| says(1, &Payload::Register(register(names)), names);
    let own = match reason {
        Reason::Threshold => vec![joins(&[NAME, "second"]), chain.message(NAME, 2)],
        Reason::Revoked => vec![
            joins(&[NAME]),
            says(2, &Payload::Leave(Leave), &[NAME]),
            chain.message(NAME, 3),
        ],
        Reason::Registration => {
            let again = Payload::Register(register(&[NAME]));
            vec![joins(&[NAME]), says(2, &again, &[NAME])]
        }
        Reason::Rotation => {
            let same = Payload::Rotate(Rotate {
                keys: register(&[NAME]).keys,
                effective: 0,
                grace: 0,
            });
            vec![joins(&[NAME]), says(2, &same, &[NAME])]
        }
        Reason::Stake => {
            let stake = 0;
            let poor = Payload::Register(Register {
                stake,
                ..register(&[NAME])
            });
            vec![says(1, &poor, &[NAME])]
        }
        Reason::Attestation => {
            let attester = Some(hub(1));
            let vouched = Payload::Register(Register {
                attester,
                ..register(&[NAME])
            });
            vec![says(1, &vouched, &[NAME])]
        }
        Reason::KeyAge => {
            let held = chain.state().value::<Registrations>(AGED.as_bytes())?;
            let is_old = held.latest.from + KEY_AGE <= next(chain);
            is_old.then(|| vec![chain.message(AGED, next(chain) + 1)])?
        }
        _ => return None,
    };
    Some([vec![gift(chain, NAME)], own].concat())
}

/// What registers [`AGED`], in the first blocks of a chain.
#[must_use]
pub fn joining(chain: &Chain) -> [Transaction; 2] {
    let joins = Payload::Register(register(&[AGED]));
    [gift(chain, AGED), says(chain, AGED, 1, &joins, &[AGED])]
}

/// What somebody without a balance needs.
fn gift(chain: &Chain, name: &str) -> Transaction {
    chain.transfer(BANK, name, (GIFT, 1), next(chain))
}

/// A transaction with a payload in the first operation that goes with it, signed by these keys.
fn says(chain: &Chain, name: &str, nonce: u64, payload: &Payload, signers: &[&str]) -> Transaction {
    let mut draft = chain.draft(name, nonce);
    draft.operation = payload.operations()[0];
    draft.payload = payload.encode();
    let keys: Vec<KeyPair> = signers.iter().map(|name| key(name)).collect();
    draft.sign(&keys.iter().collect::<Vec<_>>()).unwrap()
}

/// Joining with these keys, all of which have to sign.
fn register(names: &[&str]) -> Register {
    let keys = names.iter().map(|name| key(name).public_key());
    Register {
        keys: KeySet::new(names.len() as u8, keys.collect()).unwrap(),
        recovery: None,
        stake: 1,
        attester: None,
        profile: Profile::default(),
    }
}

fn approval() -> Payload {
    let proposal = crate::format::digest::TransactionId([9; 32]);
    let proposer = hub(1);
    Payload::Approve(Approve { proposer, proposal })
}

fn of_a_stranger(chain: &Chain) -> Payload {
    let signed = |block| {
        let vote = Vote {
            chain: chain.spec().id(),
            height: 1,
            round: 0,
            kind: VoteKind::Precommit,
            block: BlockHash([block; 32]),
        };
        (vote, vote.sign(&key("mallory")))
    };
    let fault = DoubleVote::new(key("mallory").public_key(), signed(1), signed(2));
    let evidence = Evidence::DoubleVote(fault.unwrap());
    Payload::Convict(Convict { evidence })
}

/// What makes the last checkpoint final that waits for it, with the signatures of the first `signers` members; `None` if there is none.
pub(super) fn certify(chain: &Chain, signers: usize) -> Option<Transaction> {
    let (spec, state) = (chain.spec(), chain.state());
    let interval = u64::from(spec.composition().checkpoints?.interval);
    let height = state.height().checked_sub(1)? / interval * interval;
    let last = state.value::<CheckpointRows>(&CheckpointRows::last_key());
    let is_final = matches!(last, Some(CheckpointRow::Certified(last)) if height <= last);
    let row = state.value::<CheckpointRows>(&CheckpointRows::key(height));
    let Some(CheckpointRow::Block(block)) = row.filter(|_| !is_final) else {
        return None;
    };
    let vote = Vote {
        chain: spec.id(),
        height,
        round: 0,
        kind: VoteKind::Checkpoint,
        block,
    };
    let keys = members_of(chain).into_iter().take(signers);
    let keys = keys.map(|name| key(&name));
    let signed = keys.map(|key| (key.public_key(), vote.sign(&key)));
    let payload = Payload::Certify(Certify::new(vote, signed.collect())?);
    Some(says(chain, "clerk", next(chain), &payload, &["clerk"]))
}
