//! Hexadecimal text as Python's `bytes.fromhex` reads it and `bytes.hex` writes it.

/// No digit has this value.
const INVALID: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [INVALID; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        values[digit as usize] = value as u8;
        values[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};

/// The bytes of `text`, digits of either case, with ASCII white space allowed before and after pairs; `None` if it
/// has anything else. Most of a chain's text is hexadecimal, so text without space goes by a table.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    decode_packed(text.as_bytes()).or_else(|| decode_spaced(text.as_bytes()))
}

/// The bytes of exactly `2 * N` digits of either case.
pub fn decode_array<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    let pairs: &[[u8; 2]; N] = pairs.try_into().ok()?;
    let mut bytes = [0; N];
    let mut are_digits = true;
    // Without a table and without a branch, so that the compiler makes vectors of it.
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [(high, is_high), (low, is_low)] = pair.map(value);
        *byte = high << 4 | low;
        are_digits &= is_high & is_low;
    }
    (are_digits && rest.is_empty()).then_some(bytes)
}

/// What a digit is worth, and whether it is one.
const fn value(digit: u8) -> (u8, bool) {
    let decimal = digit.wrapping_sub(b'0');
    let letter = (digit | 0x20).wrapping_sub(b'a');
    let value = if decimal < 10 {
        decimal
    } else {
        letter.wrapping_add(10)
    };
    (value, (decimal < 10) | (letter < 6))
}

/// The lowercase digits that `text` starts with.
pub fn digits(text: &[u8]) -> &[u8] {
    let is_digit = |byte: u8| (byte.wrapping_sub(b'0') < 10) | (byte.wrapping_sub(b'a') < 6);
    let (chunks, _) = text.as_chunks::<32>();
    let are_digits = |chunk: &&[u8; 32]| chunk.iter().fold(true, |all, byte| all & is_digit(*byte));
    let whole = 32 * chunks.iter().take_while(are_digits).count();
    let rest = &text[whole..];
    &text[..whole + rest.iter().take_while(|byte| is_digit(**byte)).count()]
}

/// The two lowercase digits of each byte.
pub fn encode(bytes: &[u8; 32]) -> [u8; 64] {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    let mut text = [0; 64];
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    text
}

/// [`decode`] of text without space.
pub fn decode_packed(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    let mut seen = 0;
    let bytes = pairs.iter().map(|[high, low]| {
        let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
        seen |= high | low;
        high << 4 | low
    });
    let bytes = bytes.collect();
    (rest.is_empty() && seen < 16).then_some(bytes)
}

fn decode_spaced(text: &[u8]) -> Option<Vec<u8>> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut rest = text;
    loop {
        rest = &rest[rest.iter().take_while(|byte| is_space(byte)).count()..];
        let Some((pair, after)) = rest.split_first_chunk::<2>() else {
            return rest.is_empty().then_some(bytes);
        };
        bytes.extend(decode_packed(pair)?);
        rest = after;
    }
}

/// Appends two lowercase digits a byte.
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    hex::encode_to_slice(bytes, &mut out[start..]).expect("two digits a byte were made room for");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_reads_as_in_python() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("00fF", Some(b"\x00\xff")),
            (
                "0123456789abcdefABCDEF",
                Some(b"\x01\x23\x45\x67\x89\xab\xcd\xef\xab\xcd\xef"),
            ),
            (" 00 \t\nff\x0b\x0c\r ", Some(b"\x00\xff")),
            ("  ", Some(b"")),
            ("0", None),
            ("0 0", None),
            ("00f", None),
            ("0g", None),
            ("/0", None),
            (":0", None),
            ("@0", None),
            ("é", None),
            ("00\u{a0}ff", None),
        ] {
            assert_eq!(decode(text).as_deref(), bytes, "{text:?}");
        }
    }

    #[test]
    fn arrays_of_digits_read_as_any_other_text() {
        for byte in 0..=255_u8 {
            for at in 0..8 {
                let mut text = *b"0aF9c3E1";
                text[at] = byte;
                let packed = decode_packed(&text).and_then(|bytes| bytes.try_into().ok());
                assert_eq!(decode_array::<4>(&text), packed, "{byte} at {at}");
            }
        }
        assert_eq!(decode_array::<2>(b"00ff0"), None);
        assert_eq!(decode_array::<2>(b"00f"), None);
    }

    #[test]
    fn leading_digits_end_where_something_else_comes() {
        for length in 0..100 {
            let digits_only = &"0123456789abcdef".repeat(7).into_bytes()[..length];
            assert_eq!(digits(digits_only), digits_only);
            for other in [b'"', b'A', b'g', b'/', b':', b'`', b' ', 0xff] {
                let text = [digits_only, &[other], b"00"].concat();
                assert_eq!(digits(&text), digits_only, "{other} after {length}");
            }
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for chunk in bytes.as_chunks::<32>().0 {
            assert_eq!(encode(chunk)[..], *hex::encode(chunk).as_bytes());
        }
        let mut text = b"kept".to_vec();
        append(&mut text, &bytes);
        let text = String::from_utf8(text).expect("digits");
        assert_eq!(
            decode(text.strip_prefix("kept").expect("kept")),
            Some(bytes)
        );
    }
}
