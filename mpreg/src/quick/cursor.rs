//! A place in a text, and what may come there. Every function passes what it found, or gives `None`; then the place no
//! longer matters.

use crate::entry::{Digits, Text};
use hubledger::original::hexadecimal;
use hubledger::original::{MAX_INTEGER_DIGITS, Number};

/// A place in a text.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The start of `text`.
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Passes just these bytes. What doesn't match isn't passed.
    #[inline(always)]
    pub(super) fn literal(&mut self, bytes: &'static [u8]) -> Option<()> {
        self.rest().strip_prefix(bytes)?;
        self.at += bytes.len();
        Some(())
    }

    /// Passes what stands between two elements of a list, or `end`; says whether it was the end.
    pub(super) fn ends_list(&mut self, end: &'static [u8]) -> Option<bool> {
        if self.literal(b", ").is_some() {
            return Some(false);
        }
        self.literal(end).map(|()| true)
    }

    /// The rest of a string whose opening quote was passed, and its closing quote.
    pub(super) fn string(&mut self) -> Option<Text<'a>> {
        let rest = self.rest();
        let plain = plain_run(rest);
        if rest.get(plain) != Some(&b'"') {
            return self.spelled_string(plain).map(Text::Spelled);
        }
        self.at += plain + 1;
        Some(Text::Plain(&rest[..plain]))
    }

    /// A string that isn't empty.
    pub(super) fn name(&mut self) -> Option<Text<'a>> {
        self.string().filter(|name| !name.as_bytes().is_empty())
    }

    /// A string with escapes or with bytes beyond ASCII, the first of them after `plain` others.
    #[cold]
    fn spelled_string(&mut self, plain: usize) -> Option<String> {
        let mut end = self.at + plain;
        while *self.text.get(end)? != b'"' {
            // An escape at the very end leads past it, where `get` finds nothing.
            end += if self.text[end] == b'\\' { 2 } else { 1 };
        }
        let token = &self.text[self.at.checked_sub(1)?..=end];
        self.at = end + 1;
        serde_json::from_slice(token).ok()
    }

    /// An integer that isn't negative, which is printed as it stands here.
    pub(super) fn integer(&mut self) -> Option<Digits<'a>> {
        let rest = self.rest();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > MAX_INTEGER_DIGITS || (digits > 1 && rest[0] == b'0') {
            return None;
        }
        self.at += digits;
        Some(Digits(&rest[..digits]))
    }

    /// A number that isn't negative and is printed as it stands here, with that text.
    pub(super) fn number(&mut self) -> Option<(&'a str, Number)> {
        let rest = self.rest();
        let is_digit = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
        let text = &rest[..rest.iter().take_while(is_digit).count()];
        self.at += text.len();
        let text = std::str::from_utf8(text).ok()?;
        Some((text, Number::from_printed(text)?))
    }

    /// The rest of a string of pairs of lowercase hexadecimal digits.
    pub(super) fn digits(&mut self) -> Option<&'a [u8]> {
        let digits = hexadecimal::digits(self.rest());
        self.at += digits.len();
        self.literal(b"\"")?;
        digits.len().is_multiple_of(2).then_some(digits)
    }

    /// The rest of a string of the hexadecimal digits of `N` bytes, or of none.
    pub(super) fn bytes<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        if self.literal(b"\"").is_some() {
            return Some(None);
        }
        let bytes = hexadecimal::decode_array(self.rest().get(..2 * N)?)?;
        self.at += 2 * N;
        self.literal(b"\"")?;
        Some(Some(bytes))
    }
}

/// How many bytes at the start of `text` stand for themselves in a JSON string: ASCII without controls, quotes and
/// backslashes. Eight at a time.
fn plain_run(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return 8 * index + special.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| matches!(**byte, b' '..=b'\x7f') && !b"\"\\".contains(byte);
    8 * words.len() + rest.iter().take_while(is_plain).count()
}

/// The high bit of each byte that is special in a JSON string, correct up to the lowest one; see [`plain_run`].
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // A byte below `n` borrows from the bit above it; so may, wrongly, a byte that comes after such a one.
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let controls = word.wrapping_sub(ONES * 0x20);
    (quotes | backslashes | controls | word) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_are_told_from_special_ones_in_every_place() {
        for byte in 0..=255_u8 {
            let is_plain = matches!(byte, b' '..=b'\x7f') && byte != b'"' && byte != b'\\';
            for filler in [b' ', b'!', b'#', b'[', b']', b'~', 0x7f] {
                for length in 1..20 {
                    for at in 0..length {
                        let mut text = vec![filler; length];
                        text[at] = byte;
                        let expected = if is_plain { length } else { at };
                        assert_eq!(plain_run(&text), expected, "{byte} at {at} of {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_string_reads_as_in_any_json() {
        for (text, expected) in [
            (&br#"ab","#[..], Some("ab")),
            (br#"","#, Some("")),
            (br#"\u0442\n","#, Some("т\n")),
            (br#"a\"b\\","#, Some("a\"b\\")),
            (br#"\ud83d\ude00","#, Some("😀")),
            ("т\",".as_bytes(), Some("т")),
            (br#"\ud83d","#, None),
            (br#"\x","#, None),
            (b"a\nb\",", None),
            (b"\xff\",", None),
            (b"ab", None),
            (br"ab\", None),
            (br#"ab\""#, None),
        ] {
            let quoted = [b"\"", text].concat();
            let mut cursor = Cursor::new(&quoted);
            cursor.literal(b"\"").expect("a quote");
            let read = cursor.string();
            assert_eq!(read.map(Text::into_string).as_deref(), expected, "{text:?}");
            if expected.is_some() {
                assert_eq!(cursor.rest(), b",");
            }
        }
    }
}
