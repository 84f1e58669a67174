//! What a setting does in each repetition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hubledger::generate::Recipe;
use hubledger_storage::Durability;

use super::record::{Gauge, Latencies};
use super::{Kind, Scenario, Setting};
use crate::clock::Times;
use crate::engine::{Before, Chain, LATENCY_OF, Setup, Stage, admit, import};
use crate::storage::{Asked, Contender, Filled, LookUps, Workload, append_runs, fresh_directory};

/// What a repetition has shown.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) items: u64,
    pub(super) times: Times,
    pub(super) stages: Vec<Stage>,
    pub(super) latencies: Option<Latencies>,
}

/// A setting, ready to be measured.
pub(super) enum Subject {
    Append {
        contender: Contender,
        workload: Workload,
        durability: Durability,
        under: PathBuf,
    },
    LookUp {
        filled: Box<Filled>,
        lookups: usize,
    },
    Import {
        chain: Rc<Chain>,
        contender: Contender,
        setup: Setup,
        under: PathBuf,
    },
    Admission {
        chain: Rc<Chain>,
        setup: Setup,
    },
}

/// Chains that several settings share.
#[derive(Default)]
pub(super) struct Chains(BTreeMap<(u64, u32, u32, u32), Rc<Chain>>);

impl Chains {
    fn get(&mut self, scenario: &Scenario, transactions: u64) -> Result<Rc<Chain>> {
        let key = (
            transactions,
            scenario.keys,
            scenario.payload,
            scenario.block,
        );
        if let Some(chain) = self.0.get(&key) {
            return Ok(Rc::clone(chain));
        }
        let chain = Rc::new(Chain::generate(Recipe {
            transactions,
            keys: scenario.keys,
            payload_bytes: scenario.payload,
            per_block: scenario.block,
            ..Recipe::default()
        })?);
        self.0.insert(key, Rc::clone(&chain));
        Ok(chain)
    }
}

impl Subject {
    /// Prepares what all repetitions need: filled stores, chains, verifiers.
    pub(super) fn new(
        scenario: &Scenario,
        setting: &Setting,
        chains: &mut Chains,
        under: &Path,
    ) -> Result<Self> {
        let contender = || -> Result<Contender> {
            let name = setting.backend.as_deref();
            name.context("the setting has no backend")?.parse()
        };
        let workload = || {
            let Scenario {
                payload,
                block,
                commit_blocks,
                ..
            } = *scenario;
            Workload::new(setting.transactions, payload, block, commit_blocks)
        };
        let setup = || {
            let setup = Setup::new(setting.threads.unwrap_or(1), scenario.durability)?;
            anyhow::Ok(setup.with_group_blocks(scenario.commit_blocks as usize))
        };
        Ok(match scenario.kind {
            Kind::StorageAppend => Self::Append {
                contender: contender()?,
                workload: workload(),
                durability: scenario.durability,
                under: under.to_owned(),
            },
            Kind::StorageLookup => Self::LookUp {
                filled: Box::new(Filled::new(contender()?, &workload(), under)?),
                lookups: scenario.lookups,
            },
            Kind::Import => Self::Import {
                chain: chains.get(scenario, setting.transactions)?,
                contender: contender()?,
                setup: setup()?,
                under: under.to_owned(),
            },
            Kind::Admission => Self::Admission {
                chain: chains.get(scenario, setting.transactions)?,
                setup: setup()?,
            },
        })
    }

    /// Does the work once. `repetition` makes look-ups ask for other ids each time.
    pub(super) fn pass(&mut self, repetition: u32) -> Result<Passed> {
        match self {
            Self::Append {
                contender,
                workload,
                durability,
                under,
            } => {
                let mut gauge = Gauge::new("commit")?;
                let each = |times: &Times| gauge.add(Duration::from_secs_f64(times.wall));
                let appended = append_runs(contender, workload.runs(), *durability, under, each)?;
                let stage = |name: &str, times: &Times| Stage {
                    name: name.to_owned(),
                    busy_s: times.wall,
                };
                Ok(Passed {
                    items: workload.transactions,
                    times: appended.all(),
                    stages: vec![
                        stage("append", &appended.committing),
                        stage("finish", &appended.finishing),
                    ],
                    latencies: gauge.read(),
                })
            }
            Self::LookUp { filled, lookups } => {
                let mut gauge = Gauge::new("look-up")?;
                let each = |took| gauge.add(took);
                let mut look_ups = LookUps::seeded(filled, Asked::Present, repetition.into());
                let times = look_ups.look_up_each(*lookups, each)?;
                Ok(Passed {
                    items: *lookups as u64,
                    times,
                    stages: Vec::new(),
                    latencies: gauge.read(),
                })
            }
            Self::Import {
                chain,
                contender,
                setup,
                under,
            } => {
                let directory = fresh_directory(under)?;
                let store = contender.store_url(directory.path())?.create()?;
                let imported = import(chain, store, setup, Before::Nothing)?;
                let mut gauge = Gauge::new("commit")?;
                for &commit in &imported.commits {
                    gauge.add(commit);
                }
                Ok(Passed {
                    items: chain.transactions,
                    times: imported.times,
                    stages: imported.stages,
                    latencies: gauge.read(),
                })
            }
            Self::Admission { chain, setup } => {
                let admitted = admit(chain, setup)?;
                let mut gauge = Gauge::new(LATENCY_OF)?;
                for &took in &admitted.latencies {
                    gauge.add(took);
                }
                Ok(Passed {
                    items: chain.transactions,
                    times: admitted.flood,
                    stages: admitted.stages,
                    latencies: gauge.read(),
                })
            }
        }
    }
}
