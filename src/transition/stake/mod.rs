//! Stakes: what names put up behind a member, and take back.
//!
//! Behind each name is a pool that counts, and one for each change of members at which something of it was taken back. Whoever put
//! value up has shares of a pool; what a share is worth falls with a penalty, and never rises.
//!
//! | module | what it says |
//! |---|---|
//! | `pool` | what shares cost and are worth |
//! | `list` | who is a member because of what is behind it |
//! | `slash` | what a fault takes |
//! | `founding` | the stakes of the members that a specification lists |

mod founding;
mod list;
mod pool;
mod slash;

pub(crate) use self::founding::found;
pub(crate) use self::slash::slash;
use super::draft::Draft;
use super::{Book, Effects, Place, fault, value};
use crate::format::payload::{Delegate, Release, Stake, Withdraw};
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::{PublicKey, check_key};
use crate::state::KEY_BYTES_MAX;
use crate::state::tables::{Bond, Pool, Pools, RELEASES_MAX, Shares};

/// The boundary of the pool that counts.
const BONDED: u64 = 0;

/// The sender puts value up behind itself, names its key, or exchanges it.
pub(super) fn stake(stake: &Stake, place: &Place<'_>, book: &dyn Book) -> Result<Effects, Fault> {
    let (name, Stake { key, amount }) = (place.sender(), stake);
    check_terms(place)?;
    if let Err(error) = check_key(key) {
        return refuse(format!("nobody could seal with the key {key}: {error}"));
    }
    let held = pool_of(name, BONDED, book);
    let exchanges = |pool: &Pool| {
        let other = pool.bond.as_ref().is_some_and(|bond| bond.key != *key);
        other && pool.shares > 0
    };
    if *amount == 0 && !held.as_ref().is_some_and(exchanges) {
        return refuse("nothing is put up, and no key exchanged");
    }
    let mut effects = Effects::default();
    let mut draft = Draft::new(book, &mut effects);
    let pool = held.unwrap_or_else(|| new_bond(*key));
    put_up(name, pool, Some(*key), *amount, place, &mut draft)?;
    effects.put_up = *amount;
    Ok(effects)
}

/// The sender puts value up behind somebody.
pub(super) fn delegate(
    delegate: &Delegate,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let Delegate { to, amount } = delegate;
    if !check_terms(place)?.delegation {
        return refuse("in this chain each puts up for itself alone");
    }
    if *amount == 0 {
        return refuse("nothing is put up");
    }
    let held = pool_of(to, BONDED, book).filter(|pool| pool.shares > 0);
    let Some(pool) = held else {
        return refuse(format!("{to:?} has put up nothing itself"));
    };
    let mut effects = Effects::default();
    let mut draft = Draft::new(book, &mut effects);
    put_up(to, pool, None, *amount, place, &mut draft)?;
    effects.put_up = *amount;
    Ok(effects)
}

fn put_up(
    name: &str,
    mut pool: Pool,
    key: Option<PublicKey>,
    amount: u64,
    place: &Place<'_>,
    draft: &mut Draft<'_>,
) -> Result<(), Fault> {
    let minted = pool.deposit(amount)?;
    if let (Some(bond), Some(key)) = (&mut pool.bond, key) {
        bond.key = key;
    }
    draft.put::<Pools>(&Pools::key(name, BONDED), &pool);
    add_shares(place.sender(), name, BONDED, minted, draft)?;
    list::follow(name, &pool, place, draft)
}

/// The sender takes back of what it has behind somebody, from the next change of members on.
pub(super) fn release(
    release: &Release,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (holder, Release { from, amount }) = (place.sender(), release);
    if *amount == 0 {
        return refuse("nothing is taken back");
    }
    let (held, mut pool) = shares_of(holder, from, BONDED, book)?;
    let (burnt, tokens) = pool.withdraw(*amount, held).ok_or_else(|| {
        let worth = pool.worth(held);
        let detail = format!("{holder:?} has {worth} behind {from:?}, not {amount}");
        Fault::new(Reason::Stake, detail)
    })?;
    let mut effects = Effects::default();
    let mut draft = Draft::new(book, &mut effects);
    put_shares(holder, from, BONDED, held - burnt, &mut draft);
    if tokens > 0 {
        let boundary = list::next_boundary(place);
        let waiting = pool_of(from, boundary, book);
        let mut waiting = waiting.unwrap_or(Pool {
            tokens: 0,
            shares: 0,
            bond: None,
        });
        let minted = waiting.deposit(tokens)?;
        draft.put::<Pools>(&Pools::key(from, boundary), &waiting);
        add_shares(holder, from, boundary, minted, &mut draft)?;
        note_release(&mut pool, boundary, place)?;
    }
    put_bonded(from, &pool, &mut draft);
    if place.spec.composition().stake().is_some() {
        list::follow(from, &pool, place, &mut draft)?;
    }
    Ok(effects)
}

/// Pays the sender out what it took back, once that can't be punished any more.
pub(super) fn withdraw(
    withdraw: &Withdraw,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let (holder, Withdraw { from, boundary }) = (place.sender(), withdraw);
    if *boundary == BONDED {
        return refuse("what counts is taken back first");
    }
    let (held, mut pool) = shares_of(holder, from, *boundary, book)?;
    let due = boundary.saturating_add(delay(place));
    if place.height < due {
        let height = place.height;
        return refuse(format!("paid out from height {due} on, this is {height}"));
    }
    let tokens = pool.worth(held);
    pool.tokens -= tokens;
    pool.shares -= held;
    let mut effects = Effects {
        given_back: tokens,
        ..Effects::default()
    };
    let mut draft = Draft::new(book, &mut effects);
    put_shares(holder, from, *boundary, 0, &mut draft);
    let key = Pools::key(from, *boundary);
    match pool.shares {
        0 => {
            draft.remove::<Pools>(&key);
            if let Some(mut bonded) = pool_of(from, BONDED, book)
                && let Some(bond) = &mut bonded.bond
            {
                bond.releases.retain(|other| other != boundary);
                put_bonded(from, &bonded, &mut draft);
            }
        }
        _ => draft.put::<Pools>(&key, &pool),
    }
    Ok(effects)
}

/// Whether a name has shares of its own that count.
pub(super) fn has_own(name: &str, book: &dyn Book) -> bool {
    value::<Shares>(book, &Shares::key(name, name, BONDED)).is_some()
}

fn check_terms<'a>(place: &Place<'a>) -> Result<&'a crate::format::spec::StakeTerms, Fault> {
    let terms = place.spec.composition().stake();
    terms.ok_or_else(|| Fault::new(Reason::Stake, "members of this chain put up no stakes"))
}

/// For how many heights what was taken back can be punished. None where members have no stakes any more.
fn delay(place: &Place<'_>) -> u64 {
    let terms = place.spec.composition().stake();
    terms.map_or(0, |terms| terms.release_delay.into())
}

/// Notes in the pool that counts where else a penalty finds something, and forgets where it doesn't any more.
fn note_release(pool: &mut Pool, boundary: u64, place: &Place<'_>) -> Result<(), Fault> {
    let delay = delay(place);
    let Some(bond) = &mut pool.bond else {
        return Ok(());
    };
    let releases = &mut bond.releases;
    releases.retain(|earlier| earlier.saturating_add(delay) > place.height);
    if releases.last() == Some(&boundary) {
        return Ok(());
    }
    // The specification keeps them below this, unless one before it had shorter epochs.
    let fits = releases.last().is_none_or(|last| *last < boundary) && releases.len() < RELEASES_MAX;
    if !fits {
        return refuse("too much that was taken back waits already");
    }
    releases.push(boundary);
    Ok(())
}

fn new_bond(key: PublicKey) -> Pool {
    Pool {
        tokens: 0,
        shares: 0,
        bond: Some(Bond {
            key,
            releases: Vec::new(),
        }),
    }
}

fn pool_of(name: &str, boundary: u64, book: &dyn Book) -> Option<Pool> {
    value::<Pools>(book, &Pools::key(name, boundary))
}

/// Somebody's shares of a pool, and the pool.
fn shares_of(
    holder: &str,
    name: &str,
    boundary: u64,
    book: &dyn Book,
) -> Result<(u64, Pool), Fault> {
    let held = value::<Shares>(book, &Shares::key(holder, name, boundary));
    match (held, pool_of(name, boundary, book)) {
        (Some(held), Some(pool)) if held <= pool.shares => Ok((held, pool)),
        _ => refuse(format!("{holder:?} has nothing there behind {name:?}")),
    }
}

fn add_shares(
    holder: &str,
    name: &str,
    boundary: u64,
    minted: u64,
    draft: &mut Draft<'_>,
) -> Result<(), Fault> {
    let key = Shares::key(holder, name, boundary);
    if key.len() > KEY_BYTES_MAX {
        let detail = "both names are too long to be put together";
        return fault(Reason::Limit, detail);
    }
    let held = value::<Shares>(draft, &key).unwrap_or(0);
    // No more than the pool has.
    put_shares(holder, name, boundary, held.saturating_add(minted), draft);
    Ok(())
}

fn put_shares(holder: &str, name: &str, boundary: u64, shares: u64, draft: &mut Draft<'_>) {
    let key = Shares::key(holder, name, boundary);
    match shares {
        0 => draft.remove::<Shares>(&key),
        _ => draft.put::<Shares>(&key, &shares),
    }
}

/// Keeps the pool that counts as long as there is something in it, or something that was taken back from it may be punished.
fn put_bonded(name: &str, pool: &Pool, draft: &mut Draft<'_>) {
    let key = Pools::key(name, BONDED);
    let releases = pool.bond.as_ref().map_or(0, |bond| bond.releases.len());
    match pool.shares == 0 && releases == 0 {
        true => draft.remove::<Pools>(&key),
        false => draft.put::<Pools>(&key, pool),
    }
}

fn refuse<T>(detail: impl Into<String>) -> Result<T, Fault> {
    fault(Reason::Stake, detail)
}
