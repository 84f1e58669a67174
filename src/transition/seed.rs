//! What members add to the seed of an epoch: commitments to onions of hashes, and the layers that they reveal.

use super::{Book, Effects, Place, fault, value};
use crate::consensus::seed::{self, Epochs, Onion};
use crate::consensus::{self, seed_of};
use crate::format::digest::Digest;
use crate::format::payload::{Commit, Reveal};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::Proposer;
use crate::state::tables::{Commitment, Commitments, SeedRow, SeedRows};

/// A member commits to an onion, or to another one, from the next epoch on: what is committed to in an epoch can't be chosen for what others
/// have revealed in it.
pub(super) fn commit(
    commit: &Commit,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let epoch = epochs(place)?.of(place.height);
    check_member(place)?;
    let name = place.sender().as_bytes();
    let held = value::<Commitments>(book, name);
    let commitment = Commitment {
        layer: commit.layer,
        since: epoch + 1,
        before: held.and_then(|held| held.layer_in(epoch)),
        revealed: held.map_or(0, |held| held.revealed),
    };
    let mut effects = Effects::default();
    effects.put::<Commitments>(name, &commitment);
    Ok(effects)
}

/// The producer of a block reveals the next layer of its onion in it, once: with several at a time it could choose how many.
pub(super) fn reveal(
    reveal: &Reveal,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let epochs = epochs(place)?;
    let (height, name) = (place.height, place.sender());
    let epoch = epochs.of(height);
    check_member(place)?;
    if let Some(producer) = place.producer
        && producer != name
    {
        return refuse(format!(
            "{name:?} reveals in a block of its own, this is {producer:?}'s"
        ));
    }
    if !epochs.counts(height) {
        return refuse(format!(
            "no reveal counts at height {height}: it is in the last third of epoch {epoch}"
        ));
    }
    let held = value::<Commitments>(book, name.as_bytes());
    let counting = held.and_then(|held| Some((held, held.layer_in(epoch)?)));
    let Some((mut held, around)) = counting else {
        return refuse(format!(
            "{name:?} has committed to nothing that counts in epoch {epoch}"
        ));
    };
    if held.revealed == height {
        return refuse(format!("{name:?} has revealed in this block already"));
    }
    let chain = place.spec.at(0).id();
    if !Onion::new(&chain, name).reveals(&around, &reveal.layer) {
        return refuse(format!("{} is not the layer below {around}", reveal.layer));
    }
    match held.since <= epoch {
        true => held.layer = reveal.layer,
        false => held.before = Some(reveal.layer),
    }
    held.revealed = height;
    let mut effects = Effects::default();
    effects.put::<Commitments>(name.as_bytes(), &held);
    let collected = seed::add(&collected(place, epoch, book), &reveal.layer);
    effects.put::<SeedRows>(SeedRows::COLLECTED, &SeedRow::Collected(epoch, collected));
    Ok(effects)
}

/// What an epoch has collected so far.
fn collected(place: &Place<'_>, epoch: u64, book: &dyn Book) -> Digest {
    match value::<SeedRows>(book, SeedRows::COLLECTED) {
        Some(SeedRow::Collected(of, collected)) if of == epoch => collected,
        // Seeds change with the last block of an epoch, not by transactions.
        _ => seed_of(place.spec, place.parent, epoch + 1),
    }
}

fn epochs(place: &Place<'_>) -> Result<Epochs, Fault> {
    let epochs = match place.spec.composition().proposer {
        Proposer::Seeded { epoch } => Epochs::new(epoch),
        _ => None,
    };
    let unseeded = "no seed chooses who proposes in this chain";
    epochs.ok_or_else(|| Fault::new(Reason::Reveal, unseeded))
}

fn check_member(place: &Place<'_>) -> Result<(), Fault> {
    let (name, height) = (place.sender(), place.height);
    match consensus::is_member(place.spec, place.parent, height, name) {
        true => Ok(()),
        false => refuse(format!("{name:?} is no member at height {height}")),
    }
}

fn refuse<T>(detail: impl Into<String>) -> Result<T, Fault> {
    fault(Reason::Reveal, detail)
}
