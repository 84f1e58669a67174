//! What a consensus means for its chain, in words for people: who proposes the block of a height, what is final when, and what breaks it.

use super::words::{Warning, count, duration};
use super::{
    Composition, Consensus, Finality, Membership, Proposer, Quorum, Retarget, SealRule, SpecFields,
    WorkTerms,
};

/// Sentences about the consensus, by their paths in TOML.
pub(super) fn in_words(fields: &SpecFields) -> Vec<(&'static str, String)> {
    match &fields.consensus {
        Consensus::ProofOfAuthority(plain) => {
            let listed = plain.authorities.len() as u64;
            vec![("consensus", authorities(listed, plain.round_robin))]
        }
        Consensus::Composed(parts) => vec![
            ("consensus", members(parts)),
            ("consensus.proposer", proposer(parts)),
            ("consensus.seal", seal(parts, fields.terms.block_time_us)),
            ("consensus.finality", finality(parts, fields.terms.finality)),
            ("consensus.safety", safety(parts)),
            ("consensus.penalties", penalties(parts)),
        ],
    }
}

fn authorities(listed: u64, turns: bool) -> String {
    let all = count(listed, "authority", "authorities");
    match (listed, turns) {
        (0, _) => "Proof of authority without an authority: nobody seals blocks.".to_owned(),
        (1, _) => format!("Proof of authority: {all} seals every block."),
        (_, true) => {
            format!(
                "Proof of authority: {all} seal blocks, one after the other as they are listed."
            )
        }
        (_, false) => format!("Proof of authority: each of {all} seals blocks at any time."),
    }
}

fn members(parts: &Composition) -> String {
    let name = parts.name.word();
    let listed = count(parts.members.len() as u64, "member", "members");
    match &parts.membership {
        Membership::Anyone => format!("{name}: anybody takes part."),
        Membership::Listed => {
            format!("{name}: {listed} take part, as they are listed here or voted for since.")
        }
        Membership::Staked(stake) => {
            let behind = match stake.delegation {
                true => "what is put up for them by anybody",
                false => "what they put up themselves",
            };
            format!(
                "{name}: {listed} at first, then the {} with the largest stakes; they weigh {behind}. Members change every {}, and a stake \
                 is paid out {} after it was taken back.",
                stake.members_max,
                count(stake.epoch.into(), "height", "heights"),
                count(stake.release_delay.into(), "height", "heights"),
            )
        }
    }
}

fn proposer(parts: &Composition) -> String {
    match (parts.proposer, &parts.seal) {
        (Proposer::Open, SealRule::Work(_)) => "Whoever finds a nonce first proposes a block.".to_owned(),
        (Proposer::Open, _) => "Each member proposes at any time.".to_owned(),
        (Proposer::Turn, _) => {
            "Member number (h - 1) mod n proposes the block of height h; a later round has the next one.".to_owned()
        }
        (Proposer::WeightedTurn, _) => {
            "The member with the highest priority proposes: each has as large a part of the blocks as of the weight, in an order that \
             everybody knows."
                .to_owned()
        }
        (Proposer::Seeded { epoch }, _) => format!(
            "The seed of an epoch of {epoch} heights chooses the proposer by weight; it is known one epoch before. Whoever withholds what \
             it committed to loses its part of the seed and can choose between two seeds."
        ),
    }
}

fn part(quorum: Quorum) -> String {
    format!("more than {}/{}", quorum.numerator(), quorum.denominator())
}

fn seal(parts: &Composition, block_time_us: u64) -> String {
    match &parts.seal {
        SealRule::Signature => "The proposer's signature seals a block.".to_owned(),
        SealRule::Quorum(quorum) => format!(
            "Signatures of members of {} of the weight seal a block.",
            part(*quorum)
        ),
        SealRule::Work(work) => {
            format!("Work seals a block: {}", work_in_words(work, block_time_us))
        }
    }
}

fn work_in_words(work: &WorkTerms, block_time_us: u64) -> String {
    let interval = count(work.interval.into(), "block", "blocks");
    let hashes = count(work.difficulty, "hash", "hashes");
    let pace = duration(block_time_us);
    match work.retarget {
        Retarget::Asert => format!(
            "{hashes} on average at first; twice as many when the chain is ahead of one block every {pace} by {interval}, and so on."
        ),
        Retarget::Window => format!(
            "{hashes} on average at first; every {interval} it doubles if they took less than half of {pace} each, and halves if they took \
             more than double."
        ),
    }
}

fn finality(parts: &Composition, terms: Finality) -> String {
    let depth = match terms {
        Finality::Immediate => "at once".to_owned(),
        Finality::Depth(depth) => {
            let blocks = count(depth.into(), "block comes", "blocks come");
            format!("once {blocks} after it")
        }
    };
    match (&parts.seal, &parts.checkpoints) {
        (SealRule::Quorum(_), _) => {
            "A block is final as soon as it is sealed: no other can be.".to_owned()
        }
        (_, Some(checkpoints)) => format!(
            "Every {}th block is final, with all before it, once the chain holds a certificate of {} of the weight for it; any block {depth}.",
            checkpoints.interval,
            part(checkpoints.quorum)
        ),
        _ => format!("A block is final {depth}."),
    }
}

fn safety(parts: &Composition) -> String {
    match (&parts.seal, &parts.checkpoints) {
        (SealRule::Quorum(quorum), _) => format!(
            "It stands still while members of {}/{} of the weight or more are away, and can split only if members of more than {}/{} sign \
             for two blocks.",
            quorum.denominator() - quorum.numerator(),
            quorum.denominator(),
            2 * quorum.numerator() - quorum.denominator(),
            quorum.denominator()
        ),
        (SealRule::Work(_), Some(_)) => "Whoever has most of the work writes the blocks between two checkpoints; a third of the members can \
             hold checkpoints up."
            .to_owned(),
        (SealRule::Work(_), None) => {
            "Whoever has most of the work can rewrite what isn't final. Hubs that are apart for longer than the depth end in two histories \
             for ever."
                .to_owned()
        }
        (SealRule::Signature, _) => {
            "A member that is away leaves its turns empty. Hubs that are apart for longer than the depth end in two histories for ever."
                .to_owned()
        }
    }
}

fn penalties(parts: &Composition) -> String {
    let penalties = &parts.penalties;
    let percent = |part: u16| format!("{}.{:02} %", part / 100, part % 100);
    if parts.stake().is_none() {
        return format!(
            "Faults are written down if they are shown within {}; there is no stake to take.",
            count(penalties.evidence_blocks.into(), "block", "blocks")
        );
    }
    let to = match &penalties.treasury {
        Some(name) => format!("goes to {name:?}"),
        None => "is gone".to_owned(),
    };
    let absent = match (&parts.seal, penalties.offline) {
        (SealRule::Quorum(_), 1..) => format!(
            " Being in none of {} that later blocks carry, one after the other, costs {}.",
            count(
                penalties.offline_after.into(),
                "certificate",
                "certificates"
            ),
            percent(penalties.offline),
        ),
        _ => String::new(),
    };
    format!(
        "Signing two blocks or votes costs {} of the stake, sealing what isn't one's own to seal {}, if it is shown within {}.{absent} What is \
         taken {to}.",
        percent(penalties.double_signing),
        percent(penalties.byzantine),
        count(penalties.evidence_blocks.into(), "block", "blocks"),
    )
}

/// What is allowed, and yet may not be meant.
pub(super) fn warning(consensus: &Consensus) -> Warning {
    let parts = consensus.composition();
    let is_shared = parts.members.len() > 1;
    match (parts.proposer, &parts.seal) {
        (Proposer::Turn, SealRule::Signature) if is_shared => {
            let field = match parts.is_plain() {
                true => "consensus.round_robin",
                false => "consensus.proposer",
            };
            let problem = "while one authority is away, the chain stands still at its turn";
            Some((field, problem.to_owned()))
        }
        (Proposer::WeightedTurn | Proposer::Seeded { .. }, SealRule::Signature) if is_shared => {
            let problem = "while a member is away, the chain stands still at its turn";
            Some(("consensus.proposer", problem.to_owned()))
        }
        (_, SealRule::Quorum(_)) if parts.members.len() < 4 => {
            let problem = format!(
                "{}: with fewer than four of one weight, no fault of any is borne",
                count(parts.members.len() as u64, "member", "members")
            );
            Some(("consensus.authorities", problem))
        }
        _ => None,
    }
}
