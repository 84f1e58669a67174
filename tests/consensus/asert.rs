//! The published vectors of aserti3-2d: 14,000 blocks of twelve chains (`tests/vectors/consensus/README.md`).

use std::fs;
use std::path::Path;

use hubledger::consensus::work::Target;
use hubledger::consensus::work::asert::{Anchor, Schedule, next_target};

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

#[test]
fn targets_are_those_of_the_published_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/consensus/asert");
    let blocks = (1..=12).map(|run| check(&folder.join(format!("run{run:02}"))));
    assert_eq!(blocks.sum::<usize>(), 14_000);
}
