//! The command line: data on standard output, progress and logs on standard error, and exit codes that scripts can
//! rely on (0 done and valid, 1 failure, 2 usage, 3 the chain or block is invalid, 4 the store is corrupt).

mod args;
mod commands;
mod describe;
mod failure;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
    let arguments = args::Arguments::parse();
    let output = output::Output::new(arguments.json);
    let code = match commands::run(arguments.command, &output) {
        Ok(()) => 0,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    };
    match (code, output.is_lost()) {
        // What was done is done, but nobody knows the answer.
        (0, true) => ExitCode::FAILURE,
        _ => ExitCode::from(code),
    }
}
