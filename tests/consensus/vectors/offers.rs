//! What could come in the place of the next block: others that are valid too, and what breaks one rule each.

use hubledger::consensus;
use hubledger::model::{Block, Header, HeaderFields, QuorumSeal, Seal};
use hubledger::spec::{Quorum, SealRule};
use hubledger::testing::members::sealed_by_strangers;

use crate::common::{Chain, key};

/// A block with what is to be said of it.
pub(crate) type Noted = (&'static str, Block);

/// The block with other header fields, and with the work and the seal that it needs then, by whoever is its producer.
fn forged(chain: &Chain, block: &Block, change: impl FnOnce(&mut HeaderFields)) -> Block {
    let mut fields = (**block.header()).clone();
    change(&mut fields);
    let header = Header::new(fields).unwrap();
    let bare = Block::assemble(header, Seal::None, block.transactions()).unwrap();
    chain.sealed_as_due(bare, 0, &[])
}

/// What is refused in the place of this block, which is the next one in round 0.
pub(crate) fn refused(chain: &Chain, block: &Block) -> Vec<Noted> {
    let mut refused = vec![
        (
            "names another weight of the chain",
            forged(chain, block, |fields| fields.weight += 1),
        ),
        (
            "names other members of the next height",
            forged(chain, block, |fields| fields.members_root.0[0] ^= 1),
        ),
        ("has no seal", block.clone().sealed(Seal::None)),
    ];
    match &chain.spec().composition().seal {
        SealRule::Work(_) => refused.extend(of_work(chain, block)),
        SealRule::Signature => {
            refused.extend(of_members(chain, block));
            refused.extend(of_signatures(block));
        }
        SealRule::Quorum(quorum) => {
            refused.extend(of_members(chain, block));
            refused.extend(of_certificates(chain, block, *quorum));
        }
    }
    refused
}

fn of_work(chain: &Chain, block: &Block) -> Vec<Noted> {
    let harder = forged(chain, block, |fields| {
        fields.difficulty += 1;
        fields.weight += 1;
    });
    let mut refused = vec![
        ("claims more work than is asked for, and did it", harder),
        (
            "has a member's signature as its seal",
            block
                .clone()
                .sealed(Seal::by_authority(&key("hub-0"), &block.hash())),
        ),
    ];
    if block.header().difficulty > 1 {
        let easier = forged(chain, block, |fields| {
            fields.weight -= u128::from(fields.difficulty - 1);
            fields.difficulty = 1;
        });
        refused.push(("claims less work than is asked for", easier));
        let target = consensus::work::Target::from_difficulty(block.header().difficulty);
        let nonces = 0..;
        let mut others = nonces.map(|nonce| {
            let mut fields = (**block.header()).clone();
            fields.nonce = nonce;
            let header = Header::new(fields).unwrap();
            Block::assemble(header, Seal::Work, block.transactions()).unwrap()
        });
        let unmined = others.find(|other| !target.is_met_by(&other.hash()));
        refused.push((
            "has a hash above the target",
            unmined.expect("one of them is"),
        ));
    }
    refused
}

fn of_members(chain: &Chain, block: &Block) -> Vec<Noted> {
    let clock = |name: &str| {
        let counted = consensus::clock_name(chain.spec(), block.height(), name);
        chain.state().clock().increment(counted).unwrap()
    };
    let mut refused = vec![
        (
            "claims work where none is asked for",
            forged(chain, block, |fields| fields.difficulty += 1),
        ),
        (
            "has a nonce where no work is asked for",
            forged(chain, block, |fields| fields.nonce = 1),
        ),
    ];
    let members = chain.members(block.height());
    let own = &block.header().producer;
    let in_turn = consensus::proposer(chain.spec(), chain.state(), 0);
    let mut others = members.iter().filter(|member| member.name != *own);
    if let (Some(_), Some(other)) = (in_turn, others.next()) {
        let early = chain.drafted(&other.name, block.transactions(), chain.now());
        refused.push((
            "in the turn of another member",
            chain.sealed_as_due(early, 0, &[]),
        ));
    }
    let stranger = forged(chain, block, |fields| {
        fields.producer = "mallory".to_owned();
        fields.vector_clock = clock("mallory");
    });
    refused.push(("by somebody who is no member", stranger));
    let renamed = forged(chain, block, |fields| {
        fields.producer = "mallory".to_owned();
    });
    refused.push((
        "by somebody who is no member, with the clock of the member in turn",
        renamed,
    ));
    refused
}

fn of_signatures(block: &Block) -> Vec<Noted> {
    let hash = block.hash();
    let Seal::Authority { key: own, .. } = *block.seal() else {
        panic!("one signature seals")
    };
    let other = block.header().previous_hash;
    let Seal::Authority { signature, .. } =
        Seal::by_authority(&key(&block.header().producer), &other)
    else {
        panic!("one signature seals")
    };
    let moved = Seal::Authority {
        key: own,
        signature,
    };
    vec![
        (
            "sealed by a key that isn't its producer's",
            block
                .clone()
                .sealed(Seal::by_authority(&key("mallory"), &hash)),
        ),
        (
            "sealed by a signature on the block before",
            block.clone().sealed(moved),
        ),
    ]
}

fn of_certificates(chain: &Chain, block: &Block, quorum: Quorum) -> Vec<Noted> {
    let Seal::Quorum(certificate) = block.seal() else {
        panic!("a quorum seals")
    };
    let signed: Vec<_> = certificate.signed().collect();
    let seal = |round, signed: Vec<_>| {
        let certificate = QuorumSeal::new(round, signed).unwrap();
        block.clone().sealed(Seal::Quorum(certificate))
    };
    let too_few = leave_out(chain, block.height(), |left, total| {
        !quorum.is_reached(left, total)
    });
    let few = chain.seal_of(block.header(), &block.header().producer, 0, &too_few);
    let mut swapped = signed.clone();
    (swapped[0].1, swapped[1].1) = (signed[1].1, signed[0].1);
    let beyond = chain.members(block.height()).len() + 3;
    let beyond = signed.iter().copied().chain([(beyond, signed[0].1)]);
    let later = chain.due(1, &[], block.transactions());
    let Seal::Quorum(later_seal) = later.seal() else {
        panic!("a quorum seals")
    };
    let early = QuorumSeal::new(0, later_seal.signed()).unwrap();
    let mut refused = vec![
        (
            "signed by members of one too little weight",
            block.clone().sealed(few),
        ),
        ("signed by strangers", sealed_by_strangers(block)),
        (
            "with signatures of round 0 in round 1",
            seal(1, signed.clone()),
        ),
        (
            "with the signatures of two members exchanged",
            seal(0, swapped),
        ),
        (
            "with a signature of a member that there isn't",
            seal(0, beyond.collect()),
        ),
        (
            "with one member's signature as its seal",
            block
                .clone()
                .sealed(Seal::by_authority(&key("hub-0"), &block.hash())),
        ),
    ];
    if later.header().producer != block.header().producer {
        let early = later.sealed(Seal::Quorum(early));
        refused.push((
            "by the proposer of round 1, and signed in it, but said to be of round 0",
            early,
        ));
    }
    refused
}

/// Places of members, from the first one on, without whom `is_enough` of what is left; as few of them as that takes.
fn leave_out(chain: &Chain, height: u64, is_enough: impl Fn(u64, u64) -> bool) -> Vec<usize> {
    let members = chain.members(height);
    let total: u64 = members.iter().map(|member| member.weight).sum();
    let (mut left, mut absent) = (total, Vec::new());
    for (place, member) in members.iter().enumerate() {
        if is_enough(left, total) {
            break;
        }
        left -= member.weight;
        absent.push(place);
    }
    absent
}

/// What is as valid as this block: other seals of it, and blocks of later rounds.
pub(crate) fn others(chain: &Chain, block: &Block) -> Vec<Noted> {
    let SealRule::Quorum(quorum) = chain.spec().composition().seal else {
        return Vec::new();
    };
    let producer = &block.header().producer;
    let mut absent = leave_out(chain, block.height(), |left, total| {
        !quorum.is_reached(left, total)
    });
    absent.pop();
    let fewer = chain.seal_of(block.header(), producer, 0, &absent);
    let later = chain.seal_of(block.header(), producer, 2, &[]);
    vec![
        (
            "the same with no more signatures than it takes",
            block.clone().sealed(fewer),
        ),
        (
            "the same, decided on in round 2",
            block.clone().sealed(later),
        ),
        (
            "the block of the proposer of round 1",
            chain.due(1, &[], block.transactions()),
        ),
    ]
}
