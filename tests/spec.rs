//! Chain specifications: look-ups, and reading from whatever a path may lead to.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use hubledger::signature::PublicKey;
use hubledger::spec::{Authority, ChainSpec, Consensus, InitialAccount, ProofOfAuthority};

/// A key that nobody holds.
fn key(number: usize) -> PublicKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    PublicKey::from_bytes(bytes)
}

/// A specification with this many authorities and as many accounts, whose names differ at their ends only.
fn crowded(count: usize) -> ChainSpec {
    let mut fields = common::spec_fields(0);
    let name = |role: &str, number: usize| format!("{}{role}{number:06}", "x".repeat(40));
    let authorities = (0..count).rev().map(|number| Authority {
        name: name("a", number),
        key: key(number),
    });
    fields.consensus = Consensus::ProofOfAuthority(ProofOfAuthority {
        authorities: authorities.collect(),
        round_robin: false,
    });
    for number in 0..count {
        let account = InitialAccount {
            key: Some(key(number)),
            balance: 0,
        };
        fields.accounts.insert(name("b", number), account);
    }
    ChainSpec::new(fields).unwrap()
}

#[test]
fn every_authority_is_found_at_its_place_and_nobody_else_is() {
    for count in [1, 2, 3, 100] {
        let spec = crowded(count);
        for (place, authority) in spec.authorities().iter().enumerate() {
            assert_eq!(spec.authority(&authority.name), Some((place, authority)));
        }
        for name in ["", "a", "x", "y"] {
            assert_eq!(spec.authority(name), None);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_crowded_specification_is_checked_in_a_time_that_grows_with_its_length() {
    // Eight times as many take some eight times as long, and sixty-four times if each were compared with each.
    let (few, many) = (work(10_000), work(80_000));
    assert!(many < 24 * few, "{few:?} for 10,000, {many:?} for 80,000");
}

/// What checking a crowded specification costs: of this thread's own time, which others don't add to, the least of some.
#[cfg(target_os = "linux")]
fn work(count: usize) -> std::time::Duration {
    use rustix::time::{ClockId, clock_gettime};
    let spec = crowded(count);
    let once = |_| {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        assert_eq!(ChainSpec::decode(spec.bytes()).unwrap(), spec);
        let spent = clock_gettime(ClockId::ThreadCPUTime) - before;
        std::time::Duration::try_from(spent).unwrap()
    };
    (0..5).map(once).min().unwrap()
}

#[cfg(unix)]
#[test]
fn a_specification_that_never_ends_is_refused() {
    let error = ChainSpec::read_toml("/dev/zero".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "/dev/zero: above 32 MiB");
}

#[test]
fn what_is_wrong_with_a_specification_file_is_said_in_one_line_with_its_place() {
    let text = common::spec_fields(1);
    let text = ChainSpec::new(text).unwrap().to_toml();
    for (from, to, place) in [
        ("name =", "nome =", "line 1, column 1: unknown field `nome`"),
        ("name = ", "name ", "line 1, column 6: "),
        (
            "round_robin = false",
            "round_robin = 2",
            "line 4, column 1: invalid type",
        ),
        (
            "\nidentity = ",
            "\n\"ß\" = 1\nidentity = ",
            "unknown field `ß`",
        ),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        let error = ChainSpec::from_toml(&text.replacen(from, to, 1)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(place), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
