//! Store snapshots: taken, listed, deleted.
//! Knows names and shapes; what a store snapshot is made of is the store's matter.

use serde::Serialize;
use storage::SnapshotInfo;

use super::app::{Lane, Outcome};
use super::call::Call;
use super::failure::Failure;
use super::json::Fields;
use super::reply::Reply;
use super::states::date;
use crate::engine::Answer;

const BODY_BYTES_MAX: usize = 64 << 10;

/// A store snapshot as answers show it.
#[derive(Serialize)]
pub(super) struct SnapshotShape {
    name: Option<String>,
    date: Option<String>,
    data_version: u64,
    taken_at: String,
    profile_count: u32,
    bytes: u64,
}

impl From<&SnapshotInfo> for SnapshotShape {
    fn from(info: &SnapshotInfo) -> SnapshotShape {
        SnapshotShape {
            name: info.name.clone(),
            date: info.date.map(|date| date.to_string()),
            data_version: info.data_version,
            taken_at: jiff::Timestamp::from_second(info.taken_at).unwrap_or_default().to_string(),
            profile_count: info.profile_count,
            bytes: info.bytes,
        }
    }
}

#[derive(Serialize)]
struct Taken {
    #[serde(flatten)]
    snapshot: SnapshotShape,
    took_us: u64,
}

#[derive(Serialize)]
struct SnapshotList {
    snapshots: Vec<SnapshotShape>,
}

#[derive(Serialize)]
struct Deleted {
    deleted: bool,
}

/// `POST …/snapshots`: now; under a name it is kept until it is deleted, else as the state at the end of a day: today's
/// unless said, and then for as long as the policy has it.
pub(super) async fn take(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let space = call.space()?;
    let body = call.read_body(BODY_BYTES_MAX).await?;
    let (bytes, _held) = body.inflated(&call.app)?;
    let fields = Fields::read(&bytes, &["name", "keep", "date"], 100)?;
    let date = date(&fields, "date")?;
    let name: Option<String> = fields.get("name", "a text")?;
    let name = match (name, fields.get("keep", "true or false")?) {
        (Some(_), Some(false)) => {
            let message = "a store snapshot with a name is kept; leave the name out";
            return Err(Failure::bad("wrong_type", message).pointer("/keep"));
        }
        (None, Some(true)) => Some(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        (name, _) => name,
    };
    if name.is_some() && date.is_some() {
        let message = "a store snapshot is kept under a name or as the state at the end of a day: leave one out";
        return Err(Failure::bad("wrong_type", message).pointer("/date"));
    }
    let started = call.started;
    call.app
        .chore(move || {
            let store = space.store();
            let taken = match &name {
                Some(name) => store.snapshot(Some(name)),
                None => store.snapshot_dated(date.unwrap_or_else(|| store.today())),
            };
            let snapshot = SnapshotShape::from(&taken?);
            Reply::json(&Taken { snapshot, took_us: started.elapsed().as_micros() as u64 })
        })
        .await
}

/// `GET …/snapshots`
pub(super) async fn list(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, coding, started) = (call.space()?, call.coding(), call.started);
    call.app
        .ask(Lane::Question, move |_| {
            let snapshots = space.store().snapshots()?.iter().map(SnapshotShape::from).collect();
            let (value, data_version) = (SnapshotList { snapshots }, space.store().view().data_version());
            let took_us = started.elapsed().as_micros() as u64;
            Ok(Reply::json(&Answer { value, data_version, took_us, warnings: Vec::new() })?.compressed(coding))
        })
        .await
}

/// `DELETE …/snapshots/{name}`
pub(super) async fn delete(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, name, started) = (call.space()?, call.part("name").to_string(), call.started);
    call.app
        .chore(move || {
            space.store().delete_snapshot(&name)?;
            let (value, data_version) = (Deleted { deleted: true }, space.store().view().data_version());
            let took_us = started.elapsed().as_micros() as u64;
            Reply::json(&Answer { value, data_version, took_us, warnings: Vec::new() })
        })
        .await
}
