//! `coe`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    coe::cli::main()
}
