//! What the tests share.
#![allow(dead_code)] // each test uses a part

pub(crate) mod crafted;
pub(crate) mod recipe;
pub(crate) mod reference;

use crafted::Case;
use hubledger_signatures::{Item, Path, Settings, SignatureError, Verifier, verify};

pub(crate) type Verdict = Result<(), SignatureError>;

/// The paths of this machine.
pub(crate) fn paths() -> impl Iterator<Item = Path> {
    Path::ALL.into_iter().filter(|path| path.is_available())
}

/// Settings for a path and a number of threads.
pub(crate) fn settings(path: Path, threads: usize) -> Settings {
    let mut settings = Settings::default();
    settings.path = Some(path);
    settings.threads = threads;
    settings
}

pub(crate) fn verifier(path: Path, threads: usize) -> Verifier {
    Verifier::new(&settings(path, threads)).expect("an available path")
}

pub(crate) fn single(case: &Case) -> Verdict {
    verify(&case.key, &case.message, &case.signature)
}

pub(crate) fn reference(case: &Case) -> Verdict {
    reference::verify(&case.key, &case.message, &case.signature)
}

pub(crate) fn items<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Vec<Item<'a>> {
    cases.into_iter().map(Case::item).collect()
}

/// What a batch says if these are the verdicts on its items.
pub(crate) fn bad(verdicts: impl IntoIterator<Item = Verdict>) -> Vec<(usize, SignatureError)> {
    let verdicts = verdicts.into_iter().enumerate();
    verdicts
        .filter_map(|(index, verdict)| Some((index, verdict.err()?)))
        .collect()
}
