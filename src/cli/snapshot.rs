//! `headcount snapshot`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::show::table;
use super::{Outcome, TargetArgs};
use crate::engine::{Engine, EngineOptions};

/// Arguments of `snapshot`.
#[derive(Args)]
pub(super) struct SnapshotArgs {
    /// Keep it under this name until it is deleted; else it is today's state, kept for as long as the policy has it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// List store snapshots instead of taking one
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Takes a store snapshot, or lists them.
pub(super) fn run(args: &SnapshotArgs) -> Outcome {
    let all = match Client::of(&args.target) {
        Some(client) if args.list => client.get("/snapshots")?["snapshots"].clone(),
        Some(client) => json!([client.post_json("/snapshots", &json!({"name": args.name}))?]),
        None => {
            let options = EngineOptions { read_only: args.list, ..EngineOptions::default() };
            let engine = Engine::open(&args.target.data.data, &options)?;
            let space = engine.space(&args.target.space)?;
            let store = space.store();
            let found = match &args.name {
                _ if args.list => store.snapshots()?,
                Some(name) => vec![store.snapshot(Some(name))?],
                None => vec![store.snapshot_dated(store.today())?],
            };
            let row = |info: storage::SnapshotInfo| {
                json!({"name": info.name, "date": info.date.map(|date| date.to_string()), "data_version": info.data_version, "profiles": info.profile_count,
                       "bytes": info.bytes, "taken_at": taken_at(info.taken_at)})
            };
            Value::Array(found.into_iter().map(row).collect())
        }
    };
    let columns = ["name", "date", "data_version", "profiles", "bytes", "taken_at"].map(String::from);
    let rows: Vec<Vec<Value>> = all
        .as_array()
        .into_iter()
        .flatten()
        .map(|info| columns.iter().map(|name| info[name.as_str()].clone()).collect())
        .collect();
    println!("{}", table(&columns, &rows));
    Ok(ExitCode::SUCCESS)
}

fn taken_at(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |t| t.to_string())
}
