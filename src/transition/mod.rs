//! Transitions: what a transaction changes in the state beside its sender's nonce and balances, because its payload says so.
//!
//! Each is a pure function from the payload, where it is, and what is known so far, to [`Effects`]; or to the fault for which the
//! transaction is not valid. The rules ask, put the effects into the block's changes, and the state root covers them. Nothing is
//! remembered here, nothing is read but through [`Book`], and time is a height.
//!
//! | module | what it decides |
//! |---|---|
//! | `speaker` | whether the witnesses of a transaction speak for a registered name |
//! | `registration` | names that join, rotate, revoke, recover and leave |
//! | `attestation` | who vouches for whom |
//! | `governance` | parameters that members propose to change, and approve of |
//! | `attendance` | who signed the last blocks, and what a member pays for being absent |
//! | `certify` | checkpoints that members make final |
//! | `evidence` | members that are convicted of faults |
//! | `seed` | what members commit to and reveal for the seeds that choose proposers |
//! | `stake` | what names put up behind members, what that makes of the members, and what a fault takes of it |
//!
//! To add one: `docs/walk-throughs/add-a-transition.md`.

mod attendance;
mod attestation;
mod certify;
mod change;
pub(crate) mod draft;
mod evidence;
mod governance;
mod registration;
mod seed;
mod speaker;
pub(crate) mod stake;

use std::borrow::Cow;

pub(crate) use self::speaker::{check as check_speaker, is_signed_by, lasting};
use crate::consensus;
use crate::format::model::Transaction;
use crate::format::payload::Payload;
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::ChainSpec;
use crate::state::tables::{Registration, Registrations, Standing, Table};
use crate::state::{Account, InForce, RowChange, Speaker, State};

/// Where a transaction is, whose payload is decided about.
pub(crate) struct Place<'a> {
    /// The specification in force at `height`.
    pub(crate) spec: &'a ChainSpec,
    /// What of it the chain changed.
    pub(crate) in_force: &'a InForce,
    /// The state before the block.
    pub(crate) parent: &'a State,
    /// The block's height.
    pub(crate) height: u64,
    /// Who makes the block; `None` of a transaction that is in none yet.
    pub(crate) producer: Option<&'a str>,
    pub(crate) transaction: &'a Transaction,
}

impl Place<'_> {
    fn sender(&self) -> &str {
        self.transaction.sender()
    }
}

/// What is known where a transaction is: the state as the transactions before it left it.
pub(crate) trait Book {
    /// What is known of a name.
    fn account(&self, name: &str) -> Account;

    /// A row of another table.
    fn row(&self, table: u8, key: &[u8]) -> Option<Cow<'_, [u8]>>;
}

/// The value of a row. Only encoded values are put there.
pub(crate) fn value<T: Table>(book: &dyn Book, key: &[u8]) -> Option<T::Value> {
    T::decode(&book.row(T::NUMBER, key)?).ok()
}

/// What a transition changes.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Rows of tables.
    pub(crate) rows: Vec<RowChange>,
    /// Who speaks for the sender from now on, if that changes.
    pub(crate) speaker: Option<Speaker>,
    /// What goes from the sender's balance into what a row says it has put up.
    pub(crate) put_up: u64,
    /// What comes back from there.
    pub(crate) given_back: u64,
    /// What a penalty takes from there: it goes to the treasury that the specification names, or is gone.
    pub(crate) forfeited: u64,
}

impl Effects {
    fn put<T: Table>(&mut self, key: &[u8], value: &T::Value) {
        self.rows.push(RowChange {
            table: T::NUMBER,
            key: key.into(),
            value: Some(T::encode(value).into()),
        });
    }

    fn remove<T: Table>(&mut self, key: &[u8]) {
        self.rows.push(RowChange {
            table: T::NUMBER,
            key: key.into(),
            value: None,
        });
    }
}

/// What a payload changes. Its transaction's witnesses were found to speak for its sender.
///
/// # Errors
/// The rule of its kind that it breaks.
pub(crate) fn decide(
    payload: &Payload,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    match payload {
        Payload::Register(register) => registration::register(register, place, book),
        Payload::Rotate(rotate) => registration::rotate(rotate, place, book),
        Payload::Revoke(_) => registration::revoke(place, book),
        Payload::Recover(recover) => registration::recover(recover, place, book),
        Payload::Leave(_) => registration::leave(place, book),
        Payload::Attest(attest) => attestation::attest(attest, place, book),
        Payload::Retract(retract) => attestation::retract(retract, place, book),
        Payload::Propose(propose) => governance::propose(propose, place, book),
        Payload::Approve(approve) => governance::approve(approve, place, book),
        Payload::Stake(stake) => stake::stake(stake, place, book),
        Payload::Delegate(delegate) => stake::delegate(delegate, place, book),
        Payload::Release(release) => stake::release(release, place, book),
        Payload::Withdraw(withdraw) => stake::withdraw(withdraw, place, book),
        Payload::Certify(one) => certify::certify(one, place, book),
        Payload::Commit(commit) => seed::commit(commit, place, book),
        Payload::Reveal(reveal) => seed::reveal(reveal, place, book),
        Payload::Convict(convict) => evidence::convict(convict, place, book),
    }
}

/// Whether a name takes part in the consensus at the height, or joined the federation.
fn is_member(name: &str, place: &Place<'_>, book: &dyn Book) -> bool {
    let registered = registration_of(name, book);
    let joined = |one: Registration| one.is_member && one.standing == Standing::Active;
    registered.is_some_and(joined)
        || consensus::is_member(place.spec, place.parent, place.height, name)
}

fn registration_of(name: &str, book: &dyn Book) -> Option<Registration> {
    value::<Registrations>(book, name.as_bytes())
}

fn fault<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(reason, detail))
}
