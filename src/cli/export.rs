//! `headcount export`.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::client::Client;
use super::query::explained;
use super::show::grouped;
use super::{Failure, Outcome, TargetArgs};
use crate::engine::{Engine, EngineOptions, MembersRequest, Question, Where};
use crate::import::read::Format;
use crate::import::write::{FrameWriter, Shape, create};

/// Arguments of `export`.
#[derive(Args)]
pub(super) struct ExportArgs {
    /// The audience, as in "city = 'Shanghai' AND age < 30"; TRUE for everyone
    #[arg(value_name = "WHERE text")]
    audience: String,
    /// File to write; its ending says the format: csv, ndjson, parquet or roaring
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Columns: tags, id types and one_id; all unless said
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// A random choice of so many
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
    /// Another choice for another seed
    #[arg(long, value_name = "S", default_value_t = 0, requires = "sample")]
    seed: u64,
    /// Tags whose mix the choice has as the whole has it
    #[arg(long, value_name = "TAG,…", value_delimiter = ',', requires = "sample")]
    stratify: Vec<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Writes the members to the file; the file appears whole or not at all.
pub(super) fn run(args: &ExportArgs) -> Outcome {
    let ending = args.out.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    let format = match ending.as_str() {
        "roaring" => None,
        "csv" => Some(Format::Csv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        "parquet" => Some(Format::Parquet),
        _ => return Err(Failure::new("the file's ending says the format: .csv, .ndjson, .parquet or .roaring")),
    };
    let pending = args.out.with_extension(format!("{ending}.pending"));
    let written = match Client::of(&args.target) {
        Some(client) => from_server(args, &client, format, &pending),
        None => from_directory(args, format, &pending),
    };
    let written = written.inspect_err(|_| {
        // What was written so far is no export.
        let _ = std::fs::remove_file(&pending);
    })?;
    std::fs::rename(&pending, &args.out)?;
    eprintln!("{written} to {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

fn from_server(
    args: &ExportArgs,
    client: &Client,
    format: Option<Format>,
    out: &std::path::Path,
) -> Result<String, Failure> {
    let accept = match format {
        None => "application/vnd.roaring",
        Some(Format::Csv) => "text/csv",
        Some(Format::Ndjson) => "application/x-ndjson",
        Some(Format::Parquet) => "application/vnd.apache.parquet",
    };
    let columns = (!args.columns.is_empty()).then_some(&args.columns);
    let mut body = json!({"where": args.audience, "sample": args.sample, "seed": args.seed});
    if !args.stratify.is_empty() {
        body["stratify"] = json!(args.stratify);
    }
    if let Some(columns) = columns {
        body["columns"] = json!(columns);
    } else if format.is_some() {
        let schema = client.get("")?;
        let tags: Vec<&String> = schema["tags"].as_object().into_iter().flat_map(|tags| tags.keys()).collect();
        body["columns"] = json!(tags);
    }
    let mut answer = client.post("/members", "application/json", accept, body.to_string().as_bytes())?;
    let mut file = File::create(out)?;
    let bytes = std::io::copy(&mut answer, &mut file)?;
    file.sync_all()?;
    Ok(format!("{} bytes", grouped(bytes)))
}

fn from_directory(args: &ExportArgs, format: Option<Format>, out: &std::path::Path) -> Result<String, Failure> {
    let options = EngineOptions { read_only: true, ..EngineOptions::default() };
    let engine = Engine::open(&args.target.data.data, &options)?;
    let space = engine.space(&args.target.space)?;
    let question = Question { audience: Some(Where::Text(args.audience.clone())), ..Question::default() };
    let sampled = MembersRequest {
        sample: args.sample,
        seed: args.seed,
        stratify: args.stratify.clone(),
        ..MembersRequest::default()
    };
    let Some(format) = format else {
        let found = space.listed_bitmap(&question, &sampled);
        let (bitmap, _) = found.map_err(|error| explained(&error, &args.audience))?;
        let mut file = File::create(out)?;
        file.write_all(&storage::portable::write_portable(&bitmap))?;
        file.sync_all()?;
        return Ok(format!("{} people", grouped(bitmap.len())));
    };
    let columns = if args.columns.is_empty() {
        space.store().view().schema().tags.iter().map(|tag| tag.name.clone()).collect()
    } else {
        args.columns.clone()
    };
    let mut writer: Box<dyn FrameWriter> = create(out, format, Shape::Flat)?;
    let mut failed = None;
    let request = MembersRequest { columns, ..sampled };
    let total = space.member_frames(&question, &request, &mut |frame| {
        writer.write(&frame).map_err(|error| {
            failed = Some(error.to_string());
            crate::query::Error::Cancelled
        })
    });
    if let Some(reason) = failed {
        return Err(Failure::new(reason));
    }
    let total = total.map_err(|error| explained(&error, &args.audience))?;
    writer.finish()?;
    File::open(out)?.sync_all()?;
    Ok(format!("{} people", grouped(total)))
}
