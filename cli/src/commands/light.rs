//! `light`: a chain followed by its headers alone, and the files of headers for that.

mod file;
mod follow;
mod headers;

pub(super) use self::file::Lines;
use crate::args::LightCommand;
use crate::failure::Result;
use crate::output::Output;

pub(crate) fn light(command: &LightCommand, output: &Output) -> Result {
    match command {
        LightCommand::Headers(args) => headers::headers(args, output),
        LightCommand::Follow(args) => follow::follow(args, output),
    }
}
