//! The command line: one file a subcommand.
//! Knows arguments, terminals and exit statuses; everything else is asked of the engine or a server.

mod client;
mod demo;
mod export;
mod generate;
mod import;
mod query;
mod serve;
mod show;
mod snapshot;
mod token;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The fastest exact audience database: who are these people, how many, what are they like?
#[derive(Parser)]
#[command(name = "headcount", version, about, after_help = "Start with: headcount demo", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the HTTP API from a data directory
    Serve(serve::ServeArgs),
    /// Generate a population, load it, ask a few questions, show the answers, then serve
    Demo(demo::DemoArgs),
    /// Write a seeded population to files: people with tags of all kinds, and their purchases
    Generate(generate::GenerateArgs),
    /// Load people from CSV, NDJSON or Parquet files into a data directory or a running server
    Import(import::ImportArgs),
    /// Run a SELECT statement against a data directory (read-only) or a running server
    Query(query::QueryArgs),
    /// Write the members of an audience to a file: csv, ndjson, parquet or roaring
    Export(export::ExportArgs),
    /// Take a store snapshot, or list them
    Snapshot(snapshot::SnapshotArgs),
    /// Check every byte of a data directory that nobody serves
    Verify(verify::VerifyArgs),
    /// Create, list or revoke the tokens that a server asks for
    Token(token::TokenArgs),
}

/// Where the data is.
#[derive(Args, Clone)]
struct DataArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", env = "HEADCOUNT_DATA", default_value = "./headcount-data")]
    data: PathBuf,
}

/// A data directory, or a server instead.
#[derive(Args, Clone)]
struct TargetArgs {
    #[command(flatten)]
    data: DataArgs,
    /// A running server instead of a data directory, as in http://127.0.0.1:7077
    #[arg(long, value_name = "URL", env = "HEADCOUNT_URL", conflicts_with = "data")]
    url: Option<String>,
    /// Token for the server
    #[arg(long, value_name = "TOKEN", env = "HEADCOUNT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Space
    #[arg(long, value_name = "NAME", default_value = "main")]
    space: String,
}

/// A subcommand's end: nothing more to say, or a message for people.
type Outcome = Result<ExitCode, Failure>;

/// What went wrong, in words.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

impl Failure {
    /// A message of our own.
    fn new(message: impl Into<String>) -> Failure {
        Failure(message.into())
    }
}

/// Runs the command line; the exit status is 0 only when all went well.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Snapshot(args) => snapshot::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Token(args) => token::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(Failure(message)) => {
            eprintln!("headcount: {message}");
            ExitCode::FAILURE
        }
    }
}
