//! `headcount import`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::Value;
use storage::schema::{EventJson, TagJson};
use storage::{DataDir, Outcome as BatchOutcome, Rejected, Schema, SchemaJson, TagType};

use super::client::Client;
use super::show::{bytes_bar, grouped};
use super::{Failure, Outcome, TargetArgs};
use crate::import::frame::Frame;
use crate::import::infer::{About, infer};
use crate::import::load::{BadLine, Content, LoadError, Loaded, StoreTarget, Target, load_file};
use crate::import::names::legal_name;
use crate::import::read::{Expect, Format, Kind, Others};
use crate::import::write::{Shape, writer};

/// Changes in memory, in bytes, from which on they go to disk; up to three times as much may be held meanwhile.
pub(super) const OWNED_BYTES_MAX: u64 = 768 << 20;
/// Bad lines that are printed; all are counted.
const BAD_LINES_SHOWN: u64 = 20;

/// Arguments of `import`.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// Files of people, a row each: .csv, .ndjson or .parquet
    #[arg(long, value_name = "FILE", required_unless_present = "events", num_args = 1..)]
    profiles: Vec<PathBuf>,
    /// Files of what they did, a row each, loaded after the people
    #[arg(long, value_name = "FILE", num_args = 1..)]
    events: Vec<PathBuf>,
    /// The event of every row, where events files have no column `event`
    #[arg(long, value_name = "NAME", requires = "events")]
    event: Option<String>,
    /// The column that says when something happened
    #[arg(long, value_name = "COLUMN", default_value = "at")]
    at: String,
    /// Schema as JSON, as the API takes it; inferred from the first file and printed unless given or there already
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// A column that is an identity, as in --id member=customer_no
    #[arg(long, value_name = "TYPE=COLUMN", value_parser = id_column)]
    id: Vec<(String, String)>,
    /// Write all bad lines to this file, as NDJSON
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

fn id_column(text: &str) -> Result<(String, String), String> {
    let (id_type, column) = text.split_once('=').ok_or("write it as TYPE=COLUMN")?;
    Ok((id_type.into(), column.into()))
}

/// Loads the files; the exit status is 0 only when every line counted.
pub(super) fn run(args: &ImportArgs) -> Outcome {
    let start = std::time::Instant::now();
    let mut report = Report::new(args.rejects.as_deref())?;
    let loaded = match Client::of(&args.target) {
        Some(client) => into_server(args, client, &mut report)?,
        None => into_directory(args, &mut report)?,
    };
    report.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} rows in {seconds:.1} s ({} a second): {} accepted, {} new people, {} joined, {} seen before, {} rejected",
        grouped(loaded.accepted + loaded.rejected),
        grouped(((loaded.accepted + loaded.rejected) as f64 / seconds) as u64),
        grouped(loaded.accepted),
        grouped(loaded.created),
        grouped(loaded.joined),
        grouped(loaded.duplicates),
        grouped(loaded.rejected)
    );
    Ok(if loaded.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn into_directory(args: &ImportArgs, report: &mut Report) -> Result<Loaded, Failure> {
    let dir = DataDir::open(&args.target.data.data)?;
    let mut loader = dir.bulk_load(&args.target.space, OWNED_BYTES_MAX)?;
    let wanted = schema_for(args, loader.view().schema())?;
    loader.extend_schema(&wanted)?;
    let schema = loader.view().schema().clone();
    let loaded = load_all(args, &schema, &mut StoreTarget(&mut loader), report)?;
    loader.finish()?;
    Ok(loaded)
}

fn into_server(args: &ImportArgs, client: Client, report: &mut Report) -> Result<Loaded, Failure> {
    let stands = match client.get("") {
        Ok(answer) => schema_of(&answer)?,
        Err(_) => Schema::default(),
    };
    let wanted = schema_for(args, &stands)?;
    let answer = client.put_space(&serde_json::to_value(&wanted)?)?;
    let schema = schema_of(&answer)?;
    let ids = schema.id_types.clone();
    load_all(args, &schema, &mut ServerTarget { client, ids }, report)
}

/// The schema in an answer of the API, which may be the answer itself or its `schema`.
fn schema_of(answer: &Value) -> Result<Schema, Failure> {
    let body = answer.get("schema").unwrap_or(answer);
    let mut asked = SchemaJson::default();
    if let Some(zone) = body["time_zone"].as_str() {
        asked.time_zone = Some(zone.into());
    }
    for id_type in body["id_types"].as_array().into_iter().flatten() {
        asked
            .id_types
            .extend(id_type.as_str().map(String::from).or_else(|| id_type["name"].as_str().map(String::from)));
    }
    asked.tags = types_of(&body["tags"])?;
    for (name, event) in body["events"].as_object().into_iter().flatten() {
        let retain_days = event["retain_days"].as_u64();
        asked.events.insert(name.clone(), EventJson { properties: types_of(&event["properties"])?, retain_days });
    }
    Ok(Schema::default().extended(&asked, false).map_err(storage::Error::from)?)
}

fn types_of(body: &Value) -> Result<BTreeMap<String, TagJson>, Failure> {
    let mut types = BTreeMap::new();
    for (name, tag) in body.as_object().into_iter().flatten() {
        let mut plain = serde_json::json!({"type": tag["type"]});
        if !tag["scale"].is_null() && tag["scale"] != 0 {
            plain["scale"] = tag["scale"].clone();
        }
        types.insert(name.clone(), serde_json::from_value::<TagJson>(plain)?);
    }
    Ok(types)
}

/// What is to be added to the schema: the file given, or what the first file seems to hold if nothing stands yet.
fn schema_for(args: &ImportArgs, stands: &Schema) -> Result<SchemaJson, Failure> {
    let mut wanted = match &args.schema {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
            serde_json::from_str(&text).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?
        }
        None if stands.tags.is_empty() => inferred(args)?,
        None => SchemaJson::default(),
    };
    if args.schema.is_none() && !args.events.is_empty() {
        infer_events(args, stands, &mut wanted)?;
    }
    for (id_type, _) in &args.id {
        if !wanted.id_types.contains(id_type) {
            wanted.id_types.push(id_type.clone());
        }
    }
    Ok(wanted)
}

fn inferred(args: &ImportArgs) -> Result<SchemaJson, Failure> {
    let Some(first) = args.profiles.first() else { return Ok(SchemaJson::default()) };
    let proposal = infer(first, About::Profiles)?;
    eprintln!("no schema given; {} seems to hold:", first.display());
    proposal.lines().iter().for_each(|line| eprintln!("  {line}"));
    let mut schema = proposal.schema_json();
    for (id_type, column) in &args.id {
        let legal = legal_name(column);
        schema.tags.remove(&legal);
        schema.id_types.retain(|name| *name != legal || name == id_type);
    }
    if schema.id_types.is_empty() && args.id.is_empty() {
        return Err(Failure::new("no column looks like an identity; name one, as in --id member=COLUMN"));
    }
    Ok(schema)
}

/// An event that is named and does not stand yet has the properties that its first file seems to hold.
fn infer_events(args: &ImportArgs, stands: &Schema, wanted: &mut SchemaJson) -> Result<(), Failure> {
    let (Some(file), Some(event)) = (args.events.first(), &args.event) else {
        if stands.events.is_empty() {
            return Err(Failure::new(
                "the schema has no events: give one with --schema, or name the event with --event",
            ));
        }
        return Ok(());
    };
    if stands.event(event).is_some() {
        return Ok(());
    }
    let proposal = infer(file, About::Events)?;
    eprintln!("no schema given; {} seems to hold:", file.display());
    proposal.lines().iter().for_each(|line| eprintln!("  {line}"));
    let ids: Vec<String> = proposal.schema_json().id_types;
    let own = |name: &str| [legal_name(&args.at).as_str(), "at", "event", "key"].contains(&name);
    let is_id = |name: &str| {
        let is_named = args.id.iter().any(|(id_type, column)| id_type == name || legal_name(column) == name);
        is_named || ids.iter().any(|id| id == name) || stands.id_type(name).is_some()
    };
    let kept = proposal.columns.iter().filter(|column| !own(&column.name) && !is_id(&column.name));
    let properties = kept.filter_map(|column| Some((column.name.clone(), TagJson::from(property_type(column.kind?)?))));
    wanted.events.insert(event.clone(), EventJson { properties: properties.collect(), retain_days: None });
    if stands.id_types.is_empty() && wanted.id_types.is_empty() && args.id.is_empty() {
        wanted.id_types = ids;
    }
    Ok(())
}

fn property_type(kind: Kind) -> Option<TagType> {
    match kind {
        Kind::Flag => Some(TagType::Flag),
        Kind::Text => Some(TagType::Category),
        Kind::Number { scale } => Some(TagType::Number { scale }),
        Kind::Date => Some(TagType::Date),
        Kind::Set | Kind::Id | Kind::Instant => None,
    }
}

/// What each known column of an events file is to become.
fn event_expectation(args: &ImportArgs, schema: &Schema) -> Result<Expect, Failure> {
    let zone = TimeZone::get(&schema.time_zone).unwrap_or(TimeZone::UTC);
    let mut expect = Expect { columns: Vec::new(), others: Others::Refuse, time_zone: zone };
    for id_type in &schema.id_types {
        let source = args.id.iter().find(|(name, _)| name == id_type).map_or(id_type, |(_, column)| column);
        expect = expect.want_as(source, id_type, Kind::Id);
    }
    expect = expect.want_as(&args.at, "at", Kind::Instant).want("key", Kind::Id);
    if args.event.is_none() {
        expect = expect.want("event", Kind::Text);
    }
    for event in schema.events.iter().filter(|event| args.event.as_ref().is_none_or(|name| *name == event.name)) {
        for property in &event.properties {
            let kind = Kind::from(property.tag_type);
            match expect.columns.iter().find(|wanted| wanted.name == property.name) {
                Some(other) if other.kind != kind => {
                    let what = format!("`{}` is of different types in different events", property.name);
                    return Err(Failure::new(format!("{what}: load them apart, with --event")));
                }
                Some(_) => {}
                None => expect = expect.want(&property.name, kind),
            }
        }
    }
    Ok(expect)
}

/// What each known column of a file is to become.
fn expectation(args: &ImportArgs, schema: &Schema) -> Expect {
    let zone = TimeZone::get(&schema.time_zone).unwrap_or(TimeZone::UTC);
    let mut expect = Expect { columns: Vec::new(), others: Others::Refuse, time_zone: zone };
    for id_type in &schema.id_types {
        let source = args.id.iter().find(|(name, _)| name == id_type).map_or(id_type, |(_, column)| column);
        expect = expect.want_as(source, id_type, Kind::Id);
    }
    schema.tags.iter().fold(expect, |expect, tag| expect.want(&tag.name, Kind::from(tag.tag_type)))
}

fn load_all(
    args: &ImportArgs,
    schema: &Schema,
    target: &mut dyn Target,
    report: &mut Report,
) -> Result<Loaded, Failure> {
    let mut total = Loaded::default();
    let people = Content { about: About::Profiles, event: None };
    let behaviour = Content { about: About::Events, event: args.event.clone() };
    let mut files: Vec<(&PathBuf, &Content, Expect)> = Vec::new();
    for file in &args.profiles {
        files.push((file, &people, expectation(args, schema)));
    }
    for file in &args.events {
        files.push((file, &behaviour, event_expectation(args, schema)?));
    }
    for (file, content, expect) in files {
        let bar = bytes_bar();
        let start = std::time::Instant::now();
        let mut progress = |read: u64, of: u64, rows: u64| {
            bar.set_length(of);
            bar.set_position(read);
            let rate = rows as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!("{} rows, {} a second", grouped(rows), grouped(rate as u64)));
        };
        let loaded = load_file(file, &expect, content, target, &mut progress, &mut |bad| report.add(&bad))?;
        bar.finish_and_clear();
        total.accepted += loaded.accepted;
        total.created += loaded.created;
        total.joined += loaded.joined;
        total.duplicates += loaded.duplicates;
        total.rejected += loaded.rejected;
    }
    Ok(total)
}

/// A space of a running server: a frame is one batch of upsert lines.
struct ServerTarget {
    client: Client,
    ids: Vec<String>,
}

impl Target for ServerTarget {
    fn add(&mut self, frame: &Frame, about: About) -> Result<BatchOutcome, LoadError> {
        let failed = |message: String| LoadError::Server(message);
        let body = Shared::default();
        let ids = self.ids.clone();
        let (path, shape) = match about {
            About::Profiles => ("/profiles", Shape::Upserts { ids }),
            About::Events => ("/events", Shape::Events { ids }),
        };
        let mut lines = writer(body.clone(), Format::Ndjson, shape);
        lines.write(frame).map_err(|e| failed(e.to_string()))?;
        lines.finish().map_err(|e| failed(e.to_string()))?;
        let bytes = body.take();
        let answer = self.client.post(path, "application/x-ndjson", "application/json", &bytes);
        let answer: Value =
            serde_json::from_reader(answer.map_err(|f| failed(f.0))?).map_err(|e| failed(e.to_string()))?;
        let rejected = answer["rejected"].as_array().into_iter().flatten().map(|line| Rejected {
            row: line["line"].as_u64().unwrap_or(1) as u32 - 1,
            code: "rejected",
            message: format!("{}: {}", line["code"].as_str().unwrap_or(""), line["message"].as_str().unwrap_or("")),
        });
        Ok(BatchOutcome {
            accepted: answer["accepted"].as_u64().unwrap_or(0) as u32,
            created: answer["created"].as_u64().unwrap_or(0) as u32,
            joined: answer["joined"].as_u64().unwrap_or(0) as u32,
            duplicates: answer["duplicates"].as_u64().unwrap_or(0) as u32,
            rejected: rejected.collect(),
            data_version: answer["data_version"].as_u64().unwrap_or(0),
        })
    }
}

/// Bytes that a writer fills and the caller takes.
#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        self.0.lock().map(|mut bytes| std::mem::take(&mut *bytes)).unwrap_or_default()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::ErrorKind::Other)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bad lines: the first ones on the terminal, all of them in a file if one was named.
struct Report {
    file: Option<std::io::BufWriter<std::fs::File>>,
    count: u64,
}

impl Report {
    fn new(path: Option<&Path>) -> Result<Report, Failure> {
        let file = path.map(std::fs::File::create).transpose()?.map(std::io::BufWriter::new);
        Ok(Report { file, count: 0 })
    }

    fn add(&mut self, bad: &BadLine) {
        self.count += 1;
        if self.count <= BAD_LINES_SHOWN {
            eprintln!("{}:{}: {} ({})", bad.file.display(), bad.line, bad.message, bad.code);
        }
        if self.count == BAD_LINES_SHOWN + 1 && self.file.is_none() {
            eprintln!("… and more; --rejects FILE keeps them all");
        }
        if let Some(file) = &mut self.file {
            let line =
                serde_json::json!({"file": bad.file, "line": bad.line, "code": bad.code, "message": bad.message});
            // A full disk shows when the file is finished.
            let _ = writeln!(file, "{line}");
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.file.as_mut().map_or(Ok(()), Write::flush)?;
        Ok(())
    }
}
