//! `hubledger-perf`: how fast hubledger is, measured beside its peers.
//!
//! Every figure comes from *turns*: the things that are compared take turns in one run, so that what disturbs
//! the machine disturbs them alike ([`turns`]). `ratios` measures the ratios that the project promises, `signatures` the
//! whole table of signature verification. An area of the engine ([`signatures`], [`storage`], [`engine`]) brings its
//! workloads and contestants; clocks, turns, statistics, the machine's description and the printing are common.

mod child;
mod clock;
mod consensus;
mod engine;
mod files;
mod machine;
mod ratio;
mod ratios;
mod registry;
mod report;
mod scenario;
mod services;
mod signatures;
mod state;
mod statistics;
mod storage;
mod table;
mod turns;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures hubledger beside its peers.
#[derive(Debug, Parser)]
#[command(name = "hubledger-perf", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures the ratios that the project promises, each from turns in one run.
    Ratios(ratios::Arguments),
    /// Measures scenarios, keeps every sample, and prints a summary.
    Run(scenario::Run),
    /// Measures two settings in turns and says which is faster, and how sure that is.
    Compare(scenario::Compare),
    /// Measures scenarios and writes results as CSV and JSON.
    Record(scenario::RecordArguments),
    /// Makes one page of HTML, with plots, from records.
    Report(report::Arguments),
    /// Measures signature verification: workloads, batch sizes, threads, bad signatures, paths, peers.
    Signatures(signatures::Arguments),
    /// What a process of its own does for a measurement.
    #[command(hide = true)]
    Child {
        #[command(subcommand)]
        task: Task,
    },
}

/// What a child process is told to do.
#[derive(Debug, Subcommand)]
enum Task {
    #[command(flatten)]
    Storage(storage::Task),
    #[command(flatten)]
    Engine(engine::Task),
}

fn main() -> ExitCode {
    match try_main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, without a backtrace: what fails here is mostly what somebody has written.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let text = match &arguments.command {
        Command::Ratios(arguments) => ratios::run(arguments)?,
        Command::Signatures(arguments) => signatures::run(arguments)?,
        Command::Run(arguments) => scenario::run(arguments)?,
        Command::Compare(arguments) => scenario::compare(arguments)?,
        Command::Record(arguments) => scenario::record(arguments)?,
        Command::Report(arguments) => report::run(arguments)?,
        Command::Child { task } => match task {
            Task::Storage(task) => storage::be_child(task)?,
            Task::Engine(task) => engine::be_child(task)?,
        },
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}
