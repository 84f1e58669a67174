//! Values that have to be text: one that isn't UTF-8 is refused by the name of its argument, which clap leaves out.

use std::error::Error;
use std::ffi::OsStr;
use std::str::FromStr;

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command};

/// Reads a value from its text.
pub(crate) fn text<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    Text(StringValueParser::new().try_map(|text| text.parse::<T>()))
}

#[derive(Clone)]
struct Text<P>(P);

impl<P: TypedValueParser> TypedValueParser for Text<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        if value.to_str().is_none() {
            let place = arg.map_or_else(|| "an argument".to_owned(), ToString::to_string);
            let problem = format!("the value {value:?} of {place} is not UTF-8\n");
            return Err(clap::Error::raw(ErrorKind::InvalidUtf8, problem).with_cmd(command));
        }
        self.0.parse_ref(command, arg, value)
    }
}
