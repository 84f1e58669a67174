//! The command line: data on standard output, progress and logs on standard error, and exit codes that scripts can
//! rely on (0 done and valid, 1 failure, 2 usage, 3 the chain or block is invalid, 4 the store is corrupt, 130 and 143 stopped by
//! SIGINT and SIGTERM).

mod args;
mod commands;
mod describe;
mod failure;
mod input;
mod output;
mod progress;
mod recognise;
mod rows;
mod scratch;
mod stop;
mod transaction_json;
mod transactions;

use std::io::IsTerminal;
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
        .with_ansi(std::io::stderr().is_terminal() && may_colour())
        .log_internal_errors(false)
        .init();
    let arguments = match args::Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and the version, which somebody asked for, are no errors.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            output::usage_error(&error, args::wants_json(std::env::args_os()));
            return ExitCode::from(2);
        }
    };
    let stop = stop::Stop::watch(arguments.json);
    let output = output::Output::new(arguments.json, stop);
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

/// Whether nobody forbids colours (<https://no-color.org>).
fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
