//! Names of topics, and patterns of them.

use std::fmt;

/// The longest name of a topic, and the longest pattern, in bytes.
pub const TOPIC_BYTES_MAX: usize = 256;

/// Whether a text is the name of a topic: parts of 1 or more bytes without `*`, `#` and control characters, separated by `.`.
#[must_use]
pub fn is_topic(name: &str) -> bool {
    name.len() <= TOPIC_BYTES_MAX && name.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    !part.is_empty() && !part.contains(|letter: char| "*#".contains(letter) || letter.is_control())
}

/// A pattern of names of topics: as a name, but a part may be `*`, which stands for any one part, and the last one `#`, which
/// stands for any number of parts, none included. `trades.*` has `trades.eu`; `trades.#` has `trades` and `trades.eu.small` too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_wild = |(at, part): (usize, &str)| match part {
            "*" => true,
            "#" => at == text.split('.').count() - 1,
            part => is_part(part),
        };
        let is_pattern = text.len() <= TOPIC_BYTES_MAX && text.split('.').enumerate().all(is_wild);
        is_pattern.then(|| Self(text.to_owned()))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that is the only one it can have, if it has no wild parts.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains(['*', '#'])).then_some(&*self.0)
    }

    /// What all names begin with that it has.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self.0.find(['*', '#']) {
            // The dot before it is no part of a name that ends there.
            Some(at) if self.0.as_bytes()[at] == b'#' => self.0[..at].trim_end_matches('.'),
            Some(at) => &self.0[..at],
            None => &self.0,
        }
    }

    /// Whether it has a topic. O(length).
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        let (mut wanted, mut parts) = (self.0.split('.'), topic.split('.'));
        loop {
            match (wanted.next(), parts.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(wanted), Some(part)) if wanted == part => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pattern_has_the_topics_that_its_parts_stand_for() {
        for (pattern, has, lacks) in [
            ("a.b", &["a.b"][..], &["a", "a.b.c", "a.c"][..]),
            ("a.*", &["a.b", "a.c"], &["a", "a.b.c", "b.a"]),
            ("a.*.c", &["a.b.c"], &["a.b", "a.b.d"]),
            ("a.#", &["a", "a.b", "a.b.c"], &["b", "ab"]),
            ("#", &["a", "a.b"], &[]),
            ("*.b.#", &["a.b", "a.b.c"], &["a", "a.c"]),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            for topic in has {
                assert!(pattern.has(topic), "{pattern} {topic}");
                assert!(topic.starts_with(pattern.prefix()), "{pattern} {topic}");
            }
            for topic in lacks {
                assert!(!pattern.has(topic), "{pattern} {topic}");
            }
        }
        for wrong in ["", ".", "a.", "#.a", "a*", "a..b", "a.\n"] {
            assert_eq!(Pattern::new(wrong), None, "{wrong}");
            assert!(!is_topic(wrong));
        }
    }
}
