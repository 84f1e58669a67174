//! Following headers with certificates by a light client, against checking every signature of them by itself with ed25519-dalek.

use anyhow::{Context, Result, bail, ensure};
use ed25519_dalek::{Signature, VerifyingKey};
use hubledger::generate::{Generator, Recipe};
use hubledger::model::Seal;
use hubledger::rules::light::{LightClient, Step};
use hubledger::signature::Verifier;
use hubledger::spec::{ChainSpec, ConsensusName};

use crate::clock::{Clock, Times};
use crate::ratio::Evidence;
use crate::turns::{Contestant, Effort, race};

/// Headers of a pass.
const HEADERS: u64 = 20_000;
/// Headers of a pass of the other, which is so much slower.
const SINGLY: usize = 500;
const MEMBERS: u32 = 16;

pub(super) fn beside_single_checks(seconds: f64) -> Result<Evidence> {
    let (spec, steps) = chain()?;
    let effort = Effort {
        seconds,
        rounds_min: 5,
        rounds_max: 40,
        warm_up_items: 0,
    };
    let [first, second] = race([following(&spec, &steps), singly(&spec, &steps)], effort)?;
    Ok(Evidence::turns(HEADERS as usize, first, second))
}

fn chain() -> Result<(ChainSpec, Vec<Step>)> {
    let mut generator = Generator::new(Recipe {
        transactions: HEADERS,
        per_block: 1,
        payload_bytes: 8,
        consensus: ConsensusName::Pbft,
        members: MEMBERS,
        ..Recipe::default()
    })?;
    let mut steps = Vec::new();
    while let Some(block) = generator.next_block()? {
        steps.push(Step {
            header: block.header().clone(),
            seal: block.seal().clone(),
            members: None,
        });
    }
    Ok((generator.spec().clone(), steps))
}

fn following<'c>(spec: &'c ChainSpec, steps: &'c [Step]) -> Contestant<'c> {
    Contestant::new("light client", Clock::Wall, steps.len(), move || {
        let mut client = LightClient::new(spec.clone());
        let verifier = Verifier::default();
        let (followed, times) = Times::of(|| client.follow(steps, u64::MAX / 2, &verifier));
        followed?;
        ensure!(client.header().height == HEADERS, "not all were followed");
        Ok(times)
    })
}

fn singly<'c>(spec: &'c ChainSpec, steps: &'c [Step]) -> Contestant<'c> {
    Contestant::new(
        "ed25519-dalek, one by one",
        Clock::Wall,
        SINGLY,
        move || {
            let keys = spec.consensus.members().iter();
            let keys: Vec<VerifyingKey> = keys
                .map(|member| VerifyingKey::from_bytes(member.key.as_bytes()))
                .collect::<Result<_, _>>()?;
            let (checked, times) = Times::of(|| check(&keys, &steps[..SINGLY]));
            checked?;
            Ok(times)
        },
    )
}

fn check(keys: &[VerifyingKey], steps: &[Step]) -> Result<()> {
    use hubledger::vote::{Vote, VoteKind};
    for step in steps {
        let Seal::Quorum(certificate) = &step.seal else {
            bail!("a block without a certificate");
        };
        let vote = Vote {
            chain: step.header.chain,
            height: step.header.height,
            round: certificate.round(),
            kind: VoteKind::Precommit,
            block: step.header.hash(),
        };
        let message = vote.message();
        for (place, signature) in certificate.signed() {
            let key = keys.get(place).context("a signer who is no member")?;
            key.verify_strict(&message, &Signature::from_bytes(signature.as_bytes()))?;
        }
    }
    Ok(())
}
