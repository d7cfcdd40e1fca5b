//! `headcount generate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::Outcome;
use super::show::progress_bar;
use crate::generate::{GenerateOptions, generate};
use crate::import::read::Format;

/// Arguments of `generate`.
#[derive(Args)]
pub(super) struct GenerateArgs {
    /// How many people
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    profiles: u32,
    /// Directory to write to; made if need be
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Another seed gives other people; the same one always the same
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Format of the files
    #[arg(long, value_enum, default_value_t = FileFormat::Parquet)]
    format: FileFormat,
    /// Write visits too, a second kind of event
    #[arg(long)]
    visits: bool,
}

/// Formats of files.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum FileFormat {
    /// Apache Parquet
    Parquet,
    /// A JSON object a line
    Ndjson,
    /// Comma-separated values
    Csv,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Format {
        match format {
            FileFormat::Parquet => Format::Parquet,
            FileFormat::Ndjson => Format::Ndjson,
            FileFormat::Csv => Format::Csv,
        }
    }
}

/// Writes the files and says what they hold.
pub(super) fn run(args: &GenerateArgs) -> Outcome {
    let options = GenerateOptions {
        profiles: args.profiles,
        seed: args.seed,
        format: args.format.into(),
        out: args.out.clone(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        visits: args.visits,
    };
    let start = std::time::Instant::now();
    let bar = progress_bar(args.profiles.into(), "people");
    let summary = generate(&options, &|done| bar.set_position(done))?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} people, {} purchases, {} visits in {seconds:.1} s ({} MB)",
        summary.profiles,
        summary.purchases,
        summary.visits,
        summary.bytes / 1_000_000
    );
    summary.files.iter().for_each(|file| println!("{}", file.display()));
    Ok(ExitCode::SUCCESS)
}
