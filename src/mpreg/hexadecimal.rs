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
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    decode_packed(text.as_bytes()).or_else(|| decode_spaced(text.as_bytes()))
}

fn decode_packed(text: &[u8]) -> Option<Vec<u8>> {
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
pub(super) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
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
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = b"kept".to_vec();
        append(&mut text, &bytes);
        let text = String::from_utf8(text).expect("digits");
        assert_eq!(
            decode(text.strip_prefix("kept").expect("kept")),
            Some(bytes)
        );
    }
}
