//! Embeds what compiled the program, so that every record names it.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output();
    let version = match version {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => format!("unknown: {error}"),
    };
    let profile = std::env::var("PROFILE").unwrap_or_default();
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    println!("cargo::rustc-env=PERF_RUSTC={version}");
    println!("cargo::rustc-env=PERF_PROFILE={profile}");
    println!(
        "cargo::rustc-env=PERF_RUSTFLAGS={}",
        flags.replace('\u{1f}', " ")
    );
    println!("cargo::rerun-if-changed=build.rs");
}
