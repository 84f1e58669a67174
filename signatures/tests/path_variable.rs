//! The environment variable that forces a path, in processes of their own.

use std::ffi::OsStr;
use std::process::Command;

use hubledger_signatures::{PATH_VARIABLE, Path, Settings, Verifier};

/// Runs in the child: says which path a verifier takes.
#[test]
#[ignore = "the other tests run it in a process of its own"]
fn says_its_path() {
    match Verifier::new(&Settings::default()) {
        Ok(verifier) => println!("path: {}.", verifier.path()),
        Err(error) => println!("error: {error}."),
    }
    let mut settings = Settings::default();
    settings.path = Some(Path::Portable);
    let verifier = Verifier::new(&settings).expect("the portable path");
    println!("forced: {}.", verifier.path());
}

/// What the child prints, with the variable set to this.
fn child(value: Option<&OsStr>) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["says_its_path", "--exact", "--ignored", "--nocapture"]);
    command.env_remove(PATH_VARIABLE);
    if let Some(value) = value {
        command.env(PATH_VARIABLE, value);
    }
    let output = command.output().expect("the child runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_variable_forces_a_path_or_says_that_the_processor_lacks_it() {
    for path in Path::ALL {
        let output = child(Some(path.name().as_ref()));
        let expected = if path.is_available() {
            format!("path: {path}.")
        } else {
            format!("error: this processor has no signature path {path}.")
        };
        assert!(output.contains(&expected), "{output}");
        assert!(
            output.contains("forced: portable."),
            "settings come first: {output}"
        );
    }
}

#[test]
fn an_unknown_name_in_the_variable_is_an_error() {
    for name in ["AVX2", "none", "avx2 "] {
        let output = child(Some(name.as_ref()));
        let expected = format!("error: {name:?} is no signature path: portable, avx2 or ifma.");
        assert!(output.contains(&expected), "{output}");
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let output = child(Some(OsStr::from_bytes(b"avx2\xff")));
    assert!(output.contains("is no signature path"), "{output}");
}

#[test]
fn without_the_variable_or_with_an_empty_one_the_fastest_path_is_taken() {
    let fastest = Path::ALL.into_iter().find(|path| path.is_available());
    let expected = format!("path: {}.", fastest.expect("the portable one"));
    for value in [None, Some(OsStr::new(""))] {
        let output = child(value);
        assert!(output.contains(&expected), "{output}");
    }
}
