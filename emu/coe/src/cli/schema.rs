//! `coe schema`: what the lines of `coe trace --format jsonl` look like.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::Error;
use crate::exit::Code;
use crate::report::schema;

pub(super) fn main() -> Result<ExitCode, Error> {
    let text = format!("{:#}\n", schema::schema());
    put(text.as_bytes())
}

/// Writes to stdout. Whoever reads it may have seen enough.
pub(super) fn put(bytes: &[u8]) -> Result<ExitCode, Error> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::write(Path::new("stdout"), error))
        }
        _ => Ok(Code::Success.into()),
    }
}
