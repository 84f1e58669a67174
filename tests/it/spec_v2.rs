//! Specifications of version 2: their text, and what is refused in it.

use hubledger::digest::{BlockHash, Digest};
use hubledger::format::FormatVersion;
use hubledger::spec::{
    Authority, ChainSpec, Consensus, FeesTo, Finality, Import, Joining, Nonces, Parameter,
    Predecessor, SpecFields, Terms,
};

use crate::common::{self, Chain};

fn text(first_lines: &str) -> String {
    let plain = ChainSpec::new(common::spec_fields(1)).unwrap().to_toml();
    format!("{first_lines}\n{plain}")
}

#[track_caller]
fn refused(first_lines: &str) -> String {
    let error = ChainSpec::from_toml(&text(first_lines)).expect_err("not a specification");
    error.to_string()
}

#[test]
fn a_text_without_the_format_is_of_version_1() {
    let plain = ChainSpec::new(common::spec_fields(1)).unwrap();
    assert!(!plain.to_toml().contains("format"));
    for first in ["", "format = 1"] {
        let read = ChainSpec::from_toml(&text(first)).unwrap();
        assert_eq!((read.id(), read.version), (plain.id(), FormatVersion::V1));
    }
    for unknown in ["format = 0", "format = 3", "format = 256", "format = \"2\""] {
        let error = refused(unknown);
        assert!(error.contains("line 1, column "), "{error}");
    }
    assert!(refused("format = 3").contains("format 3 is not known"));
}

#[test]
fn a_text_of_version_2_has_terms_or_leaves_them_out() {
    let bare = ChainSpec::from_toml(&text("format = 2")).unwrap();
    let expected = Terms::of_new_chains();
    assert_eq!(expected.root_interval, 1);
    assert_eq!(bare.version, FormatVersion::V2);
    assert_eq!(bare.terms, expected);
    let all = "format = 2\nnonces = \"consecutive\"\nstake_min = 3\nroot_interval = 16\nblock_time_us = 5_000_000\n\
               finality = { depth = 6 }\nchangeable = [\"members\", \"block_time_us\"]\npayload_json = true\n\
               joining = \"attested\"\nkey_age_max = 7\ngrace_max = 8\nfees_to = \"producer\"\napprovals_min = 1\nempty_blocks = true";
    let spec = ChainSpec::from_toml(&text(all)).unwrap();
    let expected = Terms {
        nonces: Nonces::Consecutive,
        stake_min: 3,
        root_interval: 16,
        block_time_us: 5_000_000,
        finality: Finality::Depth(6),
        changeable: [Parameter::BlockTimeUs, Parameter::Members].into(),
        payload_json: true,
        joining: Joining::Attested,
        key_age_max: 7,
        grace_max: 8,
        fees_to: FeesTo::Producer,
        approvals_min: 1,
        empty_blocks: true,
    };
    assert_eq!(spec.terms, expected);
    assert_eq!(ChainSpec::from_toml(&spec.to_toml()).unwrap(), spec);
    assert_eq!(ChainSpec::decode(spec.bytes()).unwrap(), spec);
}

#[test]
fn what_is_wrong_with_the_terms_is_said_with_its_line() {
    let cases = [
        (
            "nonces = \"random\"",
            "line 2, column 10: nonces: unknown variant `random`",
        ),
        (
            "finality = { depth = 0 }",
            "finality: line 2, column 1: a depth of 0 blocks",
        ),
        (
            "finality = { depth = -1 }",
            "line 2, column 22: finality.depth: invalid value",
        ),
        (
            "finality = \"never\"",
            "line 2, column 12: finality: unknown variant `never`",
        ),
        (
            "changeable = [\"fee_min\", \"fee_min\"]",
            "\"fee_min\" is listed twice",
        ),
        (
            "changeable = [\"name\"]",
            "\"name\" is no parameter that a chain may change",
        ),
        (
            "fees_to = { treasury = \"\" }",
            "fees_to: line 2, column 1: the treasury's name is empty",
        ),
        (
            "fees_to = \"burn\"",
            "fees_to: line 2, column 1: somebody is to get the fees, but rules.balances is off",
        ),
        (
            "joining = \"stake\"",
            "joining: line 2, column 1: a stake is asked for, but rules.balances is off",
        ),
        (
            "approvals_min = 2",
            "approvals_min: line 2, column 1: 2 members have to approve of a change, but there are only 1",
        ),
        (
            "root_interval = 4294967296",
            "line 2, column 17: root_interval: invalid value",
        ),
        ("interval = 1", "line 2, column 1: unknown field `interval`"),
    ];
    for (line, expected) in cases {
        let error = refused(&format!("format = 2\n{line}"));
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn version_1_has_no_terms_and_no_predecessor() {
    type Change = fn(&mut Terms);
    let changes: [(Change, &str); 13] = [
        (|terms| terms.joining = Joining::Attested, "joining"),
        (|terms| terms.key_age_max = 1, "key_age_max"),
        (|terms| terms.grace_max = 1, "grace_max"),
        (|terms| terms.fees_to = FeesTo::Burn, "fees_to"),
        (|terms| terms.approvals_min = 1, "approvals_min"),
        (|terms| terms.empty_blocks = true, "empty_blocks"),
        (|terms| terms.nonces = Nonces::Consecutive, "nonces"),
        (|terms| terms.stake_min = 1, "stake_min"),
        (|terms| terms.root_interval = 1, "root_interval"),
        (|terms| terms.block_time_us = 1, "block_time_us"),
        (|terms| terms.finality = Finality::Depth(1), "finality"),
        (
            |terms| terms.changeable = [Parameter::FeeMin].into(),
            "changeable",
        ),
        (|terms| terms.payload_json = true, "payload_json"),
    ];
    for (change, field) in changes {
        let mut fields = common::spec_fields(1);
        change(&mut fields.terms);
        assert_eq!(ChainSpec::new(fields.clone()).unwrap_err().field, field);
        fields.version = FormatVersion::V2;
        ChainSpec::new(fields).unwrap();
    }
    let mut fields = (**Chain::new(1, |_| {}).succeeded(|_| {}).spec()).clone();
    fields.version = FormatVersion::V1;
    assert_eq!(ChainSpec::new(fields).unwrap_err().field, "predecessor");
    let error = refused("root_interval = 3");
    assert!(
        error.contains("line 1, column 1: a specification has this in format 2"),
        "{error}"
    );
}

/// The successor of a chain of two blocks after `change`, and the field for which it is refused.
fn succession(change: impl FnOnce(&mut SpecFields)) -> Result<ChainSpec, &'static str> {
    let mut chain = Chain::new(1, |_| {});
    chain.extend(&[]);
    chain.extend(&[]);
    let mut fields = (**chain.succeeded(|_| {}).spec()).clone();
    change(&mut fields);
    ChainSpec::new(fields).map_err(|error| error.field)
}

fn predecessor(fields: &mut SpecFields) -> &mut Predecessor {
    fields.predecessor.as_mut().unwrap()
}

#[test]
fn a_specification_goes_on_from_another_or_is_refused_by_the_field() {
    let spec = succession(|_| {}).unwrap();
    assert_eq!((spec.first_height(), spec.predecessors()), (3, 1));
    let text = spec.to_toml();
    assert!(
        text.contains("[predecessor]\nspecification = \"01"),
        "{text}"
    );
    assert_eq!(ChainSpec::from_toml(&text).unwrap(), spec);
    let account = common::account("alice", 0);
    let import = Import {
        chain: "old".to_owned(),
        blocks: 3,
        head: Digest::ZERO,
        record: Digest::ZERO,
    };
    let refusals = [
        succession(|fields| fields.genesis_time += 1),
        succession(|fields| fields.accounts.extend([account])),
        succession(|fields| fields.import = Some(import.clone())),
        succession(|fields| predecessor(fields).height = 1 << 63),
        // The record of the chain before has to be there whole.
        succession(|fields| {
            let mut before = (**Chain::new(1, |_| {}).spec()).clone();
            before.import = Some(import);
            predecessor(fields).specification = ChainSpec::new(before).unwrap();
        }),
    ];
    let fields: Vec<_> = refusals.into_iter().map(Result::unwrap_err).collect();
    let height = "predecessor.height";
    assert_eq!(
        fields,
        ["genesis_time", "accounts", "import", height, height]
    );
    // A text that is wrong within is refused with the line of the table's field.
    let broken = text.replacen("specification = \"01", "specification = \"03", 1);
    let error = ChainSpec::from_toml(&broken).unwrap_err().to_string();
    assert!(
        error.contains("predecessor.specification: line "),
        "{error}"
    );
    assert!(error.contains("version 3 is not known"), "{error}");
}

#[test]
fn a_clock_has_to_hold_the_authorities_of_earlier_specifications_too() {
    let found = |authorities: [&str; 2], entries, name_bytes_max| {
        let spec = succession(|fields| {
            let Consensus::ProofOfAuthority(consensus) = &mut fields.consensus else {
                unreachable!("the only consensus");
            };
            consensus.authorities = authorities
                .map(|name| Authority {
                    name: name.to_owned(),
                    key: common::key(name).public_key(),
                    weight: 1,
                })
                .into();
            fields.limits.clock_entries_max = entries;
            fields.limits.name_bytes_max = name_bytes_max;
        });
        let found = spec.unwrap().contradictions().into_iter();
        found.map(|one| one.field).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(found(["hub-0", "a"], 2, 5), none);
    assert_eq!(found(["b", "a"], 3, 5), none);
    assert_eq!(found(["b", "a"], 2, 5), ["limits.clock_entries_max"]);
    assert_eq!(found(["b", "a"], 3, 4), ["limits.name_bytes_max"]);
}

/// What goes on from `spec`, behind its first block.
fn next(spec: &ChainSpec) -> Result<ChainSpec, hubledger::codec::FieldError> {
    let mut fields = (**spec).clone();
    fields.version = FormatVersion::V2;
    fields.predecessor = Some(Predecessor {
        specification: spec.clone(),
        height: spec.first_height(),
        head: BlockHash::ZERO,
        state_root: Digest::ZERO,
    });
    ChainSpec::new(fields)
}

#[test]
fn at_most_eight_specifications_stand_behind_one() {
    let mut specs = vec![ChainSpec::new(common::spec_fields(1)).unwrap()];
    for number in 1..=8 {
        let spec = next(&specs[number - 1]).unwrap();
        assert_eq!(spec.predecessors(), number);
        assert_eq!(ChainSpec::decode(spec.bytes()).unwrap(), spec);
        specs.push(spec);
    }
    let last = &specs[8];
    assert_eq!(next(last).unwrap_err().field, "predecessor.specification");
    // Its bytes are refused too, and before the innermost one is read.
    let mut bytes =
        last.bytes()[..last.bytes().len() - (1 + 4 + 72 + specs[7].bytes().len())].to_vec();
    bytes.push(1);
    bytes.extend((last.bytes().len() as u32).to_le_bytes());
    bytes.extend_from_slice(last.bytes());
    bytes.extend_from_slice(&9u64.to_le_bytes());
    bytes.extend_from_slice(&[0; 64]);
    let error = ChainSpec::decode(&bytes).unwrap_err();
    assert_eq!(error.field, "predecessor.specification");
    assert!(error.to_string().contains("at most 8 others"), "{error}");
    // Which of them is in force: block 0 and 1 are the first's, 2 the second's, and so on.
    for height in 0..20u64 {
        let expected = &specs[(height.saturating_sub(1) as usize).min(8)];
        assert_eq!(last.at(height), expected, "at {height}");
    }
    assert_eq!(last.genesis(), specs[0].genesis());
}

#[test]
fn every_term_has_words() {
    let spec = succession(|fields| {
        fields.terms.finality = Finality::Depth(2);
        fields.terms.changeable = [Parameter::FeeMin].into();
    });
    let fields = spec.unwrap();
    let written = serde_json::to_value(&*fields).unwrap();
    let written = written.as_object().unwrap().keys();
    let tables = ["limits", "rules"];
    let paths: Vec<_> = written
        .filter(|key| !tables.contains(&key.as_str()))
        .collect();
    let words = fields.in_words();
    for path in paths {
        let told = words.iter().any(|(field, _)| field == path);
        assert!(told, "{path} has no words");
    }
    let told = |field| &words.iter().find(|(of, _)| *of == field).unwrap().1;
    assert!(
        told("finality").contains("once 2 blocks come"),
        "{}",
        told("finality")
    );
    assert!(
        told("changeable").contains(": fee_min."),
        "{}",
        told("changeable")
    );
    assert!(
        told("predecessor").contains("behind its block 2"),
        "{}",
        told("predecessor")
    );
    assert!(
        fields
            .warnings(common::GENESIS_TIME + common::SECOND)
            .is_empty()
    );
}
