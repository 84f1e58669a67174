//! JSON for people and programs: objects over several lines, lists on one, since lists here are the figures of turns.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// The value's text, with a line's end.
pub(super) fn pretty(value: &Value) -> Result<String> {
    let mut bytes = Vec::new();
    let layout = Layout(PrettyFormatter::new());
    value.serialize(&mut Serializer::with_formatter(&mut bytes, layout))?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes)?)
}

/// serde_json's own layout, but for lists.
struct Layout(PrettyFormatter<'static>);

impl Formatter for Layout {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_object(to)
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_object(to)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(to, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.begin_object_value(to)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.0.end_object_value(to)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_stand_on_one_line_and_objects_on_several() {
        let value = json!({ "a": [1.5, 2.0], "b": { "c": [] }, "d": {} });
        let text = pretty(&value).expect("it can be written");
        assert_eq!(
            text,
            "{\n  \"a\": [1.5, 2.0],\n  \"b\": {\n    \"c\": []\n  },\n  \"d\": {}\n}\n"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
    }
}
