//! Blocks with one fault or two, for every reason that a native chain can be rejected for.

use bytes::Bytes;
use hubledger::digest::{BlockHash, ChainId, Digest};
use hubledger::format::FormatVersion;
use hubledger::model::{Block, Draft, Kind, Transaction, VectorClock};
use hubledger::payload::{
    Attest, KeySet, Leave, ParameterValue, Payload, Profile, Propose, Register, Rotate,
};
use hubledger::rejection::Reason;
use hubledger::spec::{Consensus, Joining, Parameter, Terms};

use crate::common::{Chain, Numbers, SECOND, account, corrupt_signature, fields, key, sealed};

const SENDERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// A chain of so many blocks: of version 1, of version 2, or of one that went on as the other half-way.
pub(crate) fn grown(
    seed: u64,
    blocks: usize,
    fault: Option<Reason>,
    numbers: &mut Numbers,
) -> Chain {
    let is_of_version_2 = fault.is_some_and(|fault| {
        OF_TRANSITIONS.contains(&fault) || [Reason::MembersRoot, Reason::Weight].contains(&fault)
    });
    let (version, crosses) = match seed % 3 {
        0 if !is_of_version_2 => (FormatVersion::V1, false),
        1 => (FormatVersion::V1, true),
        _ => (FormatVersion::V2, false),
    };
    let mut chain = chain(version);
    for number in 0..blocks {
        if crosses && number == blocks / 2 {
            chain = chain.succeeded(|fields| fields.terms = terms());
        }
        if is_first_of_version_2(&chain) {
            register(&mut chain);
            continue;
        }
        extend(&mut chain, numbers);
    }
    chain
}

/// Every other block of version 2 names a state root; names take a stake, and one parameter can change.
fn terms() -> Terms {
    Terms {
        root_interval: 2,
        joining: Joining::Stake,
        stake_min: 10,
        changeable: [Parameter::FeeMin].into(),
        ..Terms::default()
    }
}

/// Whether the next block is of version 2, and nobody is registered yet.
fn is_first_of_version_2(chain: &Chain) -> bool {
    let next = chain.spec().at(chain.state().height() + 1);
    next.version >= FormatVersion::V2 && !chain.state().account("board").is_registered()
}

/// The board, of which two have to sign, and somebody who leaves at once.
fn register(chain: &mut Chain) {
    let keys = |names: &[&str]| {
        let keys = names.iter().map(|name| key(name).public_key());
        KeySet::new(names.len() as u8, keys.collect()).unwrap()
    };
    let registers = |name: &str, keys| {
        let payload = Payload::Register(Register {
            keys,
            recovery: None,
            stake: 10,
            attester: None,
            profile: Profile::default(),
        });
        says(chain, name, 1, &payload)
    };
    let board = registers("board", keys(&["board", "alice"]));
    let gone = registers("gone", keys(&["gone"]));
    let leaves = says(chain, "gone", 2, &Payload::Leave(Leave));
    let made = block(chain, &[board, gone, leaves]);
    chain.push(made);
}

/// A transaction whose payload says this, signed by the sender's own key.
fn says(chain: &Chain, name: &str, nonce: u64, payload: &Payload) -> Transaction {
    chain.signed(name, nonce, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

/// The reasons that a transition can be at fault for here.
const OF_TRANSITIONS: [Reason; 8] = [
    Reason::Threshold,
    Reason::Revoked,
    Reason::Registration,
    Reason::Stake,
    Reason::Attestation,
    Reason::Member,
    Reason::Parameter,
    Reason::Proposal,
];

/// A transaction that breaks a rule of transitions.
fn broken_transition(chain: &Chain, reason: Reason) -> Option<Transaction> {
    let propose = |parameter, effective| {
        Payload::Propose(Propose {
            parameter,
            value: ParameterValue::Number(2),
            effective,
        })
    };
    let single = || KeySet::single(key("dave").public_key()).unwrap();
    let attest = Payload::Attest(Attest {
        subject: "hub-0".to_owned(),
        keys: single().digest(),
        purpose: "membership".to_owned(),
        expiry: 0,
    });
    let rotate = Payload::Rotate(Rotate {
        keys: single(),
        effective: 0,
        grace: 0,
    });
    let nonce = |name: &str| chain.state().account(name).nonce + 1;
    let by_hub = |payload: &Payload| says(chain, "hub-0", nonce("hub-0"), payload);
    Some(match reason {
        Reason::Threshold => chain.message("board", nonce("board")),
        Reason::Revoked => chain.message("gone", nonce("gone")),
        Reason::Registration => by_hub(&rotate),
        Reason::Stake => {
            let payload = Payload::Register(Register {
                keys: KeySet::single(key("newcomer").public_key()).unwrap(),
                recovery: None,
                stake: 9,
                attester: None,
                profile: Profile::default(),
            });
            says(chain, "newcomer", 1, &payload)
        }
        Reason::Attestation => by_hub(&attest),
        Reason::Member => says(chain, "newcomer", 1, &propose(Parameter::FeeMin, 1_000)),
        Reason::Parameter => by_hub(&propose(Parameter::StakeMin, 1_000)),
        Reason::Proposal => by_hub(&propose(Parameter::FeeMin, 1)),
        _ => return None,
    })
}

/// A chain on which every native reason can be reached.
fn chain(version: FormatVersion) -> Chain {
    Chain::in_version(version, 2, |fields| {
        if version >= FormatVersion::V2 {
            fields.terms = terms();
        }
        let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
            unreachable!("the only consensus");
        };
        consensus.round_robin = true;
        fields.rules.balances = true;
        fields.rules.fee_min = 1;
        fields.limits.payload_bytes_max = 200;
        let accounts = SENDERS.iter().chain(&["board", "gone"]);
        let accounts = accounts.map(|name| account(name, 100_000));
        fields.accounts.extend(accounts);
    })
}

fn turn(chain: &Chain) -> &'static str {
    ["hub-0", "hub-1"][(chain.state().height() % 2) as usize]
}

/// Valid transactions for the next block.
pub(crate) fn transactions(chain: &Chain, numbers: &mut Numbers, count: u64) -> Vec<Transaction> {
    let mut nonces = SENDERS.map(|name| chain.state().account(name).nonce);
    let make = |_| {
        let sender = numbers.below(4) as usize;
        nonces[sender] += 1 + numbers.below(2);
        let (name, nonce) = (SENDERS[sender], nonces[sender]);
        match numbers.below(2) {
            0 => chain.message(name, nonce),
            _ => {
                let receiver = SENDERS[numbers.below(4) as usize];
                chain.transfer(name, receiver, (numbers.below(3), 1), nonce)
            }
        }
    };
    (0..count).map(make).collect()
}

pub(crate) fn block(chain: &Chain, transactions: &[Transaction]) -> Block {
    chain.block_by(turn(chain), transactions)
}

/// Appends a valid block.
pub(crate) fn extend(chain: &mut Chain, numbers: &mut Numbers) {
    let count = numbers.below(6);
    let made = block(chain, &transactions(chain, numbers, count));
    chain.push(made);
}

fn header(chain: &Chain, good: &Block, reason: Reason) -> Option<Block> {
    let mut fields = fields(good);
    match reason {
        Reason::MembersRoot | Reason::Weight if fields.version == FormatVersion::V1 => return None,
        Reason::Chain => fields.chain = ChainId([7; 32]),
        Reason::Height => fields.height += 3,
        Reason::PreviousHash => fields.previous_hash = BlockHash([7; 32]),
        Reason::MerkleRoot => fields.merkle_root = Digest([7; 32]),
        Reason::HistoryRoot => fields.history_root = Digest([7; 32]),
        Reason::MembersRoot => fields.members_root = Digest([7; 32]),
        Reason::Weight => fields.weight = 7,
        Reason::StateRoot => fields.state_root = Digest([7; 32]),
        Reason::Limit => fields.producer = "x".repeat(200),
        Reason::VectorClock => fields.vector_clock = VectorClock::empty(),
        Reason::Timestamp => fields.timestamp = chain.state().timestamp(),
        Reason::Producer => {
            // The clock is looked at first: it takes the producer's own entry, whoever that is.
            fields.producer = "alice".to_owned();
            let clock = chain.state().clock().increment("alice");
            fields.vector_clock = clock.expect("there is room for one more");
            return Some(sealed(fields, &key("alice"), good.transactions()));
        }
        Reason::Turn => {
            let other = ["hub-1", "hub-0"][(chain.state().height() % 2) as usize];
            return Some(chain.block_by(other, good.transactions()));
        }
        Reason::Difficulty => fields.difficulty = 2,
        Reason::Seal => return Some(sealed(fields, &key("mallory"), good.transactions())),
        _ => return None,
    }
    Some(sealed(fields, &key(turn(chain)), good.transactions()))
}

fn broken_transaction(chain: &Chain, good: &[Transaction], reason: Reason) -> Option<Transaction> {
    let last = good.iter().rev().find(|held| held.sender() == "bob");
    let nonce = last.map_or(chain.state().account("bob").nonce, Transaction::nonce) + 1;
    let signed = |change: &dyn Fn(&mut Draft)| chain.signed("bob", nonce, change);
    Some(match reason {
        Reason::Expired => signed(&|draft| draft.expiry = 1),
        Reason::Fee => signed(&|draft| draft.fee = 0),
        Reason::Timestamp => signed(&|draft| draft.timestamp += 10_000 * SECOND),
        Reason::Nonce => {
            let used = last.or(good.first())?;
            chain.signed(used.sender(), used.nonce(), |draft| {
                draft.payload = b"something else".to_vec();
            })
        }
        Reason::Duplicate => good.first()?.clone(),
        Reason::Identity => chain.draft("bob", nonce).sign(&[&key("mallory")]).unwrap(),
        Reason::Balance => chain.transfer("bob", "alice", (10_000_000, 1), nonce),
        Reason::Operation => {
            let mut draft = chain.draft("bob", nonce);
            draft.kind = Kind::Mpreg;
            draft.with_witnesses(Vec::new()).unwrap()
        }
        Reason::Signature => corrupt_signature(&signed(&|_| {})),
        Reason::SignatureMissing => chain
            .draft("bob", nonce)
            .with_witnesses(Vec::new())
            .unwrap(),
        Reason::Limit => signed(&|draft| draft.payload = vec![0; 201]),
        Reason::Chain => signed(&|draft| draft.chain = ChainId([9; 32])),
        _ => return broken_transition(chain, reason),
    })
}

/// The reasons that a transaction can be at fault for.
pub(crate) const OF_TRANSACTIONS: [Reason; 12] = [
    Reason::Expired,
    Reason::Fee,
    Reason::Timestamp,
    Reason::Nonce,
    Reason::Duplicate,
    Reason::Identity,
    Reason::Balance,
    Reason::Operation,
    Reason::Signature,
    Reason::SignatureMissing,
    Reason::Limit,
    Reason::Chain,
];

/// Every reason but `public_key`, which only MPREG's chains know, and two that take more blocks than there are here: `tests/attacks` has them.
pub(crate) fn native() -> impl Iterator<Item = Reason> {
    let all = Reason::ALL.iter().copied();
    // The last three are of chains whose members have certificates, stakes or seeds.
    let others = [
        Reason::PublicKey,
        Reason::KeyAge,
        Reason::Rotation,
        Reason::Quorum,
        Reason::Evidence,
        Reason::Reveal,
    ];
    all.filter(move |reason| !others.contains(reason))
}

/// A next block with a fault of this kind; and another fault behind it or before it, for transactions.
pub(crate) fn faulty(chain: &Chain, numbers: &mut Numbers, reason: Reason) -> Bytes {
    let good = transactions(chain, numbers, 4);
    let honest = block(chain, &good);
    let encoded = |block: Block| Bytes::from(block.encode());
    match reason {
        Reason::Malformed => encoded(honest).slice(..40),
        Reason::Version => {
            let mut bytes = honest.encode();
            bytes[4] = 9;
            bytes.into()
        }
        Reason::TransactionCount => miscounted(&honest),
        Reason::BodySize => {
            let mut bytes = honest.encode();
            bytes.push(0);
            bytes.into()
        }
        Reason::Genesis => {
            let mut fields = fields(&honest);
            fields.height = 0;
            encoded(sealed(fields, &key("hub-0"), honest.transactions()))
        }
        Reason::Fork if chain.blocks.len() > 1 => {
            let mut before = Chain::of(chain.spec().clone());
            for held in &chain.blocks[1..chain.blocks.len() - 1] {
                before.push(held.clone());
            }
            let other = before.signed("dave", 1_000, |draft| draft.receiver = "fork".to_owned());
            encoded(block(&before, &[other]))
        }
        reason if OF_TRANSACTIONS.contains(&reason) && numbers.below(2) == 0 => {
            encoded(with_faults(chain, numbers, &good, reason))
        }
        reason => match header(chain, &honest, reason) {
            Some(block) => encoded(block),
            None => encoded(with_faults(chain, numbers, &good, reason)),
        },
    }
}

/// Valid transactions, a faulty one, more valid ones; and sometimes a second fault anywhere.
fn with_faults(
    chain: &Chain,
    numbers: &mut Numbers,
    good: &[Transaction],
    reason: Reason,
) -> Block {
    let mut all = good.to_vec();
    if let Some(broken) = broken_transaction(chain, good, reason) {
        let at = match reason {
            // Behind the one that they are about.
            Reason::Nonce | Reason::Duplicate => all.len(),
            _ => numbers.below(all.len() as u64 + 1) as usize,
        };
        all.insert(at, broken);
    }
    if numbers.below(2) == 0 {
        let other = OF_TRANSACTIONS[numbers.below(12) as usize];
        if let Some(broken) = broken_transaction(chain, good, other) {
            all.insert(numbers.below(all.len() as u64 + 1) as usize, broken);
        }
    }
    if numbers.below(3) == 0 {
        let at = numbers.below(all.len() as u64) as usize;
        if all[at].witnesses().len() > 0 {
            all[at] = corrupt_signature(&all[at]);
        }
    }
    block(chain, &all)
}

/// The block with a transaction count that is off by one.
fn miscounted(block: &Block) -> Bytes {
    let mut bytes = block.encode();
    // Behind the header's length, version, chain, height and four roots; and what only version 2 has.
    let sums = match block.header().version {
        FormatVersion::V1 => 0,
        FormatVersion::V2 => 32 + 16 + 8,
    };
    let at = 4 + 1 + 32 + 8 + 4 * 32 + sums;
    bytes[at] += 1;
    bytes.into()
}
