//! Every ratio is measured, listed and recorded.

use serde_json::Map;

use super::*;
use crate::ratio::Evidence;

/// As little as possible of everything.
fn arguments(only: Option<Area>) -> Arguments {
    Arguments {
        only,
        list: false,
        keys: Vec::new(),
        json: true,
        seconds: 0.0,
        path: None,
        transactions: Some(2_000),
        accounts: 2_000,
        entries: 300,
        height: 12,
        backend: Contender::ours("log"),
        large: false,
        mpreg: None,
        directory: None,
    }
}

/// Measures an area, but for ratios that need a child: a child is this program, which a test is not.
fn measured(arguments: &Arguments) -> Vec<Measured> {
    let stores = tempfile::tempdir().expect("a directory");
    let needs_child = |entry: &&Entry| {
        entry.ratio.key.contains("_resident_") || entry.ratio.key.contains("_memory_")
    };
    let mut wanted = arguments.wanted().expect("every key is known");
    wanted.retain(|entry| !needs_child(entry));
    let path = signatures::resolve(arguments.path).expect("there is a path");
    let measured = measure(
        arguments,
        path,
        signatures::Sizes::TINY,
        stores.path(),
        &wanted,
    );
    let measured = measured.expect("nothing is found wrong");
    assert_eq!(measured.len(), wanted.len());
    let left = std::fs::read_dir(stores.path()).expect("the directory");
    assert_eq!(left.count(), 0, "stores are removed");
    measured
}

#[test]
fn the_record_has_every_ratio_as_a_number_and_where_it_comes_from() {
    let measured = measured(&arguments(Some(Area::Signatures)));
    let path = signatures::resolve(None).expect("there is a path");
    let record = to_json(&Machine::describe(), path, &measured);
    assert_eq!(record.as_object().map(Map::len), Some(measured.len() + 1));
    for key in measured.iter().map(|measured| measured.ratio.key) {
        assert!(
            record[key].as_f64().is_some_and(|ratio| ratio > 0.0),
            "{key}"
        );
        let details = &record["details"]["measurements"][key];
        assert!(details["turns"].as_u64() > Some(0), "{key}");
        for side in ["first", "second"] {
            assert!(details[side]["us_per_item"]["median"].is_number(), "{key}");
        }
    }
    for key in ["date", "path", "machine", "toolchain"] {
        assert!(!record["details"][key].is_null(), "{key}");
    }
    let table = to_table(&measured).to_text();
    assert_eq!(table.lines().count(), measured.len() + 1);
}

#[test]
fn ratios_of_storage_engine_state_consensus_and_services_are_measured_or_say_what_is_missing() {
    let stores = tempfile::tempdir().expect("a directory");
    let mpreg = stores.path().join("small.db");
    engine::write_mpreg_store(&mpreg, 3, 20).expect("it can be written");
    let areas = [
        Area::Storage,
        Area::Engine,
        Area::State,
        Area::Consensus,
        Area::Services,
    ];
    for area in areas {
        let mut arguments = arguments(Some(area));
        arguments.mpreg = Some(mpreg.clone());
        for measured in measured(&arguments) {
            match &measured.evidence {
                Evidence::Missing(reason) => assert!(!reason.is_empty()),
                _ => assert!(
                    measured.value().is_some_and(|value| value >= 0.0),
                    "{measured:?}"
                ),
            }
        }
    }
}

#[test]
fn what_keeps_an_engine_from_being_measured_is_said_of_each() {
    let mut arguments = arguments(Some(Area::Engine));
    let chosen = signatures::resolve(None).expect("there is a path");
    let others = Path::ALL.into_iter().filter(|path| path.is_available());
    arguments.path = others.into_iter().find(|path| *path != chosen);
    if arguments.path.is_some() {
        for measured in measured(&arguments) {
            assert!(
                matches!(&measured.evidence, Evidence::Missing(why) if why.contains(PATH_VARIABLE))
            );
        }
    }
}

#[test]
fn the_list_explains_every_ratio_that_is_wanted() {
    let mut arguments = arguments(None);
    arguments.list = true;
    let text = run(&arguments).expect("nothing is measured");
    assert!(
        ENTRIES
            .iter()
            .all(|entry| text.contains(entry.ratio.meaning))
    );
    assert!(text.contains("Cost: ") && text.contains("[≥ 5.5]"));
    arguments.keys.push("log_resident_growth_mib".to_owned());
    let text = run(&arguments).expect("nothing is measured");
    assert!(text.contains("[≤ 64]") && !text.contains("hub_over"));
    arguments.keys.push("speed".to_owned());
    assert!(run(&arguments).is_err_and(|error| error.to_string().contains("\"speed\"")));
}

#[test]
fn fewer_accounts_than_send_in_a_block_are_refused() {
    let mut arguments = arguments(Some(Area::State));
    arguments.accounts = 999;
    assert!(run(&arguments).is_err_and(|error| error.to_string().contains("--accounts 999")));
}

#[test]
fn a_length_of_time_that_is_none_is_refused() {
    for seconds in [-1.0, f64::NAN, f64::INFINITY] {
        let mut arguments = arguments(None);
        arguments.seconds = seconds;
        assert!(run(&arguments).is_err());
    }
}
