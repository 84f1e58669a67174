//! Performance records against naive ones.
#![allow(missing_docs, clippy::unwrap_used)]

use hubledger::model::{Block, Draft};
use hubledger::payload::MARK;
use hubledger::testing::{Chain, Numbers};
use hubledger_services::payload::Fields;
use hubledger_services::records::{PerformanceRecord, RecordPayload, Records, RecordsView, is_due};
use hubledger_services::testing::{Trial, made_anew, memory};
use hubledger_services::view::{CommittedBlock, Snapshot};
use hubledger_storage::StoreUrl;
use proptest::prelude::*;

const HUBS: [&str; 3] = ["hub-a", "hub-b", "hub-ab"];

fn record(start: u64, length: u64, figures: &[(&str, u64)]) -> PerformanceRecord {
    let figures = figures
        .iter()
        .map(|(name, figure)| ((*name).to_owned(), *figure));
    PerformanceRecord {
        start,
        end: start + length,
        figures: figures.collect(),
    }
}

fn speak(numbers: &mut Numbers, chain: &Chain) -> Draft {
    let mut draft = chain.draft(HUBS[numbers.below(3) as usize], 1);
    let figures = [
        ("latency_us", numbers.below(900)),
        ("blocks", numbers.draw()),
    ];
    let figures = &figures[numbers.below(3) as usize..];
    let said = record(numbers.below(40), numbers.below(10), figures);
    let said = RecordPayload::PerformanceRecord(said);
    draft.payload = match numbers.below(8) {
        0 => b"{\"action\":\"performance_record\",\"start\":5,\"end\":4,\"figures\":{}}".to_vec(),
        1 => [&MARK[..], &[64, 1]].concat(),
        2 | 3 => said.to_json().into_bytes(),
        4 => draft.payload,
        _ => said.encode(),
    };
    draft
}

/// All records by end and place, with their hub.
fn naive(blocks: &[Block]) -> Vec<(u64, (u64, u32), String, PerformanceRecord)> {
    let mut all = Vec::new();
    for block in blocks {
        for entry in CommittedBlock::new(block).entries() {
            if let Some(RecordPayload::PerformanceRecord(said)) = RecordPayload::of(&entry) {
                let place = (block.height(), entry.index);
                all.push((said.end, place, entry.sender().to_owned(), said));
            }
        }
    }
    all.sort_by_key(|(end, place, _, _)| (*end, *place));
    all
}

fn compare(blocks: &[Block], snapshot: &Snapshot) {
    let (records, all) = (Records::new(snapshot.clone()), naive(blocks));
    let (from, below) = (7, 33);
    for hub in [None, Some(HUBS[0]), Some(HUBS[1]), Some(HUBS[2])] {
        let is_of = |name: &str| hub.is_none_or(|hub| hub == name);
        let count = all.iter().filter(|(_, _, name, _)| is_of(name)).count();
        if let Some(hub) = hub {
            let held = records.hub(hub).unwrap().map_or(0, |hub| hub.records);
            assert_eq!(held, count as u64);
        }
        for most in [1, 3, 1000] {
            let (mut found, mut next) = (Vec::new(), Some((from, (0, 0))));
            while let Some(place) = next {
                let page = records.records(hub, place, below, most).unwrap();
                assert!(page.records.len() <= most);
                for one in page.records {
                    let said = PerformanceRecord {
                        start: one.start,
                        end: one.end,
                        figures: one.figures,
                    };
                    let place = (one.recorded.height, one.recorded.index);
                    found.push((one.end, place, one.hub, said));
                }
                next = page.next;
            }
            let mut expected = all.clone();
            expected.retain(|(end, _, name, _)| (from..below).contains(end) && is_of(name));
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn whatever_happens_to_the_chain_records_are_what_naive_ones_are() {
    for seed in 0..30 {
        let trial = Trial {
            view: &|| Box::new(RecordsView),
            store: &memory(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 40);
    }
}

#[test]
fn the_same_in_a_store_with_files() {
    for seed in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("log:{}", folder.path().join("views").display());
        let url: StoreUrl = url.parse().unwrap();
        let trial = Trial {
            view: &|| Box::new(RecordsView),
            store: &|| url.open_or_create().unwrap(),
            speak: &speak,
            naive: &compare,
        };
        trial.run(seed, 30);
    }
}

#[test]
fn figures_are_summed_up_and_a_record_is_proved() {
    let mut chain = Chain::new(1, |_| {});
    for (nonce, latency) in (1..).zip([30, 10, 20]) {
        let figures = [("latency_us", latency), ("only_once", 1)];
        let figures = if nonce == 1 {
            &figures[..]
        } else {
            &figures[..1]
        };
        let said = RecordPayload::PerformanceRecord(record(nonce * 10, 9, figures));
        chain.extend(&[chain.signed("hub-a", nonce, |draft| draft.payload = said.encode())]);
    }
    let records = Records::new(made_anew(&chain, Box::new(RecordsView), 0));
    let page = records
        .records(Some("hub-a"), (0, (0, 0)), u64::MAX, 10)
        .unwrap();
    let summaries = page.summaries();
    let latency = summaries["latency_us"];
    assert_eq!(
        (latency.count, latency.sum, latency.min, latency.max),
        (3, 60, 10, 30)
    );
    assert_eq!(summaries["only_once"].count, 1);
    let first = &page.records[0].recorded;
    let proof = first.prove(&chain.ledger().reader(), None).unwrap();
    assert_eq!(proof.verify(&chain.last().hash()).unwrap().id, first.id);
    assert_eq!(records.hub("hub-a").unwrap().unwrap().last_end, 39);
}

#[test]
fn records_are_due_every_so_many_blocks() {
    let due: Vec<u64> = (0..12).filter(|height| is_due(*height, 5)).collect();
    assert_eq!(due, [5, 10]);
    assert!((0..12).all(|height| !is_due(height, 0)));
}

proptest! {
    #[test]
    fn both_forms_give_back_what_was_said(
        figures in proptest::collection::btree_map("[a-z_]{1,12}", any::<u64>(), 0..9),
        start in 0..1000u64, length in 0..1000u64,
    ) {
        let end = start + length;
        let said = RecordPayload::PerformanceRecord(PerformanceRecord { start, end, figures });
        prop_assert_eq!(&RecordPayload::decode(&said.encode()).unwrap(), &said);
        let fields = Fields::read(said.to_json().as_bytes()).unwrap();
        prop_assert_eq!(RecordPayload::from_fields(&fields), Some(said));
    }

    #[test]
    fn what_decodes_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 0..4u8) {
        let bytes = [&MARK[..], &[64], &[0; 16], &[count, 0, 0, 0], &bytes].concat();
        if let Ok(said) = RecordPayload::decode(&bytes) {
            prop_assert_eq!(said.encode(), bytes);
        }
    }
}
