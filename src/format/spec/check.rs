//! What a specification has to be. Pure functions, of two kinds: the limits of the format, without which it is none; and the
//! contradictions with which it is one, but of a chain that couldn't live by it.

use std::collections::HashSet;

use super::{
    Consensus, FeesTo, Identity, Import, Joining, Limits, Parameter, SPEC_ENTRIES_MAX, SpecFields,
};
use crate::clock::TIME_US_MAX;
use crate::format::FormatVersion;
use crate::format::codec::{FieldError, NAME_BYTES_MAX};
use crate::format::model::{BODY_BYTES_MAX, CLOCK_ENTRIES_MAX, PAYLOAD_BYTES_MAX};
use crate::format::payload::VALUE_MEMBERS_MAX;
use crate::format::signature::{PublicKey, check_key};

/// TOML's integers end here, so no number of a specification is larger.
pub(super) const NUMBER_MAX: u64 = i64::MAX as u64;

const ACCOUNTS: &str = "accounts";

/// Something wrong with a specification, and where that is in its TOML text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) error: FieldError,
    /// Where in the field, if it is a list or a table.
    pub(super) within: Vec<Step>,
    /// Another field that has part in it, in case the first isn't written.
    pub(super) beside: Option<&'static str>,
}

/// A step down from a list or a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Index(usize),
    Key(String),
}

impl Problem {
    /// A problem with `field`, named by its path in TOML.
    pub(super) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            error: FieldError::new(field, problem),
            within: Vec::new(),
            beside: None,
        }
    }

    /// A problem some steps down from `field`.
    pub(super) fn within(field: &'static str, steps: Vec<Step>, problem: String) -> Self {
        Self {
            within: steps,
            ..Self::new(field, problem)
        }
    }

    /// Names another field that has part in it.
    pub(super) fn beside(mut self, field: &'static str) -> Self {
        self.beside = Some(field);
        self
    }

    fn of_account(name: &str, field: Option<&str>, problem: String) -> Self {
        let steps = [Some(name), field].into_iter().flatten();
        let steps = steps.map(|step| Step::Key(step.to_owned())).collect();
        Self::within(ACCOUNTS, steps, problem)
    }
}

impl From<Problem> for FieldError {
    fn from(problem: Problem) -> Self {
        problem.error
    }
}

/// That every field is within the limits of the format.
pub(super) fn check(fields: &SpecFields) -> Result<(), Problem> {
    let rules = &fields.rules;
    check_name("name", &fields.name, NAME_BYTES_MAX).map_err(|text| Problem::new("name", text))?;
    let times = " µs since the Unix epoch";
    check_number("genesis_time", fields.genesis_time, times)?;
    check_number("rules.fee_min", rules.fee_min, "")?;
    check_number("rules.clock_drift_max_us", rules.clock_drift_max_us, " µs")?;
    let steps = " steps of a vector clock";
    check_number("rules.clock_advance_max", rules.clock_advance_max, steps)?;
    check_limits(&fields.limits)?;
    check_version(fields)?;
    let names = fields.limits.name_bytes_max as usize;
    fields.consensus.check(names, fields)?;
    check_accounts(fields, names)?;
    let (least, most) = (rules.witnesses_min, fields.limits.witnesses_max);
    if least > most {
        let problem =
            format!("{least} witnesses are demanded, limits.witnesses_max allows {most} witnesses");
        return Err(Problem::new("rules.witnesses_min", problem).beside("limits.witnesses_max"));
    }
    if rules.identity == Identity::Key && names < 64 {
        let problem = format!(
            "{names} bytes, but with rules.identity = \"key\" names are keys of 64 hexadecimal digits"
        );
        return Err(Problem::new("limits.name_bytes_max", problem).beside("rules.identity"));
    }
    fields.import.as_ref().map_or(Ok(()), check_import)
}

/// What only version 2 has, and what it goes on from.
fn check_version(fields: &SpecFields) -> Result<(), Problem> {
    if fields.version == FormatVersion::V1 {
        let beyond = fields.terms.first_beyond_version_1();
        let beyond = beyond.or(fields.predecessor.as_ref().map(|_| "predecessor"));
        let beyond = beyond.or(match fields.rules.identity {
            Identity::Registered => Some("rules.identity"),
            Identity::Open | Identity::Pinned | Identity::Key => None,
        });
        let beyond = beyond.or(match &fields.consensus {
            Consensus::Composed(_) => Some("consensus"),
            Consensus::ProofOfAuthority(_) => None,
        });
        let problem = "a specification has this in format 2 only; add the line: format = 2";
        return beyond.map_or(Ok(()), |field| Err(Problem::new(field, problem)));
    }
    fields.terms.check(&fields.limits)?;
    let predecessor = fields.predecessor.as_ref();
    predecessor.map_or(Ok(()), |before| before.check(fields))
}

pub(super) fn check_number(field: &'static str, value: u64, unit: &str) -> Result<(), Problem> {
    if value > NUMBER_MAX {
        let problem = format!("{value}{unit}, at most {NUMBER_MAX} (2^63 - 1) are allowed");
        return Err(Problem::new(field, problem));
    }
    Ok(())
}

/// A name's length; what is wrong says whose name it is.
pub(super) fn check_name(whose: &str, name: &str, limit: usize) -> Result<(), String> {
    let limit = limit.min(NAME_BYTES_MAX);
    match name.len() {
        0 => Err(format!("{whose} is empty: a name has at least 1 byte")),
        length if length > limit => Err(format!(
            "{whose} has {length} bytes, at most {limit} bytes are allowed"
        )),
        _ => Ok(()),
    }
}

fn check_limits(limits: &Limits) -> Result<(), Problem> {
    let bounds: [(&'static str, &str, u32, usize); 6] = [
        (
            "limits.transactions_max",
            "transactions",
            limits.transactions_max,
            u32::MAX as usize,
        ),
        (
            "limits.body_bytes_max",
            "bytes",
            limits.body_bytes_max,
            BODY_BYTES_MAX,
        ),
        (
            "limits.payload_bytes_max",
            "bytes",
            limits.payload_bytes_max,
            PAYLOAD_BYTES_MAX,
        ),
        (
            "limits.name_bytes_max",
            "bytes",
            limits.name_bytes_max,
            NAME_BYTES_MAX,
        ),
        (
            "limits.clock_entries_max",
            "entries",
            limits.clock_entries_max,
            CLOCK_ENTRIES_MAX,
        ),
        (
            "limits.witnesses_max",
            "witnesses",
            limits.witnesses_max.into(),
            u8::MAX as usize,
        ),
    ];
    for (field, unit, value, limit) in bounds {
        if value == 0 || value as usize > limit {
            let problem = format!("{value} {unit} is not between 1 and {limit} {unit}");
            return Err(Problem::new(field, problem));
        }
    }
    Ok(())
}

/// The length of a list.
pub(super) fn check_count(field: &'static str, unit: &str, count: usize) -> Result<(), Problem> {
    if count > SPEC_ENTRIES_MAX {
        let problem = format!("{count} {unit}, at most {SPEC_ENTRIES_MAX} {unit} are allowed");
        return Err(Problem::new(field, problem));
    }
    Ok(())
}

fn check_accounts(fields: &SpecFields, names: usize) -> Result<(), Problem> {
    check_count(ACCOUNTS, "accounts", fields.accounts.len())?;
    let (bound, role) = (bound_names(fields), fields.consensus.role());
    let mut total = 0u64;
    for (name, account) in &fields.accounts {
        check_name("an account's name", name, names)
            .map_err(|text| Problem::of_account(name, None, text))?;
        let is_bound = bound.contains(name.as_str());
        let balance = account.balance;
        let is_bound_later = matches!(
            fields.rules.identity,
            Identity::Pinned | Identity::Registered
        );
        let open_to_all = is_bound_later && account.key.is_none();
        if balance > 0 && open_to_all && !is_bound {
            let problem = format!(
                "{name:?} holds a balance of {balance} but names no key: anybody could take it"
            );
            return Err(Problem::of_account(name, Some("balance"), problem));
        }
        if account.key.is_some() && is_bound {
            let problem = format!("{name:?} is {role}, whose key is listed there");
            return Err(Problem::of_account(name, Some("key"), problem));
        }
        let of_account = |problem| Problem::of_account(name, Some("balance"), problem);
        if balance > 0 && !fields.rules.balances {
            let problem =
                format!("{name:?} holds a balance of {balance}, but rules.balances is off");
            return Err(of_account(problem));
        }
        total = total
            .checked_add(balance)
            .filter(|total| *total <= NUMBER_MAX)
            .ok_or_else(|| {
                of_account(format!(
                    "with {name:?} and its {balance} the balances add up to more than {NUMBER_MAX} (2^63 - 1)"
                ))
            })?;
    }
    Ok(())
}

/// The names that the consensus binds to keys.
fn bound_names(fields: &SpecFields) -> HashSet<&str> {
    fields.consensus.bound().map(|(name, _)| name).collect()
}

fn check_import(import: &Import) -> Result<(), Problem> {
    const BLOCKS: &str = "import.blocks";
    check_name("MPREG's id of the chain", &import.chain, NAME_BYTES_MAX)
        .map_err(|text| Problem::new("import.chain", text))?;
    check_number(BLOCKS, import.blocks, " blocks")?;
    if import.blocks == 0 {
        return Err(Problem::new(BLOCKS, "0 blocks, a record has at least 1"));
    }
    Ok(())
}

/// What contradicts itself: at most one problem of each kind.
pub(super) fn contradictions(fields: &SpecFields) -> Vec<Problem> {
    let others = [
        names_too_long_for_the_clock,
        key_that_signs_nothing,
        genesis_out_of_time,
        drift_out_of_time,
        witnesses_that_nobody_has,
        fee_that_nobody_can_pay,
        value_that_nothing_moves,
        approvals_that_nobody_gives,
        members_beyond_change,
        changes_by_anybody,
    ];
    let mut found = Vec::from_iter(body_below_transaction(fields));
    found.extend(fields.consensus.contradictions(fields));
    found.extend(others.iter().filter_map(|find| find(fields)));
    found
}

/// Senders would be told to keep to limits with which a transaction fits into no block.
fn body_below_transaction(fields: &SpecFields) -> Option<Problem> {
    let limits = &fields.limits;
    let (body, largest) = (limits.body_bytes_max, limits.transaction_bytes_max());
    let problem = || {
        let problem = format!(
            "{body} bytes, but a transaction within the other limits (payload_bytes_max: {} bytes, name_bytes_max: {} \
             bytes, witnesses_max: {}) can take {largest} bytes and would fit into no block",
            limits.payload_bytes_max, limits.name_bytes_max, limits.witnesses_max
        );
        Problem::new("limits.body_bytes_max", problem).beside("limits.payload_bytes_max")
    };
    (largest > body.into()).then(problem)
}

/// A name that is in the clock stays there, and would be above the limit in every block.
fn names_too_long_for_the_clock(fields: &SpecFields) -> Option<Problem> {
    let limit = fields.limits.name_bytes_max;
    let name = fields
        .bound_before()
        .find(|name| name.len() > limit as usize)?;
    let problem = format!(
        "{limit} bytes, but the vector clock may hold {name:?} of an earlier specification, of {} bytes",
        name.len()
    );
    Some(Problem::new("limits.name_bytes_max", problem).beside("predecessor.specification"))
}

/// The first of `keys` that no signature can be accepted for, with what is wrong about it and how many others there are.
pub(super) fn useless_key<T>(keys: impl Iterator<Item = (T, PublicKey)>) -> Option<(T, String)> {
    let mut useless = keys.filter_map(|(whose, key)| Some((whose, key, check_key(&key).err()?)));
    let (whose, key, error) = useless.next()?;
    let others = match useless.count() {
        0 => String::new(),
        others => format!(" (and {others} others)"),
    };
    Some((whose, format!("with the key {key}: {error}{others}")))
}

fn key_that_signs_nothing(fields: &SpecFields) -> Option<Problem> {
    let accounts = fields.accounts.iter();
    let keys = accounts.filter_map(|(name, account)| Some((name, account.key?)));
    let (name, what) = useless_key(keys)?;
    let problem = format!("{name:?} could never sign a transaction {what}");
    Some(Problem::of_account(name, Some("key"), problem))
}

fn genesis_out_of_time(fields: &SpecFields) -> Option<Problem> {
    let time = fields.genesis_time;
    let problem = || {
        let problem = format!(
            "{time} µs since the Unix epoch, but the year 9999 ends at {TIME_US_MAX} µs; is it in another unit?"
        );
        Problem::new("genesis_time", problem)
    };
    (time > TIME_US_MAX).then(problem)
}

/// With such a drift the first block could be of a time that makes no sense, and all others had to follow it.
fn drift_out_of_time(fields: &SpecFields) -> Option<Problem> {
    let (drift, left) = (
        fields.rules.clock_drift_max_us,
        TIME_US_MAX.checked_sub(fields.genesis_time)?,
    );
    let problem = || {
        let problem = format!(
            "{drift} µs, but genesis_time is only {left} µs before the end of the year 9999; is it in another unit?"
        );
        Problem::new("rules.clock_drift_max_us", problem).beside("genesis_time")
    };
    (drift > left).then(problem)
}

fn witnesses_that_nobody_has(fields: &SpecFields) -> Option<Problem> {
    let (least, identity) = (fields.rules.witnesses_min, fields.rules.identity);
    if least < 2 {
        return None;
    }
    let problem = match identity {
        Identity::Open => return None,
        Identity::Key => format!(
            "{least} witnesses, but with rules.identity = \"key\" a sender has one key, and can have one witness only"
        ),
        Identity::Pinned | Identity::Registered => {
            let bound = bound_names(fields);
            let mut accounts = fields.accounts.iter();
            let is_bound = |(name, account): &(&String, &super::InitialAccount)| {
                account.key.is_some() || bound.contains(name.as_str())
            };
            let (name, _) = accounts.find(is_bound)?;
            format!(
                "{least} witnesses, but the account {name:?} is bound to one key, and can have one witness only"
            )
        }
    };
    Some(Problem::new("rules.witnesses_min", problem).beside("rules.identity"))
}

/// Balances only move by transactions, and each of them has to pay.
fn fee_that_nobody_can_pay(fields: &SpecFields) -> Option<Problem> {
    let fee = fields.rules.fee_min;
    let accounts = fields.accounts.values();
    let largest = accounts.map(|account| account.balance).max().unwrap_or(0);
    let problem = || {
        let problem = format!(
            "a fee of {fee} can't be paid: the largest balance of an account is {largest}, and without a fee nothing moves"
        );
        Problem::new("rules.fee_min", problem).beside("rules.balances")
    };
    // A chain that goes on from another has the balances of that one's state, which no specification tells.
    let is_known = fields.predecessor.is_none();
    (fields.rules.balances && is_known && fee > largest).then(problem)
}

/// Without balances there is nothing to put up as a stake, and no fee that anybody could get.
fn value_that_nothing_moves(fields: &SpecFields) -> Option<Problem> {
    if fields.rules.balances {
        return None;
    }
    let (joining, fees_to) = (fields.terms.joining, &fields.terms.fees_to);
    let (field, problem) = if matches!(joining, Joining::Stake | Joining::StakeOrAttested) {
        ("joining", "a stake is asked for, but rules.balances is off")
    } else if *fees_to != FeesTo::Producer {
        (
            "fees_to",
            "somebody is to get the fees, but rules.balances is off",
        )
    } else {
        return None;
    };
    Some(Problem::new(field, problem).beside("rules.balances"))
}

/// No change could ever be approved of.
fn approvals_that_nobody_gives(fields: &SpecFields) -> Option<Problem> {
    let (least, members) = (fields.terms.approvals_min, fields.consensus.bound().count());
    let problem = || {
        let problem =
            format!("{least} members have to approve of a change, but there are only {members}");
        Problem::new("approvals_min", problem).beside("consensus.authorities")
    };
    let may_grow = fields.terms.changeable.contains(&Parameter::Members);
    (least as usize > members && !may_grow).then(problem)
}

/// The list of members is one value, which is as long as a value can be.
fn members_beyond_change(fields: &SpecFields) -> Option<Problem> {
    let members = fields.consensus.bound().count();
    let problem = || {
        let problem = format!(
            "members can be changed where there are at most {VALUE_MEMBERS_MAX}, here are {members}"
        );
        Problem::new("changeable", problem).beside("consensus.authorities")
    };
    let changes = fields.terms.changeable.contains(&Parameter::Members);
    (changes && members > VALUE_MEMBERS_MAX).then(problem)
}

/// Whoever approves of a change is known by name.
fn changes_by_anybody(fields: &SpecFields) -> Option<Problem> {
    let problem = "parameters are changed by members, but with rules.identity = \"open\" anybody speaks for them";
    let is_open = fields.rules.identity == Identity::Open && !fields.terms.changeable.is_empty();
    is_open.then(|| Problem::new("changeable", problem).beside("rules.identity"))
}
