//! `keys`: names registered with keys that are exchanged, revoked and recovered; and who vouches for whom.

mod show;

use hubledger::model::Operation;
use hubledger::payload::{self, KeySet, Payload, Profile};

pub(crate) use self::show::{balance, show};
use super::author::Author;
use super::saying::{Said, key_set, public_keys, say};
use crate::args::{
    Attest, KeysCommand, KeysPayload, NewKeys, ProfileFields, Recover, RecoveryKeys, Register,
    Retract, Rotate,
};
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn keys(command: &KeysCommand, output: &Output) -> Result {
    match command {
        KeysCommand::Show(args) => show(args, output),
        KeysCommand::Say(command) => {
            let saying = command.saying();
            let author = Author::begin(&saying.author, [], output)?;
            say(saying, said(command, &author)?, &author, output)
        }
    }
}

fn said(command: &KeysPayload, author: &Author<'_>) -> Result<Said> {
    match command {
        KeysPayload::Register(args) => register(args, author),
        KeysPayload::Rotate(args) => rotate(args),
        KeysPayload::Revoke(_) => Ok(Said::of(Payload::Revoke(payload::Revoke))),
        KeysPayload::Recover(args) => recover(args),
        KeysPayload::Leave(_) => Ok(Said::of(Payload::Leave(payload::Leave))),
        KeysPayload::Attest(args) => attest(args),
        KeysPayload::Retract(args) => Ok(retract(args)),
    }
}

fn register(args: &Register, author: &Author<'_>) -> Result<Said> {
    let keys = match args.new.new_keys.is_empty() {
        true => key_set(author.public_keys(), args.new.threshold)?,
        false => new_keys(&args.new)?,
    };
    let said = Said::of(Payload::Register(payload::Register {
        keys,
        recovery: recovery_keys(&args.recovery)?,
        stake: args.stake,
        attester: args.attester.clone(),
        profile: profile(&args.profile)?,
    }));
    Ok(match args.join {
        true => Said {
            operation: Operation::FederationJoin,
            ..said
        },
        false => said,
    })
}

fn rotate(args: &Rotate) -> Result<Said> {
    Ok(Said::of(Payload::Rotate(payload::Rotate {
        keys: new_keys(&args.new)?,
        effective: args.effective,
        grace: args.grace,
    })))
}

fn recover(args: &Recover) -> Result<Said> {
    Ok(Said::of(Payload::Recover(payload::Recover {
        keys: new_keys(&args.new)?,
        recovery: recovery_keys(&args.recovery)?,
    })))
}

fn attest(args: &Attest) -> Result<Said> {
    let payload = Payload::Attest(payload::Attest {
        subject: args.about.subject.clone(),
        keys: new_keys(&args.new)?.digest(),
        purpose: args.about.purpose.clone(),
        expiry: args.expires_at,
    });
    Ok(Said {
        about: Some(args.about.subject.clone()),
        ..Said::of(payload)
    })
}

fn retract(args: &Retract) -> Said {
    let payload = Payload::Retract(payload::Retract {
        subject: args.about.subject.clone(),
        purpose: args.about.purpose.clone(),
    });
    Said {
        about: Some(args.about.subject.clone()),
        ..Said::of(payload)
    }
}

fn new_keys(args: &NewKeys) -> Result<KeySet> {
    if args.new_keys.is_empty() {
        return Err(Failure::message("keys: say which with --new-key"));
    }
    key_set(public_keys(&args.new_keys)?, args.threshold)
}

fn recovery_keys(args: &RecoveryKeys) -> Result<Option<KeySet>> {
    if args.recovery_keys.is_empty() {
        return Ok(None);
    }
    key_set(public_keys(&args.recovery_keys)?, args.recovery_threshold).map(Some)
}

fn profile(args: &ProfileFields) -> Result<Profile> {
    let (found, most) = (args.capabilities.len(), payload::CAPABILITIES_MAX);
    if found > most {
        let problem = format!("capabilities: {found}, at most {most} are allowed");
        return Err(Failure::message(problem));
    }
    Ok(Profile {
        node_type: args.node_type.clone(),
        role: args.role.clone(),
        region: args.region.clone(),
        network_address: args.network_address.clone(),
        capabilities: args.capabilities.clone(),
    })
}
