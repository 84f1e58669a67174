//! Running settings in turns.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::record::Sample;
use super::subject::{Chains, Subject};
use super::{Scenario, Setting};

/// A setting of a scenario.
pub(super) type Planned<'s> = (&'s Scenario, Setting);

/// Measures settings: first all of them warm up, then they take turns, whose order is reversed from round to round. The
/// samples name settings by their place in `planned`.
///
/// Settings of different scenarios may want different numbers of repetitions; each gets its own.
pub(super) fn execute(planned: &[Planned<'_>], under: &Path) -> Result<Vec<Sample>> {
    let mut chains = Chains::default();
    let mut subjects = Vec::with_capacity(planned.len());
    for (scenario, setting) in planned {
        eprintln!("{}: preparing {}", scenario.name, setting.label);
        let subject = Subject::new(scenario, setting, &mut chains, under);
        subjects.push(subject.with_context(|| setting.label.clone())?);
    }
    for ((scenario, setting), subject) in planned.iter().zip(&mut subjects) {
        for warm_up in 0..scenario.warm_up {
            let passed = subject.pass(u32::MAX - warm_up);
            passed.with_context(|| setting.label.clone())?;
        }
    }
    let rounds = planned
        .iter()
        .map(|(scenario, _)| scenario.repetitions)
        .max();
    let mut samples = Vec::new();
    for round in 0..rounds.unwrap_or(0) {
        let mut order: Vec<usize> = (0..planned.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (scenario, setting) = &planned[index];
            if round >= scenario.repetitions {
                continue;
            }
            eprintln!(
                "{}: {}, repetition {}",
                scenario.name,
                setting.label,
                round + 1
            );
            let passed = subjects[index]
                .pass(round)
                .with_context(|| setting.label.clone())?;
            let mut sample = Sample::new(index, round, passed.items, &passed.times);
            sample.stages = passed.stages;
            sample.latencies = passed.latencies;
            samples.push(sample);
        }
    }
    Ok(samples)
}

/// Every setting of a scenario.
pub(super) fn plan(scenario: &Scenario) -> Vec<Planned<'_>> {
    let settings = scenario.settings().into_iter();
    settings.map(|setting| (scenario, setting)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Kind;
    use hubledger_storage::Durability;

    fn tiny(kind: Kind) -> Scenario {
        let backends = match kind {
            Kind::Admission => Vec::new(),
            _ => vec![
                "log".parse().expect("a backend"),
                "memory".parse().expect("a backend"),
            ],
        };
        Scenario {
            name: "tiny".to_owned(),
            kind,
            backends,
            threads: vec![1],
            transactions: vec![60],
            keys: 4,
            payload: 50,
            block: 20,
            durability: Durability::Os,
            commit_blocks: 2,
            lookups: 50,
            repetitions: 2,
            warm_up: 1,
        }
    }

    #[test]
    fn settings_of_every_kind_take_turns_and_leave_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        for kind in [
            Kind::StorageAppend,
            Kind::StorageLookup,
            Kind::Import,
            Kind::Admission,
        ] {
            let scenario = tiny(kind);
            let planned = plan(&scenario);
            let samples = execute(&planned, directory.path()).expect("it works");
            let order: Vec<usize> = samples.iter().map(|sample| sample.setting).collect();
            match kind {
                Kind::Admission => assert_eq!(order, [0, 0]),
                _ => assert_eq!(order, [0, 1, 1, 0]),
            }
            for sample in &samples {
                let items = if kind == Kind::StorageLookup { 50 } else { 60 };
                assert_eq!(sample.items, items);
                assert!(sample.wall_s > 0.0 && sample.latencies.is_some());
            }
        }
        let left = std::fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(left.count(), 0, "stores are removed");
    }
}
