//! The commands, one file each where they need one.

mod audit;
mod author;
mod cache;
mod causal;
mod chain_rules;
mod check;
mod checkpoint;
mod copy;
mod demo;
mod evidence;
mod export;
mod followers;
mod fork;
mod fork_new;
mod generate;
mod get;
mod import;
#[cfg(feature = "mpreg")]
mod importer;
mod keys;
mod light;
mod mine;
#[cfg(feature = "mpreg")]
mod mpreg;
mod params;
mod produce;
mod prove;
mod prune;
mod queue;
mod registry;
mod restore;
mod route;
mod saying;
mod seed;
mod show;
mod snapshot;
mod spec;
mod stages;
mod stake;
mod store;
mod tx;
mod updates;
mod upgrade;
mod verify;
mod views;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use hubledger::signature::KeyPair;
use hubledger::spec::ChainSpec;
use hubledger_storage::opening::open_regular_or_given;

use crate::args::{Command, ForkCommand, SnapshotCommand, SpecCommand};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Runs one command.
pub(crate) fn run(command: Command, output: &Output) -> Result {
    match command {
        Command::Init(args) => store::init(&args, output),
        Command::Generate(args) => generate::generate(&args, output),
        Command::Keygen(args) => generate::keygen(&args, output),
        Command::Spec(SpecCommand::Check(args)) => spec::check(&args, output),
        Command::Tx(args) => tx::tx(&args, output),
        Command::Keys(command) => keys::keys(&command, output),
        Command::Params(command) => params::params(&command, output),
        Command::Seed(command) => seed::seed(&command, output),
        Command::Stake(command) => stake::stake(&command, output),
        Command::Members(args) => stake::members(&args, output),
        Command::Evidence(command) => evidence::evidence(&command, output),
        Command::Checkpoint(command) => checkpoint::checkpoint(&command, output),
        Command::Light(command) => light::light(&command, output),
        Command::Balance(args) => keys::balance(&args, output),
        Command::Audit(args) => audit::audit(&args, output),
        Command::Cache(command) => cache::cache(&command, output),
        Command::Records(args) => audit::records(&args, output),
        Command::Updates(command) => updates::updates(&command, output),
        Command::Queue(command) => queue::queue(&command, output),
        Command::Registry(command) => registry::registry(&command, output),
        Command::Causal(command) => causal::causal(&command, output),
        Command::Route(command) => route::route(&command, output),
        Command::Produce(args) => produce::produce(&args, output),
        Command::Mine(args) => mine::mine(&args, output),
        Command::Show(args) => show::show(&args, output),
        Command::Import(args) => import::import(&args, output),
        Command::Verify(args) => verify::verify(&args, output),
        Command::Get(args) => get::get(&args, output),
        Command::Prove(args) => prove::prove(&args, output),
        Command::VerifyProof(args) => prove::verify_proof(&args, output),
        Command::Prune(args) => prune::prune(&args, output),
        Command::Followers(args) => followers::followers(&args, output),
        Command::Restore(args) => restore::restore(&args, output),
        Command::Snapshot(SnapshotCommand::Export(args)) => snapshot::export(&args, output),
        Command::Fork(ForkCommand::Show(args)) => fork::show(&args, output),
        Command::Fork(ForkCommand::At(args)) => fork::at(&args, output),
        Command::Fork(ForkCommand::Resolve(args)) => fork::resolve(&args, output),
        Command::Fork(ForkCommand::Offer(args)) => fork::offer(&args, output),
        Command::Fork(ForkCommand::New(args)) => fork_new::new(&args, output),
        Command::Migrate(args) => copy::migrate(&args, output),
        Command::Backup(args) => copy::backup(&args, output),
        Command::Export(args) => export::export(&args, output),
        Command::Check(args) => check::check(&args, output),
        Command::Stats(args) => store::stats(&args, output),
        Command::Upgrade(args) => upgrade::upgrade(&args, output),
        Command::Demo(args) => demo::demo(&args, output),
        Command::Completions(args) => {
            use clap::CommandFactory;
            let mut command = crate::args::Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut command, "hubledger", &mut script);
            output.raw(&script);
            Ok(())
        }
    }
}

/// The bytes of a file, of which one more than `limit` shows that it is longer.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular_or_given(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .with_context(|| path.display().to_string())?;
    Ok(bytes)
}

fn read_spec(path: &Path) -> Result<ChainSpec> {
    ChainSpec::read_toml(path).map_err(|error| Failure::Failed(error.into()))
}

fn read_key(path: &Path) -> Result<KeyPair> {
    KeyPair::read_pem(path).map_err(|error| Failure::Failed(error.into()))
}

/// Writes a file where nothing is, and has it on the disk.
fn write_new(path: &Path, bytes: &[u8]) -> Result {
    let place = || path.display().to_string();
    let mut file = File::create_new(path).with_context(place)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(place)?;
    Ok(())
}
