//! `stake`: what names put up behind members. `members`: who they are.

use hubledger::consensus;
use hubledger::ledger::ChainReader;
use hubledger::payload::{self, Payload};
use hubledger::state::State;
use hubledger::state::tables::{Pool, Pools, Shares, Table};
use serde_json::{Value, json};

use super::author::Author;
use super::saying::{Said, public_keys, say};
use crate::args::{Members, Saying, StakeCommand, StakePut, StakeShow};
use crate::describe::{self, extend};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::rows;

pub(crate) fn stake(command: &StakeCommand, output: &Output) -> Result {
    match command {
        StakeCommand::Put(args) => put(args, output),
        StakeCommand::Delegate(args) => {
            let payload = Payload::Delegate(payload::Delegate {
                to: args.to.clone(),
                amount: args.amount,
            });
            say_about(&args.saying, &args.to, payload, output)
        }
        StakeCommand::Release(args) => {
            let payload = Payload::Release(payload::Release {
                from: args.from.clone(),
                amount: args.amount,
            });
            say_about(&args.saying, &args.from, payload, output)
        }
        StakeCommand::Withdraw(args) => {
            let payload = Payload::Withdraw(payload::Withdraw {
                from: args.from.clone(),
                boundary: args.boundary,
            });
            say_about(&args.saying, &args.from, payload, output)
        }
        StakeCommand::Show(args) => show(args, output),
    }
}

fn put(args: &StakePut, output: &Output) -> Result {
    let author = Author::begin(&args.saying.author, [], output)?;
    let keys = public_keys(std::slice::from_ref(&args.seal_key))?;
    let key = keys.first().copied();
    let key = key.ok_or_else(|| Failure::message("seal key: there is none"))?;
    let payload = Payload::Stake(payload::Stake {
        key,
        amount: args.amount,
    });
    say(&args.saying, Said::of(payload), &author, output)
}

fn say_about(saying: &Saying, about: &str, payload: Payload, output: &Output) -> Result {
    let author = Author::begin(&saying.author, [], output)?;
    let said = Said {
        about: Some(about.to_owned()),
        ..Said::of(payload)
    };
    say(saying, said, &author, output)
}

fn show(args: &StakeShow, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let name = args.name.as_str();
    let next = state.height().saturating_add(1);
    let delay = reader.spec().at(next).composition().stake();
    let delay = delay.map_or(0, |terms| u64::from(terms.release_delay));
    let holdings = holdings(&state, name, delay);
    let mut report = json!({
        "name": name,
        "height": state.height(),
        "head": state.head(),
        "member": consensus::is_member(reader.spec(), &state, next, name),
        "pool": state.value::<Pools>(&Pools::key(name, 0)).as_ref().map(rows::pool),
    });
    extend(&mut report, holdings);
    state.refuse_failed().map_err(anyhow::Error::from)?;
    output.print(&report);
    Ok(())
}

/// Who has shares of what is behind a name, and what the name has behind whom. Rows are found by their whole keys alone, so it takes a
/// walk over all of them.
fn holdings(state: &State, name: &str, delay: u64) -> Value {
    let (mut holders, mut own) = (Vec::new(), Vec::new());
    let shares = state.tree().into_iter().flat_map(|tree| tree.rows());
    for (_, key, bytes) in shares.filter(|(table, ..)| *table == Shares::NUMBER) {
        let (Some((holder, behind, boundary)), Ok(shares)) =
            (Shares::parts(key), Shares::decode(bytes))
        else {
            continue;
        };
        if holder != name && behind != name {
            continue;
        }
        let pool = state.value::<Pools>(&Pools::key(behind, boundary));
        let mut about = json!({
            "shares": shares,
            "worth": pool.map(|pool: Pool| pool.worth(shares)),
        });
        if boundary > 0 {
            about["boundary"] = boundary.into();
            about["paid_out_from"] = boundary.saturating_add(delay).into();
        }
        if behind == name {
            let mut about = about.clone();
            about["holder"] = holder.into();
            holders.push(about);
        }
        if holder == name {
            about["behind"] = behind.into();
            own.push(about);
        }
    }
    json!({ "holders": holders, "holds": own })
}

pub(crate) fn members(args: &Members, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let last = state.height().saturating_add(2);
    let at = args.at.unwrap_or_else(|| state.height().saturating_add(1));
    if at > last {
        let problem = format!("members of height {at} aren't known yet, those of {last} are");
        return Err(Failure::message(problem));
    }
    let members = consensus::members(reader.spec(), &state, at);
    let total: u64 = members.iter().map(|member| member.weight).sum();
    let report = json!({
        "height": state.height(),
        "head": state.head(),
        "at": at,
        "weight": total,
        "members": describe::members(&members),
    });
    state.refuse_failed().map_err(anyhow::Error::from)?;
    output.print(&report);
    Ok(())
}
