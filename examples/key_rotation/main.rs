//! A federation's year in a minute: a hub joins, exchanges its keys, loses one and gets another, the members change what the chain
//! goes by and who makes its blocks, and the hub leaves. Then somebody who has the hash of the last block, and nothing else, is
//! shown each step.
//!
//! Run it with `cargo run --example key_rotation`.

mod client;
mod hub;

use anyhow::{Context, bail, ensure};
use hubledger::consensus;
use hubledger::model::Operation;
use hubledger::payload::{
    Approve, Attest, KeySet, Leave, ParameterValue, Payload, Profile, Propose, Recover, Register,
    Rotate,
};
use hubledger::rejection::Reason;
use hubledger::signature::KeyPair;
use hubledger::spec::{Authority, Parameter};
use hubledger::state::InForce;
use hubledger::state::tables::Standing;

use crate::client::Client;
use crate::hub::{Hub, Keys, specification};

fn main() -> anyhow::Result<()> {
    let keys = Keys::new();
    let hub = Hub::open(&specification(&keys)?)?;
    join(&hub, &keys)?;
    exchange_keys(&hub, &keys)?;
    lose_a_key(&hub, &keys)?;
    let changed = change_the_chain(&hub, &keys)?;
    leave(&hub, &keys)?;

    // Everything above, shown to somebody who wasn't there.
    let client = Client {
        head: hub.0.state().head(),
    };
    println!("to whoever has the hash {} it is proved that", client.head);
    check_keys(&client, &hub, &keys)?;
    check_changes(&client, &hub, changed)?;
    hub.0.shutdown()?;
    Ok(())
}

/// Harbour by the word of hub-1, ferry by a stake. Recovery keys are harbour's alone.
fn join(hub: &Hub, keys: &Keys) -> anyhow::Result<()> {
    let attest = Payload::Attest(Attest {
        subject: "harbour".to_owned(),
        keys: single(&keys.harbour)?.digest(),
        purpose: "membership".to_owned(),
        expiry: 0,
    });
    hub.say("hub-1", Operation::NodeUpdate, &attest, &keys.hubs[0])?;
    hub.block(&keys.hubs[0])?;
    let register = |key: &KeyPair| {
        Ok::<_, anyhow::Error>(Register {
            keys: single(key)?,
            recovery: None,
            stake: 0,
            attester: None,
            profile: Profile::default(),
        })
    };
    let harbour = Register {
        recovery: Some(single(&keys.safe)?),
        attester: Some("hub-1".to_owned()),
        ..register(&keys.harbour)?
    };
    let ferry = Register {
        stake: 200,
        ..register(&keys.ferry)?
    };
    for (name, register, key) in [
        ("harbour", harbour, &keys.harbour),
        ("ferry", ferry, &keys.ferry),
    ] {
        hub.say(
            name,
            Operation::FederationJoin,
            &Payload::Register(register),
            key,
        )?;
    }
    let height = hub.block(&keys.hubs[0])?;
    println!("height {height}: harbour joins by the word of hub-1, ferry by a stake of 200");
    Ok(())
}

/// The new key speaks from height 5 on, the old one up to 6.
fn exchange_keys(hub: &Hub, keys: &Keys) -> anyhow::Result<()> {
    let rotate = Payload::Rotate(Rotate {
        keys: single(&keys.harbour_new)?,
        effective: 5,
        grace: 2,
    });
    hub.say("harbour", Operation::NodeUpdate, &rotate, &keys.harbour)?;
    let height = hub.block(&keys.hubs[0])?;
    println!("height {height}: harbour's keys are to be exchanged at 5, with 2 heights of grace");
    let early = hub.message("harbour", &keys.harbour_new)?;
    ensure!(early == Err(Reason::Identity), "not before 5: {early:?}");
    hub.blocks_to(4, &keys.hubs[0])?;
    for key in [&keys.harbour_new, &keys.harbour] {
        let spoken = hub.message("harbour", key)?;
        let height = hub.block(&keys.hubs[0])?;
        ensure!(spoken.is_ok(), "at {height} both speak: {spoken:?}");
    }
    let late = hub.message("harbour", &keys.harbour)?;
    ensure!(late == Err(Reason::Identity), "not after 6: {late:?}");
    println!("height {}: the old key is refused", hub.next_height());
    Ok(())
}

/// Somebody stole the key. The recovery key, which was in a safe, gives the name another one.
fn lose_a_key(hub: &Hub, keys: &Keys) -> anyhow::Result<()> {
    let recover = Payload::Recover(Recover {
        keys: single(&keys.harbour_newest)?,
        recovery: None,
    });
    hub.say("harbour", Operation::NodeUpdate, &recover, &keys.safe)?;
    let height = hub.block(&keys.hubs[0])?;
    println!("height {height}: harbour's key is lost, and the recovery key gives it another");
    let thief = hub.message("harbour", &keys.harbour_new)?;
    ensure!(thief == Err(Reason::Identity), "the thief spoke: {thief:?}");
    let owner = hub.message("harbour", &keys.harbour_newest)?;
    ensure!(owner.is_ok(), "the owner is refused: {owner:?}");
    hub.block(&keys.hubs[0])?;
    Ok(())
}

/// Two of three authorities change the pace of blocks, and put harbour in the place of the third. From which height on.
fn change_the_chain(hub: &Hub, keys: &Keys) -> anyhow::Result<u64> {
    let [one, two, three] = &keys.hubs;
    let effective = hub.next_height() + 4;
    let member = |(name, key): (&str, &KeyPair)| Authority {
        name: name.to_owned(),
        key: key.public_key(),
        weight: 1,
    };
    let members = [
        ("hub-1", one),
        ("hub-2", two),
        ("harbour", &keys.harbour_newest),
    ];
    let proposals = [
        (Parameter::BlockTimeUs, ParameterValue::Number(5_000_000)),
        (
            Parameter::Members,
            ParameterValue::Members(members.into_iter().map(member).collect()),
        ),
    ];
    let voters = [("hub-1", one, "hub-2", two), ("hub-2", two, "hub-1", one)];
    let vote = Operation::ConsensusVote;
    let mut proposed = Vec::new();
    for ((parameter, value), (proposer, key, ..)) in proposals.into_iter().zip(voters) {
        let propose = Payload::Propose(Propose {
            parameter,
            value,
            effective,
        });
        proposed.push(hub.say(proposer, vote, &propose, key)?);
    }
    hub.block(one)?;
    for (proposal, (proposer, _, approver, key)) in proposed.into_iter().zip(voters) {
        let approve = Payload::Approve(Approve {
            proposer: proposer.to_owned(),
            proposal,
        });
        hub.say(approver, vote, &approve, key)?;
    }
    let height = hub.block(one)?;
    println!(
        "height {height}: from {effective} on blocks come every 5 s, and harbour makes them in the place of hub-3"
    );
    let pace = |at| InForce::at(hub.0.spec(), Some(&hub.0.state()), at).block_time_us;
    ensure!(
        (pace(effective - 1), pace(effective)) == (0, 5_000_000),
        "in force too early or never"
    );
    hub.blocks_to(effective - 1, three)?;
    let late = consensus::producer(hub.0.spec(), &hub.0.state(), &three.public_key());
    let late = late.map_err(|fault| fault.reason);
    ensure!(late == Err(Reason::Producer), "hub-3 still may: {late:?}");
    let height = hub.block(&keys.harbour_newest)?;
    println!("height {height}: the first block by harbour");
    Ok(effective)
}

fn leave(hub: &Hub, keys: &Keys) -> anyhow::Result<()> {
    let leave = Payload::Leave(Leave);
    hub.say("ferry", Operation::FederationLeave, &leave, &keys.ferry)?;
    let height = hub.block(&keys.harbour_newest)?;
    println!("height {height}: ferry leaves, and gets back what it put up");
    let after = hub.message("ferry", &keys.ferry)?;
    ensure!(after == Err(Reason::Revoked), "it left for ever: {after:?}");
    Ok(())
}

fn check_keys(client: &Client, hub: &Hub, keys: &Keys) -> anyhow::Result<()> {
    let held = [
        (&keys.harbour, 2, 7),
        (&keys.harbour_new, 5, 8),
        (&keys.harbour_newest, 8, 0),
    ];
    for (number, (key, from, until)) in (0..).zip(held) {
        let tenure = client.tenure(hub, "harbour", number)?;
        let tenure = tenure.context("no such keys")?;
        ensure!((tenure.from, tenure.until) == (from, until), "{tenure:?}");
        ensure!(tenure.keys == single(key)?, "other keys: {tenure:?}");
        let end = match until {
            0 => "and no end is known".to_owned(),
            height => format!("and from {height} on no more"),
        };
        println!(
            "  {} spoke for harbour from {from} on, {end}",
            key.public_key()
        );
    }
    ensure!(client.tenure(hub, "harbour", 3)?.is_none(), "a fourth key");
    println!("  harbour never had other keys");
    let ferry = client.registration(hub, "ferry")?;
    let ferry = ferry.context("it never was")?;
    ensure!(ferry.standing == Standing::Left, "{ferry:?}");
    let balance = client.account(hub, "ferry")?.balance;
    ensure!(balance == 500, "not all that it had: {balance}");
    println!("  ferry left, and holds {balance}");
    ensure!(client.registration(hub, "pirate")?.is_none(), "a pirate");
    println!("  nobody is registered as pirate");
    Ok(())
}

fn check_changes(client: &Client, hub: &Hub, from: u64) -> anyhow::Result<()> {
    let pace = client.changed(hub, Parameter::BlockTimeUs, from)?;
    ensure!(pace == ParameterValue::Number(5_000_000), "{pace:?}");
    let ParameterValue::Members(members) = client.changed(hub, Parameter::Members, from)? else {
        bail!("the members are no list");
    };
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    ensure!(names == ["hub-1", "hub-2", "harbour"], "{names:?}");
    println!(
        "  from {from} on blocks come every 5 s, by {}",
        names.join(", ")
    );
    Ok(())
}

fn single(key: &KeyPair) -> anyhow::Result<KeySet> {
    Ok(KeySet::single(key.public_key())?)
}
