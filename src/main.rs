//! The one binary: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    headcount::cli::run()
}
