//! `keys show` and `balance`: how a name stands, who speaks for it, and what it holds.

use hubledger::ledger::ChainReader;
use hubledger::spec::ChainSpec;
use hubledger::state::tables::{
    Pools, Registration, Registrations, Shares, Table, Tenure, Tenures,
};
use hubledger::state::{State, TABLE_ACCOUNTS};
use serde_json::{Value, json};

use crate::args::{Balance, KeysShow};
use crate::commands::prove::prove_row;
use crate::describe::extend;
use crate::failure::Result;
use crate::output::Output;
use crate::rows;

pub(crate) fn show(args: &KeysShow, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let name = args.name.as_str();
    let at = args.at.unwrap_or_else(|| state.height().saturating_add(1));
    let spec = reader.spec().at(at);
    let registration = state.value::<Registrations>(name.as_bytes());
    let speaking = state.keys_at(name, at);
    let mut report = json!({
        "name": name,
        "height": state.height(),
        "head": state.head(),
        "at": at,
    });
    extend(&mut report, standing(registration.as_ref(), name, &state));
    report["speaking"] = list(spec, speaking.iter());
    let all: Vec<(u32, Tenure)> = state.tenures(name).collect();
    report["tenures"] = list(spec, all.iter());
    if let Some(path) = &args.prove {
        // The latest of those that speak, if it isn't the name's latest, which its registration has; or how the name stands, and if it doesn't,
        // that it has no row.
        let latest = registration
            .as_ref()
            .map(|one| one.tenures.saturating_sub(1));
        let (table, key) = match speaking.first() {
            Some((number, _)) if Some(*number) != latest => {
                (Tenures::NUMBER, Tenures::key(name, *number))
            }
            _ => (Registrations::NUMBER, name.as_bytes().to_vec()),
        };
        report["proof"] = prove_row(&reader, &state, (table, &key), path, output)?;
    }
    state.refuse_failed().map_err(anyhow::Error::from)?;
    output.print(&report);
    Ok(())
}

/// How a name stands, registered or not.
fn standing(registration: Option<&Registration>, name: &str, state: &State) -> Value {
    match registration {
        Some(one) => json!({
            "standing": one.standing.word(),
            "member": one.is_member,
            "since": one.since,
            "stake": one.stake,
            "recovery": one.recovery.as_ref().map(rows::key_set),
        }),
        None => {
            let account = state.account(name);
            json!({
                "standing": "unregistered",
                "speaker": rows::speaker(&account.speaker),
                "keys": account.keys(),
            })
        }
    }
}

/// Tenures with their numbers, and the height at which they are too old, where keys age.
fn list<'a>(spec: &ChainSpec, tenures: impl Iterator<Item = &'a (u32, Tenure)>) -> Value {
    let age_max = spec.terms.key_age_max;
    let describe = |(number, tenure): &(u32, Tenure)| {
        let mut value = json!({ "number": number });
        extend(&mut value, rows::tenure(tenure));
        if age_max > 0 {
            value["too_old_at"] = tenure.from.saturating_add(age_max).into();
        }
        value
    };
    tenures.map(describe).collect()
}

/// What a name has put up behind itself and not taken back.
fn bonded(name: &str, state: &State) -> u64 {
    let pool = state.value::<Pools>(&Pools::key(name, 0));
    let shares = state.value::<Shares>(&Shares::key(name, name, 0));
    pool.zip(shares)
        .map_or(0, |(pool, shares)| pool.worth(shares))
}

pub(crate) fn balance(args: &Balance, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let name = args.name.as_str();
    let next = state.height().saturating_add(1);
    let account = state.account(name);
    let registration = state.value::<Registrations>(name.as_bytes());
    let mut report = json!({
        "name": name,
        "height": state.height(),
        "head": state.head(),
        "balance": account.balance,
        "stake": registration.map_or(0, |one| one.stake),
        "bonded": bonded(name, &state),
        "nonce": account.nonce,
        "speaker": rows::speaker(&account.speaker),
    });
    match account.is_registered() {
        true => {
            let speaking = state.keys_at(name, next);
            report["speaking"] = list(reader.spec().at(next), speaking.iter());
        }
        false => report["keys"] = json!(account.keys()),
    }
    if let Some(path) = &args.prove {
        let row = (TABLE_ACCOUNTS, name.as_bytes());
        report["proof"] = prove_row(&reader, &state, row, path, output)?;
    }
    state.refuse_failed().map_err(anyhow::Error::from)?;
    output.print(&report);
    Ok(())
}
