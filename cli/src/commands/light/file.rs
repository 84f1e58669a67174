//! Headers as text, one a line (`FORMAT.md`, "Headers for light clients"). Nothing in them is trusted.

use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use hubledger::model::{HEADER_BYTES_MAX, Header, SEAL_BYTES_MAX, Seal};
use hubledger::rules::light::Step;
use hubledger::spec::Authority;
use serde::{Deserialize, Serialize};

use crate::transactions::fault_of;

/// The most members that a line can list.
const MEMBERS_MAX: usize = 1_000;

/// The longest line: header and seal in digits, and members, each with a name of at most 255 bytes, perhaps escaped, a key and a weight.
const LINE_BYTES_MAX: u64 =
    2 * (HEADER_BYTES_MAX + SEAL_BYTES_MAX) as u64 + MEMBERS_MAX as u64 * 2_048 + 1_024;

/// A line as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    header: String,
    seal: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    members: Option<Vec<Authority>>,
}

/// The line of a header.
pub(super) fn line(step: &Step) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(&Line {
        header: hex::encode(step.header.bytes()),
        seal: hex::encode(step.seal.encode()),
        members: step.members.clone(),
    })?;
    text.push('\n');
    Ok(text)
}

/// Reads lines, none of which is longer than it can be.
pub(in crate::commands) struct Lines<R> {
    input: BufReader<R>,
    number: u64,
}

/// A header with the number of its line, from 1 on.
pub(in crate::commands) struct Placed {
    pub(in crate::commands) step: Step,
    pub(in crate::commands) line: u64,
}

impl<R: Read> Lines<R> {
    pub(in crate::commands) fn new(input: R) -> Self {
        Self {
            input: BufReader::new(input),
            number: 0,
        }
    }

    /// The next header; nothing at the end. The inner error says in which line something isn't as it should be.
    pub(in crate::commands) fn next(&mut self) -> std::io::Result<Option<Result<Placed, String>>> {
        let mut bytes = Vec::new();
        let mut line = self.input.by_ref().take(LINE_BYTES_MAX + 1);
        if line.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if bytes.len() as u64 > LINE_BYTES_MAX {
            let problem = format!("line {number}: longer than {LINE_BYTES_MAX} bytes");
            return Ok(Some(Err(problem)));
        }
        let read = decode(&bytes).map(|step| Placed { step, line: number });
        Ok(Some(
            read.map_err(|problem| format!("line {number}: {problem}")),
        ))
    }
}

fn decode(bytes: &[u8]) -> Result<Step, String> {
    let line: Line = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let digits =
        |field: &str, text: &str| hex::decode(text).map_err(|error| format!("{field}: {error}"));
    let header = Header::decode(Bytes::from(digits("header", &line.header)?));
    let header = header.map_err(|error| format!("header: {}", fault_of(&error).detail))?;
    let seal = Seal::decode(&digits("seal", &line.seal)?);
    let seal = seal.map_err(|error| format!("seal: {}", fault_of(&error).detail))?;
    if line
        .members
        .as_ref()
        .is_some_and(|all| all.len() > MEMBERS_MAX)
    {
        return Err(format!("members: more than {MEMBERS_MAX}"));
    }
    Ok(Step {
        header,
        seal,
        members: line.members,
    })
}

#[cfg(test)]
mod tests {
    use hubledger::generate::{Generator, Recipe};

    use super::*;

    fn step() -> anyhow::Result<Step> {
        let mut generator = Generator::new(Recipe {
            transactions: 1,
            ..Recipe::default()
        })?;
        let members = generator.spec().composition().members.clone();
        let block = generator.next_block()?;
        let block = block.ok_or_else(|| anyhow::anyhow!("no block"))?;
        Ok(Step {
            header: block.header().clone(),
            seal: block.seal().clone(),
            members: Some(members),
        })
    }

    #[test]
    fn a_line_reads_back_as_the_header_that_it_was_written_for() -> anyhow::Result<()> {
        let step = step()?;
        let text = line(&step)?.repeat(2);
        let mut lines = Lines::new(text.as_bytes());
        for number in 1..=2 {
            let read = lines.next()?.and_then(Result::ok);
            let read = read.ok_or_else(|| anyhow::anyhow!("line {number}"))?;
            assert_eq!(read.line, number);
            assert_eq!(read.step.header.hash(), step.header.hash());
            assert_eq!(read.step.seal, step.seal);
            assert_eq!(read.step.members, step.members);
        }
        assert!(lines.next()?.is_none());
        Ok(())
    }

    #[test]
    fn a_line_that_was_cut_or_goes_on_is_refused_by_its_number() -> anyhow::Result<()> {
        let whole = line(&step()?)?;
        for end in 1..whole.len() - 1 {
            let Some(Err(problem)) = Lines::new(&whole.as_bytes()[..end]).next()? else {
                anyhow::bail!("{end} bytes were read");
            };
            assert!(problem.starts_with("line 1: "), "{problem}");
        }
        let long = "x".repeat(usize::try_from(LINE_BYTES_MAX)? + 1);
        for text in [
            whole.trim_end().repeat(2),
            whole.replace("seal", "soul"),
            long,
        ] {
            let read = Lines::new(text.as_bytes()).next()?;
            assert!(matches!(read, Some(Err(_))), "{}", &text[..80]);
        }
        Ok(())
    }
}
