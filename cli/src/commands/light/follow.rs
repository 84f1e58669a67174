//! `light follow`: somebody who trusts nobody but a specification, and perhaps one header.

use std::path::Path;

use anyhow::Context;
use hubledger::blockfile::BlockFileReader;
use hubledger::clock::{Clock, SystemClock};
use hubledger::consensus;
use hubledger::digest::BlockHash;
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::light::{LightClient, Step};
use hubledger::signature::Verifier;
use hubledger::spec::{Authority, ChainSpec};
use serde_json::{Map, Value, json};

use super::file::{Lines, Placed};
use crate::args::LightFollow;
use crate::commands::spec;
use crate::describe;
use crate::failure::{Failure, Result};
use crate::input::{self, Input, name_of};
use crate::output::Output;
use crate::recognise::{HEAD_BYTES, is_block_file};
use crate::transactions::in_file;

/// So many headers are followed at once: enough for large batches of signatures.
const BATCH: usize = 4096;
/// So many heights at which members changed are listed.
const CHANGES_LISTED_MAX: usize = 100;

pub(super) fn follow(args: &LightFollow, output: &Output) -> Result {
    let spec = read_spec(&args.spec)?;
    let name = name_of(&args.headers);
    let mut lines = Lines::new(Input::open(&args.headers)?);
    let mut walk = match args.trusted {
        None => Walk::begin(LightClient::new(spec), name),
        Some(hash) => begin_at(&hash, spec, &mut lines, name)?,
    };
    let followed = walk.follow_all(&mut lines, output);
    let mut report = walk.report();
    match followed? {
        None => {
            report.insert("verdict".to_owned(), "valid".into());
            output.print(&Value::Object(report));
            Ok(())
        }
        Some(rejected) => {
            // The verdict's height is that of the header that isn't right.
            let reached = report.remove("height").unwrap_or_default();
            report.insert("followed_to".to_owned(), reached);
            Err(Failure::Invalid(rejected, report))
        }
    }
}

/// A specification as TOML or encoded, or as it is at the beginning of a block file.
fn read_spec(path: &Path) -> Result<ChainSpec> {
    let mut head = [0; HEAD_BYTES];
    let is_file = path.as_os_str() != "-" && path.is_file();
    if is_file {
        use std::io::Read;
        let mut file = Input::open(path)?.take(HEAD_BYTES as u64);
        // A shorter file is no block file, which is all that this has to tell.
        let _ = file.read(&mut head).with_context(|| name_of(path))?;
    }
    if is_block_file(&head) {
        return Ok(BlockFileReader::open(path)?.spec().clone());
    }
    let bytes = input::read(path, spec::FILE_BYTES_MAX)?;
    let examined = spec::examine(&bytes).map_err(|fault| Failure::refused(in_file(path, fault)));
    let (found, contradictions) = examined?;
    match contradictions.into_iter().next() {
        None => Ok(found),
        Some(contradiction) => Err(contradiction.into()),
    }
}

/// Reads up to the header that is trusted, which has to be there.
fn begin_at(
    hash: &BlockHash,
    spec: ChainSpec,
    lines: &mut Lines<Input>,
    name: String,
) -> Result<Walk> {
    if spec.genesis().hash() == *hash {
        return Ok(Walk::begin(LightClient::new(spec), name));
    }
    while let Some(read) = lines.next().with_context(|| name.clone())? {
        let Placed { step, line } = read.map_err(|problem| {
            Failure::invalid(Rejected::block(
                0,
                Reason::Malformed,
                format!("{name}: {problem}"),
            ))
        })?;
        if step.header.hash() != *hash {
            continue;
        }
        let height = step.header.height;
        let members = members_after(&spec, &step).ok_or_else(|| {
            Failure::message(format!(
                "{name}: line {line}: the members after height {height} aren't there; \
                 `light headers --from {height}` writes them"
            ))
        })?;
        let client = LightClient::trusting(spec, step.header, members).map_err(|fault| {
            let detail = format!("{name}: line {line}: {}", fault.detail);
            Failure::invalid(Rejected::block(height, fault.reason, detail))
        })?;
        return Ok(Walk::begin(client, name));
    }
    Err(Failure::message(format!(
        "{name}: the trusted header {hash} is not among the headers"
    )))
}

/// The members of the height after a header: those that are said beside it, or else those that the specification lists.
fn members_after(spec: &ChainSpec, step: &Step) -> Option<Vec<Authority>> {
    let next = step.header.height.saturating_add(1);
    let own = spec.at(next);
    let lists = !consensus::changes_members(spec, next) || own.first_height() == next;
    let listed = lists.then(|| own.composition().members.clone());
    step.members.clone().or(listed)
}

/// A client on its way, and what it has to tell.
struct Walk {
    client: LightClient,
    name: String,
    from: u64,
    followed: u64,
    skipped: u64,
    /// Those that were said last.
    members: Vec<Authority>,
    /// From which heights on others were members.
    changes: Vec<u64>,
    changes_unlisted: u64,
}

impl Walk {
    fn begin(client: LightClient, name: String) -> Self {
        Self {
            from: client.header().height,
            members: client.members().to_vec(),
            client,
            name,
            followed: 0,
            skipped: 0,
            changes: Vec::new(),
            changes_unlisted: 0,
        }
    }

    /// Follows to the end, or to the first header that isn't right, which it gives.
    fn follow_all(
        &mut self,
        lines: &mut Lines<Input>,
        output: &Output,
    ) -> Result<Option<Rejected>> {
        output.stop().in_order();
        let mut batch: Vec<Placed> = Vec::new();
        loop {
            if output.stop().is_asked() {
                let detail = "nothing is kept; start it again";
                return Err(output.stop().failure(detail, self.report()));
            }
            let end = batch.last().map_or_else(
                || self.client.header().height,
                |read| read.step.header.height,
            );
            let read = lines.next().with_context(|| self.name.clone())?;
            // What comes behind more headers than one batch, behind a gap, or at the end, is looked at when the others have been.
            let is_next = |read: &Placed| read.step.header.height == end.saturating_add(1);
            let goes_on = matches!(&read, Some(Ok(read)) if is_next(read)) && batch.len() < BATCH;
            if !goes_on && let Some(rejected) = self.take(&std::mem::take(&mut batch)) {
                return Ok(Some(rejected));
            }
            match read {
                None => return Ok(None),
                Some(Err(problem)) => {
                    let height = end.saturating_add(1);
                    let detail = format!("{}: {problem}", self.name);
                    return Ok(Some(Rejected::block(height, Reason::Malformed, detail)));
                }
                Some(Ok(read)) if read.step.header.height > end.saturating_add(1) => {
                    if let Some(rejected) = self.skip_to(read, lines)? {
                        return Ok(Some(rejected));
                    }
                }
                Some(Ok(read)) => batch.push(read),
            }
        }
    }

    fn take(&mut self, batch: &[Placed]) -> Option<Rejected> {
        let steps: Vec<Step> = batch.iter().map(|read| read.step.clone()).collect();
        let before = self.client.header().height;
        let (now_us, verifier) = (SystemClock.now_us(), Verifier::default());
        let followed = self.client.follow(&steps, now_us, &verifier);
        // Those before a faulty one are taken.
        let taken = self.client.header().height.saturating_sub(before);
        self.followed = self.followed.saturating_add(taken);
        let taken = usize::try_from(taken).unwrap_or(steps.len());
        for step in steps.iter().take(taken) {
            self.note_change(step);
        }
        let faulty = batch.get(taken);
        followed.err().map(|rejected| self.at(faulty, rejected))
    }

    fn note_change(&mut self, step: &Step) {
        let Some(members) = step.members.as_ref().filter(|said| **said != self.members) else {
            return;
        };
        self.members.clone_from(members);
        match self.changes.len() < CHANGES_LISTED_MAX {
            true => self.changes.push(step.header.height.saturating_add(1)),
            false => self.changes_unlisted += 1,
        }
    }

    /// Goes to a header further on, by the one right before it and its own certificate.
    fn skip_to(&mut self, before: Placed, lines: &mut Lines<Input>) -> Result<Option<Rejected>> {
        let height = before.step.header.height;
        let Some(members) = members_after(self.client.spec(), &before.step) else {
            let detail = format!("height {height} is not the next, and its line says no members");
            let rejected = Rejected::block(height, Reason::Height, detail);
            return Ok(Some(self.at(Some(&before), rejected)));
        };
        let read = lines.next().with_context(|| self.name.clone())?;
        let after = match read {
            Some(Ok(after)) => after,
            Some(Err(problem)) => {
                let detail = format!("{}: {problem}", self.name);
                let height = height.saturating_add(1);
                return Ok(Some(Rejected::block(height, Reason::Malformed, detail)));
            }
            None => {
                let last = self.client.header().height;
                let detail = format!("headers from {} on are missing", last.saturating_add(1));
                let rejected = Rejected::block(height, Reason::Height, detail);
                return Ok(Some(self.at(Some(&before), rejected)));
            }
        };
        let (now_us, verifier) = (SystemClock.now_us(), Verifier::default());
        let last = self.client.header().height;
        let header = &before.step.header;
        let skipped = self
            .client
            .skip(header, &members, &after.step, now_us, &verifier);
        if let Err(rejected) = skipped {
            return Ok(Some(self.at(Some(&after), rejected)));
        }
        self.skipped = self.skipped.saturating_add(height - last - 1);
        // Of the header before, all that is known is what its members' certificate says of the one after.
        self.followed = self.followed.saturating_add(2);
        self.note_change(&before.step);
        self.note_change(&after.step);
        Ok(None)
    }

    /// A verdict with the place where the header is.
    fn at(&self, read: Option<&Placed>, mut rejected: Rejected) -> Rejected {
        let name = &self.name;
        let detail = &rejected.detail;
        rejected.detail = match read {
            Some(read) => format!("{name}: line {}: {detail}", read.line),
            None => format!("{name}: {detail}"),
        };
        rejected
    }

    fn report(&self) -> Map<String, Value> {
        let (client, header) = (&self.client, self.client.header());
        let total: u64 = client.members().iter().map(|member| member.weight).sum();
        let mut report = json!({
            "chain": header.chain,
            "from": self.from,
            "height": header.height,
            "head": header.hash(),
            "timestamp": header.timestamp,
            "final": client.final_height(),
            "followed": self.followed,
            "skipped": self.skipped,
            "members_changed_at": self.changes,
            "members": describe::members(client.members()),
            "members_weight": total,
        });
        if let Some(weight) = header.chain_weight() {
            // Beyond what many readers of JSON take as a number.
            report["weight"] = weight.to_string().into();
        }
        if self.changes_unlisted > 0 {
            report["members_changed_unlisted"] = self.changes_unlisted.into();
        }
        match report {
            Value::Object(report) => report,
            _ => Map::new(),
        }
    }
}
