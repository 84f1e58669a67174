//! Chain specifications: look-ups, and reading from whatever a path may lead to.

use crate::common;
use hubledger::digest::{ChainId, Digest};
use hubledger::model::{Draft, Transaction};
use hubledger::rejection::Reason;
use hubledger::rules::check_by_specification;
use hubledger::signature::PublicKey;
use hubledger::spec::{
    Authority, ChainSpec, Consensus, Identity, Import, InitialAccount, ProofOfAuthority, SpecFields,
};

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
        weight: 1,
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
        assert_eq!(spec.consensus.bound().count(), count);
        let Consensus::ProofOfAuthority(consensus) = &spec.consensus else {
            unreachable!("the only consensus");
        };
        for (place, authority) in consensus.authorities.iter().enumerate() {
            assert_eq!(spec.bound_index(&authority.name), Some(place));
            let found = spec.consensus.bound().nth(place);
            assert_eq!(found, Some((authority.name.as_str(), authority.key)));
        }
        for name in ["", "a", "x", "y"] {
            assert_eq!(spec.bound_index(name), None);
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
    let device = ChainSpec::read_toml("/dev/zero".as_ref()).unwrap_err();
    assert_eq!(
        device.to_string(),
        "/dev/zero: it is a device, not a regular file"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len((32 << 20) + 1).unwrap();
    let long = ChainSpec::read_toml(file.path()).unwrap_err();
    assert!(long.to_string().ends_with(": above 32 MiB"), "{long}");
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
            "line 6, column 15: consensus.round_robin: invalid type",
        ),
        (
            "key = \"",
            "key = \"x",
            "line 10, column 7: consensus.authorities.key: expected 64",
        ),
        (
            "payload_bytes_max = 65536",
            "payload_bytes_max = 5_000_000_000",
            "limits.payload_bytes_max: invalid value: integer `5000000000`",
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

#[test]
fn a_value_beyond_its_limit_is_named_with_its_unit_and_its_line() {
    let text = ChainSpec::new(common::spec_fields(2)).unwrap().to_toml();
    let line = |part: &str, text: &str| 1 + text[..text.find(part).unwrap()].matches('\n').count();
    for (from, to, field, problem) in [
        (
            "payload_bytes_max = 65536",
            "payload_bytes_max = 0",
            "limits.payload_bytes_max",
            "0 bytes is not between 1 and 16777216 bytes",
        ),
        (
            "body_bytes_max = 16777216",
            "body_bytes_max = 268435457",
            "limits.body_bytes_max",
            "268435457 bytes is not between 1 and 268435456 bytes",
        ),
        (
            "witnesses_min = 1",
            "witnesses_min = 9",
            "rules.witnesses_min",
            "9 witnesses are demanded",
        ),
        (
            "name = \"hub-1\"",
            "name = \"hub-0\" # again",
            "consensus.authorities",
            "\"hub-0\" is listed twice",
        ),
        (
            "[rules]",
            "[accounts]\nfirst.balance = 0\nsecond.balance = 7\n[rules]",
            "accounts",
            "\"second\" holds a balance of 7 but names no key",
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        let error = ChainSpec::from_toml(&changed).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        let written = to.lines().nth(2).unwrap_or(to);
        let place = format!("line {}, column ", line(written, &changed));
        assert!(error.problem.starts_with(&place), "{error}");
        assert!(error.problem.contains(problem), "{error}");
    }
}

/// What is to be found in a specification of two hubs after `change`; it is a specification all the same.
#[track_caller]
fn contradiction(change: impl FnOnce(&mut SpecFields)) -> Option<(&'static str, String)> {
    let mut fields = common::spec_fields(2);
    change(&mut fields);
    let spec = ChainSpec::new(fields).expect("within the limits of the format");
    assert_eq!(ChainSpec::decode(spec.bytes()).unwrap(), spec);
    let mut found = spec.contradictions();
    let again = ChainSpec::from_toml(&spec.to_toml());
    assert!(found.len() <= 1, "{found:?}");
    match found.pop() {
        Some(found) => {
            let refused = again.expect_err("a contradiction as text");
            assert_eq!(refused.field, found.field);
            let told = refused.problem.ends_with(&found.problem);
            assert!(told && refused.problem.starts_with("line "), "{refused}");
            Some((found.field, found.problem))
        }
        None => {
            assert_eq!(again.unwrap(), spec);
            None
        }
    }
}

fn authorities(fields: &mut SpecFields) -> &mut Vec<Authority> {
    let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
        unreachable!("the only consensus");
    };
    &mut consensus.authorities
}

#[test]
fn a_body_has_to_hold_every_transaction_within_the_other_limits() {
    let found = contradiction(|fields| fields.limits.payload_bytes_max = 16 << 20);
    let (field, problem) = found.unwrap();
    assert_eq!(field, "limits.body_bytes_max");
    assert!(problem.starts_with("16777216 bytes, "), "{problem}");
    assert!(problem.contains("can take 16777951 bytes"), "{problem}");
    let body = |body_bytes_max| {
        contradiction(|fields| {
            fields.limits.payload_bytes_max = 1000;
            fields.limits.name_bytes_max = 20;
            fields.limits.witnesses_max = 2;
            fields.limits.body_bytes_max = body_bytes_max;
        })
    };
    // 37 of frame, kind and chain; 48 of names; 9 of operation and amount; 1,004, 32 and 1; and two witnesses of 97.
    assert_eq!(body(1325), None);
    assert!(body(1324).is_some());
    assert!(body(1).is_some());
}

#[test]
fn a_clock_has_to_hold_every_authority() {
    assert_eq!(
        contradiction(|fields| fields.limits.clock_entries_max = 2),
        None
    );
    let found = contradiction(|fields| fields.limits.clock_entries_max = 1);
    let (field, problem) = found.unwrap();
    assert_eq!(field, "limits.clock_entries_max");
    assert!(
        problem.starts_with("1 entries, but there are 2 authorities"),
        "{problem}"
    );
}

#[test]
fn authorities_and_accounts_need_keys_that_can_sign() {
    let bad = |hexadecimal: &str| hexadecimal.parse::<PublicKey>().unwrap();
    let keys = [
        // The identity; p + 1, which stands for the same; y = 2, which no point has.
        (format!("01{}", "00".repeat(31)), "small order"),
        (format!("ee{}7f", "ff".repeat(30)), "canonical"),
        (format!("02{}", "00".repeat(31)), "not a point on the curve"),
    ];
    for (key, reason) in keys {
        let found = contradiction(|fields| authorities(fields)[1].key = bad(&key));
        let (field, problem) = found.unwrap();
        assert_eq!(field, "consensus.authorities");
        assert!(problem.contains("\"hub-1\" could never seal"), "{problem}");
        assert!(
            problem.contains(&key) && problem.contains(reason),
            "{problem}"
        );
        let found = contradiction(|fields| {
            let account = InitialAccount {
                key: Some(bad(&key)),
                balance: 0,
            };
            fields.accounts.insert("treasury".to_owned(), account);
        });
        let (field, problem) = found.unwrap();
        assert_eq!(field, "accounts");
        assert!(
            problem.contains("\"treasury\" could never sign"),
            "{problem}"
        );
    }
    let all = crowded(300).contradictions();
    let kinds: Vec<_> = all.iter().map(|found| found.field).collect();
    assert_eq!(
        kinds,
        ["consensus.authorities", "accounts"],
        "one line for each kind"
    );
    assert!(all[0].problem.contains(" others)"), "{}", all[0]);
}

#[test]
fn a_chain_begins_before_the_year_10000_and_stays_there() {
    const END: u64 = hubledger::clock::TIME_US_MAX;
    let genesis = |time, drift| {
        contradiction(|fields| {
            fields.genesis_time = time;
            fields.rules.clock_drift_max_us = drift;
        })
    };
    assert_eq!(genesis(0, END), None);
    assert_eq!(genesis(END, 0), None);
    let nanoseconds = genesis(common::GENESIS_TIME * 1000, 0).unwrap();
    assert_eq!(nanoseconds.0, "genesis_time");
    assert!(
        nanoseconds.1.starts_with("1700000000000000000 µs"),
        "{}",
        nanoseconds.1
    );
    assert_eq!(genesis(END + 1, 0).unwrap().0, "genesis_time");
    assert_eq!(genesis(1, END).unwrap().0, "rules.clock_drift_max_us");
}

#[test]
fn nobody_is_asked_for_witnesses_or_fees_that_nobody_can_have() {
    let witnesses = |identity, least, named| {
        contradiction(|fields| {
            fields.rules.identity = identity;
            fields.rules.witnesses_min = least;
            fields
                .accounts
                .extend([common::account("named", 0)].into_iter().filter(|_| named));
        })
    };
    assert_eq!(witnesses(Identity::Key, 1, true), None);
    assert_eq!(witnesses(Identity::Open, 2, true), None);
    assert_eq!(witnesses(Identity::Pinned, 2, false), None);
    for found in [
        witnesses(Identity::Key, 2, false),
        witnesses(Identity::Pinned, 2, true),
    ] {
        assert_eq!(found.unwrap().0, "rules.witnesses_min");
    }
    let fee = |fee_min, balances| {
        contradiction(|fields| {
            fields.rules.fee_min = fee_min;
            fields.rules.balances = balances;
            let balance = u64::from(balances) * 5;
            fields.accounts.extend([common::account("rich", balance)]);
        })
    };
    assert_eq!(fee(5, true), None);
    assert_eq!(fee(6, false), None);
    assert_eq!(fee(6, true).unwrap().0, "rules.fee_min");
}

#[test]
fn all_contradictions_of_a_text_are_told_at_once_with_their_lines() {
    let mut fields = common::spec_fields(2);
    fields.limits.body_bytes_max = 100;
    fields.limits.clock_entries_max = 1;
    let spec = ChainSpec::new(fields).unwrap();
    let text = spec.to_toml();
    let (examined, found) = ChainSpec::examine_toml(&text).unwrap();
    assert_eq!(examined, spec);
    let line = |part: &str| 1 + text[..text.find(part).unwrap()].matches('\n').count();
    for (found, bare) in found.iter().zip(spec.contradictions()) {
        let (_, field) = bare.field.split_once('.').unwrap();
        let line = line(field);
        let told = format!("line {line}, column 1: {}", bare.problem);
        assert_eq!((found.field, &found.problem), (bare.field, &told));
    }
    assert_eq!(found.len(), 2);
    assert_eq!(ChainSpec::from_toml(&text).unwrap_err(), found[0]);
    // What isn't within the limits is no specification, whoever asks.
    let bad = text.replacen("body_bytes_max = 100", "body_bytes_max = 0", 1);
    let refused = ChainSpec::from_toml(&bad).unwrap_err();
    assert_eq!(ChainSpec::examine_toml(&bad).unwrap_err(), refused);
}

#[test]
fn every_field_has_words() {
    let mut fields = common::spec_fields(2);
    fields.accounts.extend([common::account("rich", 5)]);
    fields.rules.balances = true;
    fields.import = Some(Import {
        chain: "registry".to_owned(),
        blocks: 3,
        head: Digest::ZERO,
        record: Digest::ZERO,
    });
    let written = serde_json::to_value(&fields).unwrap();
    let mut paths = Vec::new();
    for (field, value) in written.as_object().unwrap() {
        match (field.as_str(), value.as_object()) {
            ("limits" | "rules", Some(table)) => {
                paths.extend(table.keys().map(|key| format!("{field}.{key}")));
            }
            _ => paths.push(field.clone()),
        }
    }
    let words = fields.in_words();
    let told: Vec<_> = words.iter().map(|(field, _)| (*field).to_owned()).collect();
    assert_eq!(told, paths);
    for (field, text) in &words {
        assert!(text.ends_with('.'), "{field}: {text}");
    }
    assert!(
        words[2].1.contains("each of 2 authorities"),
        "{}",
        words[2].1
    );
}

#[test]
fn what_is_allowed_and_hardly_meant_is_warned_of() {
    const NOW: u64 = common::GENESIS_TIME + common::SECOND;
    let warned = |change: fn(&mut SpecFields)| {
        let mut fields = common::spec_fields(2);
        change(&mut fields);
        ChainSpec::new(fields.clone()).expect("within the limits");
        let found = fields.warnings(NOW).into_iter();
        found.map(|warning| warning.field).collect::<Vec<_>>()
    };
    assert!(warned(|_| {}).is_empty());
    type Change = fn(&mut SpecFields);
    let changes: [(Change, &str); 10] = [
        (|fields| fields.genesis_time = 1_700_000_000, "genesis_time"),
        (
            |fields| fields.genesis_time = NOW + 301 * common::SECOND,
            "genesis_time",
        ),
        (
            |fields| {
                let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
                    unreachable!("the only consensus");
                };
                consensus.round_robin = true;
            },
            "consensus.round_robin",
        ),
        (
            |fields| fields.rules.identity = Identity::Open,
            "rules.identity",
        ),
        (
            |fields| fields.rules.witnesses_min = 0,
            "rules.witnesses_min",
        ),
        (|fields| fields.rules.fee_min = 1, "rules.fee_min"),
        (|fields| fields.rules.balances = true, "rules.balances"),
        (
            |fields| fields.rules.clock_drift_max_us = 300,
            "rules.clock_drift_max_us",
        ),
        (
            |fields| fields.rules.clock_drift_max_us = 86_400_000_001,
            "rules.clock_drift_max_us",
        ),
        (
            |fields| {
                let nobodys = InitialAccount {
                    key: None,
                    balance: 0,
                };
                fields.accounts.insert("free".to_owned(), nobodys);
                // An authority's key is listed there.
                fields.accounts.insert(common::hub(0), nobodys);
            },
            "accounts",
        ),
    ];
    for (change, field) in changes {
        assert_eq!(warned(change), [field]);
    }
}

#[test]
fn a_transaction_is_checked_by_its_specification_as_far_as_that_goes() {
    let chain = common::Chain::new(1, |fields| {
        fields.rules.balances = true;
        fields.rules.fee_min = 2;
        fields.limits.payload_bytes_max = 20;
        fields.accounts.extend([common::account("alice", 10)]);
    });
    let now = chain.now();
    let verdict = |transaction: &Transaction| {
        let verdict = check_by_specification(chain.spec(), transaction, now);
        verdict.map_err(|fault| fault.reason)
    };
    assert_eq!(verdict(&chain.message("alice", 1)), Ok(()));
    // Of what only a state tells nothing is said.
    assert_eq!(verdict(&chain.message("alice", 77)), Ok(()));
    assert_eq!(verdict(&chain.transfer("bob", "alice", (99, 2), 1)), Ok(()));
    let stolen = chain
        .draft("alice", 1)
        .sign(&[&common::key("bob")])
        .unwrap();
    assert_eq!(verdict(&stolen), Err(Reason::Identity));
    let unsigned = chain.draft("alice", 1).with_witnesses(vec![]).unwrap();
    assert_eq!(verdict(&unsigned), Err(Reason::SignatureMissing));
    type Change = fn(&mut Draft);
    let changes: [(Change, Reason); 4] = [
        (|draft| draft.fee = 1, Reason::Fee),
        (|draft| draft.payload = vec![0; 21], Reason::Limit),
        (|draft| draft.expiry = draft.timestamp, Reason::Expired),
        (|draft| draft.chain = ChainId::ZERO, Reason::Chain),
    ];
    for (change, reason) in changes {
        assert_eq!(verdict(&chain.signed("alice", 1, change)), Err(reason));
    }
    // A chain that begins with a record isn't judged by the record's rules.
    let imported = common::Chain::new(1, |fields| {
        fields.import = Some(Import {
            chain: "registry".to_owned(),
            blocks: 3,
            head: Digest::ZERO,
            record: Digest::ZERO,
        });
    });
    let message = imported.message("alice", 1);
    assert_eq!(
        check_by_specification(imported.spec(), &message, now),
        Ok(())
    );
}
