//! Who is a member because of what is behind it. The list of the next change of members is written as soon as it is another, in the
//! rows of the parameter `members`: whoever asks who was a member at a height, or proves it, needs to know nothing of stakes.

use super::{BONDED, pool_of, refuse};
use crate::format::payload::{ParameterValue, VALUE_BYTES_MAX};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::{Authority, ChainSpec, Parameter, StakeTerms, WEIGHT_MAX};
use crate::state::tables::{Bond, Pool};
use crate::transition::draft::Draft;
use crate::transition::{Book, Place, change, fault};

/// The first height at which members can change because of a block at this one: a header names the members of the height after it,
/// so these have to be known a block earlier.
pub(super) fn next_boundary(place: &Place<'_>) -> u64 {
    let terms = place.spec.composition().stake();
    boundary(
        terms.map_or(1, |terms| terms.epoch),
        place.height.saturating_add(2),
    )
}

/// The first height from `least` on that is one more than a whole number of epochs.
fn boundary(epoch: u32, least: u64) -> u64 {
    let epoch = u64::from(epoch.max(1));
    let epochs = least.saturating_sub(1).div_ceil(epoch);
    epochs.saturating_mul(epoch).saturating_add(1)
}

/// Lets the list follow what is behind a name now, which may make it a member if it isn't one.
///
/// # Errors
/// `stake`: nobody would be left, another has its key, or all together would weigh too much; `limit`: the list would be too long.
pub(super) fn follow(
    name: &str,
    pool: &Pool,
    place: &Place<'_>,
    draft: &mut Draft<'_>,
) -> Result<(), Fault> {
    let Some(terms) = place.spec.composition().stake() else {
        return Ok(());
    };
    let (before, mut after) = last_list(place, draft);
    let least = place.in_force.stake_min;
    weigh(&mut after, name, pool);
    after.retain(|member| weighs_enough(member.weight, least));
    enter(&mut after, name, pool, terms, least);
    check(&after, name)?;
    put(before, after, place, draft);
    Ok(())
}

/// Lets the list follow what a penalty left behind a name. That can't be refused: a member that is the last stays one, whatever it weighs.
pub(super) fn lower(name: &str, pool: &Pool, place: &Place<'_>, draft: &mut Draft<'_>) {
    if place.spec.composition().stake().is_none() {
        return;
    }
    let (before, mut after) = last_list(place, draft);
    weigh(&mut after, name, pool);
    let least = place.in_force.stake_min;
    let stays = |member: &Authority| weighs_enough(member.weight, least);
    match after.iter().any(stays) {
        true => after.retain(stays),
        false => {
            for member in &mut after {
                member.weight = member.weight.max(1);
            }
        }
    }
    put(before, after, place, draft);
}

/// The list that is in force last, as far as is known; and with the weights that its members have now.
fn last_list(place: &Place<'_>, book: &dyn Book) -> (Vec<Authority>, Vec<Authority>) {
    let spec = place.spec;
    let from = change::last(Parameter::Members, book);
    let from = from.filter(|from| *from >= first_of(spec));
    let change = from.and_then(|from| change::held(Parameter::Members, from, book));
    if let Some(ParameterValue::Members(members)) = change.map(|change| change.value) {
        return (members.clone(), members);
    }
    let listed = &spec.composition().members;
    let mut weighed = listed.clone();
    // Behind a name that a specification lists there may have been something before.
    for member in &mut weighed {
        if let Some(pool) = pool_of(&member.name, BONDED, book) {
            member.weight = pool.tokens;
        }
    }
    (listed.clone(), weighed)
}

/// The first height whose members can be others than those that a specification lists.
pub(super) fn first_of(spec: &ChainSpec) -> u64 {
    spec.first_height().saturating_add(2)
}

fn weighs_enough(weight: u64, least: u64) -> bool {
    weight >= least.max(1)
}

/// Gives a member the weight and the key of its pool.
fn weigh(members: &mut [Authority], name: &str, pool: &Pool) {
    if let Some(member) = members.iter_mut().find(|member| member.name == name) {
        member.weight = pool.tokens;
        if let Some(Bond { key, .. }) = &pool.bond {
            member.key = *key;
        }
    }
}

/// Makes a name a member that has enough behind it: where there is room, or where another has less. Of those with the least, the one
/// that came last makes room.
fn enter(members: &mut Vec<Authority>, name: &str, pool: &Pool, terms: &StakeTerms, least: u64) {
    let is_member = members.iter().any(|member| member.name == name);
    let Some(bond) = &pool.bond else { return };
    if is_member || !weighs_enough(pool.tokens, least) {
        return;
    }
    if members.len() >= terms.members_max as usize {
        let weights = members.iter().enumerate().rev();
        let lightest = weights.min_by_key(|(_, member)| member.weight);
        match lightest {
            Some((index, member)) if member.weight < pool.tokens => members.remove(index),
            _ => return,
        };
    }
    members.push(Authority {
        name: name.to_owned(),
        key: bond.key,
        weight: pool.tokens,
    });
}

fn check(members: &[Authority], name: &str) -> Result<(), Fault> {
    if members.is_empty() {
        return refuse("no member would have enough behind it");
    }
    let own = members.iter().find(|member| member.name == name);
    if let Some(own) = own
        && let Some(other) = members
            .iter()
            .find(|other| other.key == own.key && other.name != name)
    {
        return refuse(format!("{} is the key of {:?}", own.key, other.name));
    }
    let mut weights = members.iter().map(|member| member.weight);
    let total = weights.try_fold(0u64, u64::checked_add);
    if total.is_none_or(|total| total > WEIGHT_MAX) {
        return refuse("all members together would weigh more than can be counted");
    }
    let bytes: usize = members.iter().map(|member| 44 + member.name.len()).sum();
    if bytes + 4 > VALUE_BYTES_MAX {
        let detail = format!("the members would take {bytes} bytes, at most {VALUE_BYTES_MAX}");
        return fault(Reason::Limit, detail);
    }
    Ok(())
}

fn put(before: Vec<Authority>, after: Vec<Authority>, place: &Place<'_>, draft: &mut Draft<'_>) {
    if before != after {
        let members = ParameterValue::Members(after);
        change::put(Parameter::Members, next_boundary(place), members, draft);
    }
}
