//! `headcount query`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::client::Client;
use super::show::{plain, table};
use super::{Failure, Outcome, TargetArgs};
use crate::engine::{self, Engine, EngineOptions, Question};
use crate::query;

/// Arguments of `query`.
#[derive(Args)]
pub(super) struct QueryArgs {
    /// The statement, as in "SELECT city, count(*) FROM profiles GROUP BY city ORDER BY count(*) DESC LIMIT 10"
    #[arg(value_name = "SELECT …")]
    sql: String,
    #[command(flatten)]
    target: TargetArgs,
    /// How rows are shown
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    format: RowFormat,
    /// What CURRENT_DATE means; today unless said
    #[arg(long, value_name = "DATE")]
    as_of: Option<jiff::civil::Date>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RowFormat {
    /// For people
    Table,
    /// Comma-separated values with a head
    Csv,
    /// The API's answer
    Json,
}

/// Runs the statement and prints its rows.
pub(super) fn run(args: &QueryArgs) -> Outcome {
    let answer = match Client::of(&args.target) {
        Some(client) => {
            let as_of = args.as_of.map(|date| date.to_string());
            client.post_json("/query", &json!({"sql": args.sql, "as_of": as_of}))?
        }
        None => ask_directory(args)?,
    };
    print(&answer, args.format)?;
    Ok(ExitCode::SUCCESS)
}

fn ask_directory(args: &QueryArgs) -> Result<Value, Failure> {
    let options = EngineOptions { read_only: true, ..EngineOptions::default() };
    let engine = Engine::open(&args.target.data.data, &options)?;
    let question = Question { as_of: args.as_of, ..Question::default() };
    let answer = engine.space(&args.target.space)?.query(&args.sql, &question);
    Ok(serde_json::to_value(answer.map_err(|error| explained(&error, &args.sql))?)?)
}

/// An error of the question itself with the place drawn under the text.
pub(super) fn explained(error: &engine::Error, text: &str) -> Failure {
    match error {
        engine::Error::Query(query::Error::Question(diagnostic)) => {
            Failure::new(format!("\n{}", diagnostic.render(text)))
        }
        other => Failure::new(other.to_string()),
    }
}

fn print(answer: &Value, format: RowFormat) -> Result<(), Failure> {
    let columns: Vec<String> = serde_json::from_value(answer["columns"].clone())?;
    let rows: Vec<Vec<Value>> = serde_json::from_value(answer["rows"].clone())?;
    match format {
        RowFormat::Json => println!("{answer}"),
        RowFormat::Csv => {
            let mut out = csv::Writer::from_writer(std::io::stdout().lock());
            out.write_record(&columns)?;
            rows.iter().try_for_each(|row| out.write_record(row.iter().map(plain)))?;
            out.flush()?;
        }
        RowFormat::Table => {
            println!("{}", table(&columns, &rows));
            let took_ms = answer["took_us"].as_f64().unwrap_or(0.0) / 1e3;
            eprintln!("{} rows in {took_ms:.2} ms, data version {}", rows.len(), answer["data_version"]);
            for warning in answer["warnings"].as_array().into_iter().flatten() {
                eprintln!("warning: {}", plain(&warning["message"]));
            }
        }
    }
    Ok(())
}
