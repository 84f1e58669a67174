//! The published vectors of aserti3-2d: 14,000 blocks of twelve chains (`tests/vectors/consensus/README.md`); and all rules for
//! difficulties against models of them, with random numbers.

use std::fs;
use std::path::Path;

use hubledger::consensus::work::Target;
use hubledger::consensus::work::asert::{Anchor, Schedule, next_target};
use proptest::prelude::*;

use crate::difficulty;

/// Of all vectors: ten minutes a block, two days, and 2²²⁴ − 1; in seconds.
fn schedule() -> Schedule {
    let mut limit = [0xff; 32];
    limit[..4].fill(0);
    Schedule {
        spacing: 600,
        half_life: 172_800,
        limit: Target::from_be_bytes(&limit),
    }
}

/// The number after `name: ` in a line of the head.
fn stated<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.trim_start_matches('#').trim_start();
        rest.strip_prefix(name)?.strip_prefix(": ").map(str::trim)
    })
}

fn compact(text: &str) -> u32 {
    u32::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

/// Checks every block of a file, and says how many there were.
fn check(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    // The last two files call it otherwise.
    let time =
        stated(&text, "anchor ancestor time").or_else(|| stated(&text, "anchor parent time"));
    let bits = compact(stated(&text, "anchor nBits").unwrap());
    let anchor = Anchor {
        height: stated(&text, "anchor height").unwrap().parse().unwrap(),
        parent_time: time.unwrap().parse().unwrap(),
        target: Target::from_compact(bits).unwrap(),
    };
    let mut blocks = 0;
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, height, time, bits] = fields[..] else {
            panic!("{}: {line:?}", path.display())
        };
        let (height, time) = (height.parse().unwrap(), time.parse().unwrap());
        let found = next_target(&schedule(), &anchor, height, time).to_compact();
        assert_eq!(found, compact(bits), "{}: {line}", path.display());
        blocks += 1;
    }
    let iterations: usize = stated(&text, "iterations").unwrap().parse().unwrap();
    assert_eq!(blocks, iterations, "{}", path.display());
    blocks
}

/// Numbers of every length, near powers of two and near each other.
fn numbers() -> impl Strategy<Value = Vec<u8>> {
    let number = (any::<u64>(), 0..64_u32, 0..4_u8).prop_map(|(number, shift, kind)| match kind {
        0 => number >> shift,
        1 => (1_u64 << shift).wrapping_sub(number % 3),
        2 => (1 << 50) + number % 10_000_000_000,
        _ => number % 1_000,
    });
    let target = (any::<[u8; 32]>(), 0..32_usize).prop_map(|(mut bytes, zeros)| {
        bytes[..zeros].fill(0);
        bytes
    });
    (
        prop::collection::vec(number, 7),
        prop::collection::vec(target, 3),
    )
        .prop_map(|(numbers, targets)| {
            let numbers = numbers.into_iter().flat_map(u64::to_le_bytes);
            numbers.chain(targets.into_iter().flatten()).collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn difficulties_are_those_of_the_models(input in numbers()) {
        prop_assert_eq!(input.len(), difficulty::INPUT);
        difficulty::check(&input);
    }
}

#[test]
fn targets_are_those_of_the_published_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/consensus/asert");
    let blocks = (1..=12).map(|run| check(&folder.join(format!("run{run:02}"))));
    assert_eq!(blocks.sum::<usize>(), 14_000);
}
