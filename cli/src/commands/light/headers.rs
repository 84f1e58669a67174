//! `light headers`: what light clients need of a chain.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};

use anyhow::Context;
use hubledger::clock::{Clock, SystemClock};
use hubledger::consensus;
use hubledger::ledger::ChainReader;
use hubledger::rules::light::{LightClient, Step};
use hubledger::signature::Verifier;
use hubledger::spec::{Authority, ChainSpec, SealRule};
use hubledger::state::State;
use serde_json::json;

use super::file::line;
use crate::args::LightHeaders;
use crate::failure::{Failure, Result};
use crate::input::name_of;
use crate::output::Output;

pub(super) fn headers(args: &LightHeaders, output: &Output) -> Result {
    let chain = Chain::open(args)?;
    output.stop().in_order();
    let written = match args.out.as_os_str() == "-" {
        true => {
            output.divert();
            write(&chain, args, io::stdout().lock(), output)?
        }
        false => {
            let file = File::create_new(&args.out).with_context(|| name_of(&args.out))?;
            let written = write(&chain, args, file, output);
            if written.is_err() {
                // Nobody is to take a part for the whole. If it can't be removed, what failed before is what to tell.
                let _ = fs::remove_file(&args.out);
            }
            written?
        }
    };
    let all = chain.last - chain.first + 1;
    output.print(&json!({
        "out": args.out.display().to_string(),
        "chain": chain.spec().id(),
        "from": chain.first,
        "to": chain.last,
        "headers": written,
        "left_out": all - written,
    }));
    Ok(())
}

/// Writes the lines; how many.
fn write(chain: &Chain, args: &LightHeaders, out: impl Write, output: &Output) -> Result<u64> {
    let place = || name_of(&args.out);
    let mut out = BufWriter::new(out);
    let mut written = 0u64;
    let mut write = |step: &Step| -> Result {
        let text = line(step).map_err(anyhow::Error::from)?;
        out.write_all(text.as_bytes()).with_context(place)?;
        written += 1;
        Ok(())
    };
    match args.sparse {
        true => chain.write_sparse(output, &mut write)?,
        false => chain.write_all(output, &mut write)?,
    }
    out.flush().with_context(place)?;
    Ok(written)
}

/// The part of a chain that is asked for.
struct Chain {
    reader: ChainReader,
    state: State,
    first: u64,
    last: u64,
}

impl Chain {
    fn open(args: &LightHeaders) -> Result<Self> {
        let reader = ChainReader::open(args.store.open_read_only()?)?;
        let state = reader.state()?;
        let head = state.height();
        let last = args.to.unwrap_or(head);
        if args.from > last || last > head {
            let (first, store) = (args.from, &args.store);
            let problem = format!("{store}: no headers from {first} to {last}: the last is {head}");
            return Err(Failure::message(problem));
        }
        let spec = reader.spec().at(last);
        if args.sparse && !matches!(spec.composition().seal, SealRule::Quorum(_)) {
            let name = spec.composition().name.word();
            let problem = format!("--sparse: {name}: no certificates seal, so every header counts");
            return Err(Failure::message(problem));
        }
        Ok(Self {
            reader,
            state,
            first: args.from,
            last,
        })
    }

    fn spec(&self) -> &ChainSpec {
        self.reader.spec()
    }

    fn members(&self, height: u64) -> Vec<Authority> {
        consensus::members(self.spec(), &self.state, height).into_owned()
    }

    /// A header, with the members of the next height where the chain changes them: always if a client may begin here, else if they aren't
    /// those of this one.
    fn step(&self, height: u64, may_begin: bool) -> Result<Step> {
        let found = self.reader.sealed_header(height)?;
        let (header, seal) = found.ok_or_else(|| {
            Failure::message(format!("the store has no block at height {height}"))
        })?;
        let next = height.saturating_add(1);
        let spec = self.spec();
        // A specification that takes over says itself who its members are.
        let changes =
            consensus::changes_members(spec, next) && spec.at(next).first_height() != next;
        let members = changes.then(|| self.members(next));
        self.state.refuse_failed().map_err(anyhow::Error::from)?;
        Ok(Step {
            header,
            seal,
            members: members.filter(|members| may_begin || *members != self.members(height)),
        })
    }

    fn write_all(&self, output: &Output, write: &mut impl FnMut(&Step) -> Result) -> Result {
        for height in self.first..=self.last {
            refuse_if_stopped(output)?;
            write(&self.step(height, height == self.first)?)?;
        }
        Ok(())
    }

    /// Goes as far as certificates allow: from where it is to the last header, or half the way, and so on. What a client does with these
    /// headers is done here, so that no client gets stuck.
    fn write_sparse(&self, output: &Output, write: &mut impl FnMut(&Step) -> Result) -> Result {
        let first = self.step(self.first, true)?;
        let mut client = match self.first {
            1 => {
                let mut client = LightClient::new(self.spec().clone());
                follow(&mut client, &first)?;
                client
            }
            height => {
                let members = self.members(height.saturating_add(1));
                let client =
                    LightClient::trusting(self.spec().clone(), first.header.clone(), members);
                client.map_err(Failure::refused)?
            }
        };
        write(&first)?;
        let verifier = Verifier::default();
        let now_us = SystemClock.now_us();
        while client.header().height < self.last {
            let (at, mut target) = (client.header().height, self.last);
            loop {
                refuse_if_stopped(output)?;
                if target <= at.saturating_add(2) {
                    let next = self.step(at.saturating_add(1), false)?;
                    follow(&mut client, &next)?;
                    write(&next)?;
                    break;
                }
                let before = self.step(target - 1, true)?;
                let step = self.step(target, false)?;
                let members = self.members(target);
                let skipped = client.skip(&before.header, &members, &step, now_us, &verifier);
                if skipped.is_ok() {
                    write(&before)?;
                    write(&step)?;
                    break;
                }
                target = at + (target - at) / 2;
            }
        }
        Ok(())
    }
}

fn follow(client: &mut LightClient, step: &Step) -> Result {
    let verifier = Verifier::default();
    let followed = client.follow(std::slice::from_ref(step), SystemClock.now_us(), &verifier);
    followed.map_err(Failure::invalid)
}

fn refuse_if_stopped(output: &Output) -> Result {
    match output.stop().is_asked() {
        true => {
            let detail = "the headers are not whole; start it again";
            Err(output.stop().failure(detail, serde_json::Map::new()))
        }
        false => Ok(()),
    }
}
