//! Nonces tried by a search that finds none, in this thread, against a loop that calls the compression function of the crate sha2 once for each
//! nonce, on the same block, and does nothing else.

use std::hint::black_box;

use anyhow::{Result, bail, ensure};
use hubledger::consensus::work::{Outcome, Path, Search, Target, Template};
use hubledger::digest::{BlockHash, ChainId, Digest};
use hubledger::format::FormatVersion;
use hubledger::model::{Header, HeaderFields, VectorClock};
use sha2::block_api::compress256;

use crate::clock::{Clock, Times};
use crate::ratio::Evidence;
use crate::turns::{Contestant, Effort, race};

/// Nonces of a pass: some hundredths of a second.
const NONCES: u64 = 1 << 18;

/// One hash after the other.
pub(super) fn one_by_one(seconds: f64) -> Result<Evidence> {
    against_bare(Path::Portable, seconds)
}

/// The fastest path, where it has lanes.
pub(super) fn in_lanes(seconds: f64) -> Result<Evidence> {
    match Path::fastest() {
        path @ (Path::Avx2 | Path::Avx512) => against_bare(path, seconds),
        path @ (Path::Portable | Path::Pairs) => Ok(Evidence::Missing(format!(
            "this processor mines by the path {path}, which has no lanes"
        ))),
    }
}

fn against_bare(path: Path, seconds: f64) -> Result<Evidence> {
    let template = template()?;
    let effort = Effort {
        seconds,
        rounds_min: 5,
        rounds_max: 60,
        warm_up_items: 0,
    };
    let [first, second] = race([mining(path, &template), bare()], effort)?;
    Ok(Evidence::turns(NONCES as usize, first, second))
}

/// A search through a pass of nonces for a hash that there is none of.
fn mining(path: Path, template: &Template) -> Contestant<'_> {
    let search = Search {
        nonces: 0..=NONCES - 1,
        threads: 1,
        path,
        ..Search::new(Target::ONE)
    };
    let name = format!("mining, {path}");
    Contestant::new(name, Clock::Thread, NONCES as usize, move || {
        let (outcome, times) = Times::of(|| search.run(template, || false));
        ensure!(outcome == Outcome::Exhausted, "found what can't be there");
        Ok(times)
    })
}

/// The compression function alone.
fn bare() -> Contestant<'static> {
    Contestant::new("bare SHA-256", Clock::Thread, NONCES as usize, || {
        let midstate = black_box([7_u32; 8]);
        let mut block = black_box([0x5a_u8; 64]);
        let ((), times) = Times::of(|| {
            for nonce in 0..NONCES {
                block[16..24].copy_from_slice(&nonce.to_le_bytes());
                let mut state = midstate;
                compress256(&mut state, &[block]);
                black_box(state[0]);
            }
        });
        Ok(times)
    })
}

/// A header of which each nonce costs one compression, as the bare loop has it: some names are too long or too short for that.
fn template() -> Result<Template> {
    for name in 1..=64 {
        let template = Template::of(&header("x".repeat(name))?);
        if template.compressions() == 1 {
            return Ok(template);
        }
    }
    bail!("every nonce costs more than one compression")
}

fn header(producer: String) -> Result<Header> {
    Ok(Header::new(HeaderFields {
        version: FormatVersion::V2,
        chain: ChainId([1; 32]),
        height: 7,
        previous_hash: BlockHash([2; 32]),
        merkle_root: Digest([3; 32]),
        history_root: Digest([4; 32]),
        state_root: Digest([5; 32]),
        members_root: Digest([6; 32]),
        weight: 8,
        transactions: 9,
        transaction_count: 0,
        body_size: 0,
        vector_clock: VectorClock::default(),
        timestamp: 10,
        producer,
        difficulty: 11,
        nonce: 0,
    })?)
}
