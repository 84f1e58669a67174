//! The names of the files in `DIR/tables`.

use std::path::{Path, PathBuf};

/// The directory of a store's tables, within that of the store.
pub(in super::super) const DIRECTORY: &str = "tables";
/// A set's file that is not finished. There is one at a time.
pub(super) const UNFINISHED: &str = "set.new";

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// The file of the set of this name.
    Set(String),
    /// The run of this number.
    Run(u64),
    /// A file that was not finished.
    Unfinished,
    /// Nothing of ours.
    Other,
}

impl Named {
    pub(super) fn of(name: &str) -> Self {
        if name == UNFINISHED {
            return Self::Unfinished;
        }
        let parsed = match name.split_once('-') {
            // Names of sets may have slashes, and have no plus signs.
            Some(("set", rest)) => Self::Set(rest.replace('+', "/")),
            Some(("run", rest)) => rest.parse().map_or(Self::Other, Self::Run),
            _ => Self::Other,
        };
        // One name for one thing: `run-7` is none of ours.
        match parsed.name() == name {
            true => parsed,
            false => Self::Other,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Set(name) => format!("set-{}", name.replace('/', "+")),
            Self::Run(number) => format!("run-{number:08}"),
            Self::Unfinished => UNFINISHED.to_owned(),
            Self::Other => String::new(),
        }
    }

    pub(super) fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_read_back_and_have_one_form() {
        for named in [
            Named::Set("state".to_owned()),
            Named::Set("views/by-owner.1".to_owned()),
            Named::Set(".new".to_owned()),
            Named::Run(0),
            Named::Run(123_456_789),
            Named::Unfinished,
        ] {
            let path = named.path(Path::new("d"));
            assert_eq!(path.parent(), Some(Path::new("d")));
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(Named::of(name), named);
        }
        for other in ["run-7", "run-", "set", "notes", "run-+0000007", "set-a/b"] {
            assert_eq!(Named::of(other), Named::Other, "{other}");
        }
    }
}
