//! The names of a store's files.

use std::path::{Path, PathBuf};

/// What a name in the directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Store,
    Mark,
    Values(u64),
    Heads(u64),
    Bodies(u64),
    Index(u64, u64),
    /// A file that was not finished.
    New,
    /// Nothing of ours.
    Other,
}

impl Named {
    pub(super) fn of(name: &str) -> Self {
        if let Some(stem) = name.strip_suffix(".new") {
            return match Self::of(stem) {
                Self::Other | Self::New => Self::Other,
                _ => Self::New,
            };
        }
        let number = |digits: &str| digits.parse::<u64>().ok();
        let parsed = match name.split_once('-') {
            None if name == "store" => Some(Self::Store),
            None if name == "mark" => Some(Self::Mark),
            Some(("meta", rest)) => number(rest).map(Self::Values),
            Some(("heads", rest)) => number(rest).map(Self::Heads),
            Some(("bodies", rest)) => number(rest).map(Self::Bodies),
            Some(("index", rest)) => rest
                .split_once('-')
                .and_then(|(first, last)| Some(Self::Index(number(first)?, number(last)?))),
            _ => None,
        };
        // One name for one thing: `heads-7` is none of ours.
        parsed
            .filter(|named| named.name() == name)
            .unwrap_or(Self::Other)
    }

    fn name(self) -> String {
        match self {
            Self::Store => "store".to_owned(),
            Self::Mark => "mark".to_owned(),
            Self::Values(generation) => format!("meta-{generation:08}"),
            Self::Heads(number) => format!("heads-{number:08}"),
            Self::Bodies(number) => format!("bodies-{number:08}"),
            Self::Index(first, last) => format!("index-{first:08}-{last:08}"),
            Self::New | Self::Other => String::new(),
        }
    }

    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_read_back_and_have_one_form() {
        let dir = Path::new("d");
        for named in [
            Named::Store,
            Named::Mark,
            Named::Values(3),
            Named::Heads(0),
            Named::Bodies(123_456_789),
            Named::Index(0, 7),
        ] {
            let path = named.path(dir);
            assert_eq!(
                Named::of(path.file_name().unwrap().to_str().unwrap()),
                named
            );
        }
        for other in [
            "heads-7",
            "heads-",
            "notes",
            "index-00000001",
            "store-1",
            "heads-+0000007",
        ] {
            assert_eq!(Named::of(other), Named::Other, "{other}");
        }
        assert_eq!(Named::of("heads-00000001.new"), Named::New);
        assert_eq!(Named::of("notes.new"), Named::Other);
        assert_eq!(Named::of("mark.new.new"), Named::Other);
    }
}
