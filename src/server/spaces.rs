//! Spaces: their schemas, what is in them, and what they cost.
//! Knows the shapes of these answers; sizes come from the store.

use std::collections::BTreeMap;

use serde::Serialize;
use storage::events::EventBytes;
use storage::field::FieldBytes;
use storage::schema::{EventJson, TagJson};
use storage::{IdTypeId, SchemaJson, TagId, View};

use super::about::resident_bytes;
use super::app::{Lane, Outcome};
use super::call::Call;
use super::failure::Failure;
use super::json::{Fields, misfit};
use super::reply::Reply;
use super::snapshots::SnapshotShape;
use crate::engine::{Answer, Space};

/// Longest schema, in bytes.
const SCHEMA_BYTES_MAX: usize = 8 << 20;
const SCHEMA_VALUES_MAX: usize = 200_000;

#[derive(Serialize)]
struct SpaceList {
    spaces: Vec<SpaceLine>,
    took_us: u64,
}

#[derive(Serialize)]
struct SpaceLine {
    name: String,
    profile_count: u32,
    data_version: u64,
}

#[derive(Serialize)]
struct Description {
    name: String,
    schema: SchemaJson,
    profile_count: u32,
    /// OneIDs given out, those of erased people among them.
    one_ids: u32,
    tags: BTreeMap<String, TagCost>,
    id_types: BTreeMap<String, IdTypeCost>,
    events: BTreeMap<String, EventCost>,
    live: Cost,
    memory_bytes: u64,
    disk_bytes: u64,
    bytes_per_person: Option<f64>,
    log_bytes: u64,
    last_snapshot: Option<SnapshotShape>,
    writes_stopped: bool,
    snapshot_failed: bool,
    resident_bytes: Option<u64>,
}

/// Bytes of one field: in memory what changed since the last store snapshot, on disk (and mapped) the rest.
#[derive(Serialize)]
struct Cost {
    memory_bytes: u64,
    disk_bytes: u64,
    bitmaps_disk_bytes: u64,
    forward_disk_bytes: u64,
    dictionary_disk_bytes: u64,
}

#[derive(Serialize)]
struct TagCost {
    #[serde(flatten)]
    declared: TagJson,
    /// Different values that the tag has ever had.
    value_count: u32,
    #[serde(flatten)]
    cost: Cost,
}

#[derive(Serialize)]
struct IdTypeCost {
    /// People who have such an identity.
    profile_count: u64,
    /// Bytes from identity to person and back, a person.
    bytes_per_identity: Option<f64>,
    #[serde(flatten)]
    cost: Cost,
}

#[derive(Serialize)]
struct EventCost {
    #[serde(flatten)]
    declared: EventJson,
    /// Events kept, those of profiles who were erased or joined since the last store snapshot among them.
    event_count: u64,
    memory_bytes: u64,
    rows_disk_bytes: u64,
    dictionary_disk_bytes: u64,
}

/// `GET /v1/spaces`: those that the caller may see.
pub(super) async fn list(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let spaces = call.app.engine.spaces().into_iter().filter(|space| call.caller.covers(space.name()));
    let lines = spaces.map(|space| {
        let view = space.store().view();
        let (profile_count, data_version) = (view.profile_count(), view.data_version());
        SpaceLine { name: space.name().into(), profile_count, data_version }
    });
    Reply::json(&SpaceList { spaces: lines.collect(), took_us: call.took_us() })
}

/// `PUT /v1/spaces/{space}`: makes the space if need be and adds to its schema.
pub(super) async fn put(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let body = call.read_body(SCHEMA_BYTES_MAX).await?;
    let (app, name, started) = (call.app.clone(), call.part("space").to_string(), call.started);
    call.app
        .chore(move || {
            let (bytes, _held) = body.inflated(&app)?;
            let spaces_max = app.options.limits.spaces_max;
            if app.engine.space(&name).is_err() && app.engine.spaces().len() >= spaces_max {
                let message = format!("there are {spaces_max} spaces already, and no more are made");
                return Err(Failure::refused("too_many_spaces", message));
            }
            let view = app.engine.put_space(&name, schema(&bytes)?)?.store().view();
            Reply::json(&Answer {
                value: view.schema().to_json(),
                data_version: view.data_version(),
                took_us: started.elapsed().as_micros() as u64,
                warnings: Vec::new(),
            })
        })
        .await
}

fn schema(bytes: &[u8]) -> Outcome<SchemaJson> {
    let fields = Fields::read(bytes, &["time_zone", "id_types", "tags", "events"], SCHEMA_VALUES_MAX)?;
    let mut tags = BTreeMap::new();
    let raw: Option<BTreeMap<String, &serde_json::value::RawValue>> = fields.get("tags", "an object of tags")?;
    for (name, raw) in raw.unwrap_or_default() {
        let expected = "{\"type\": \"flag\" | \"category\" | \"set\" | \"number\" | \"date\", \"scale\"?: 0 to 9}";
        let tag: TagJson = serde_json::from_str(raw.get())
            .map_err(|_| misfit(&name, expected, raw).pointer(format!("/tags/{name}")))?;
        tags.insert(name, tag);
    }
    let mut events = BTreeMap::new();
    let raw: Option<BTreeMap<String, &serde_json::value::RawValue>> = fields.get("events", "an object of events")?;
    for (name, raw) in raw.unwrap_or_default() {
        let expected = "{\"properties\": {name: {\"type\": …}}, \"retain_days\"?: days}";
        let event: EventJson = serde_json::from_str(raw.get())
            .map_err(|_| misfit(&name, expected, raw).pointer(format!("/events/{name}")))?;
        events.insert(name, event);
    }
    Ok(SchemaJson {
        events,
        time_zone: fields.get("time_zone", "an IANA name like \"Asia/Shanghai\"")?,
        id_types: fields.get("id_types", "a list of names")?.unwrap_or_default(),
        tags,
    })
}

/// `GET /v1/spaces/{space}`
pub(super) async fn describe(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, coding, started) = (call.space()?, call.coding(), call.started);
    call.app
        .ask(Lane::Question, move |_| {
            let view = space.store().view();
            let value = description(&space, &view)?;
            let took_us = started.elapsed().as_micros() as u64;
            let answer = Answer { value, data_version: view.data_version(), took_us, warnings: Vec::new() };
            Ok(Reply::json(&answer)?.compressed(coding))
        })
        .await
}

fn description(space: &Space, view: &View) -> Outcome<Description> {
    let (store, schema) = (space.store(), view.schema());
    let mut all = FieldBytes::default();
    let mut cost = |bytes: FieldBytes| {
        all.memory += bytes.memory;
        all.bitmaps_disk += bytes.bitmaps_disk;
        all.forward_disk += bytes.forward_disk;
        all.dictionary_disk += bytes.dictionary_disk;
        Cost::from(bytes)
    };
    let mut tags = BTreeMap::new();
    for (tag, at) in schema.tags.iter().zip(0..) {
        let field = view.tag(TagId(at));
        let value_count = field.values().count();
        let tag_cost = TagCost { declared: tag.tag_type.into(), value_count, cost: cost(field.bytes()) };
        tags.insert(tag.name.clone(), tag_cost);
    }
    let mut id_types = BTreeMap::new();
    for (name, at) in schema.id_types.iter().zip(0..) {
        let field = view.id_type(IdTypeId(at));
        let (profile_count, cost) = (field.known_count().map_err(Failure::from)?, cost(field.bytes()));
        let bytes_per_identity = per(cost.memory_bytes + cost.disk_bytes, profile_count);
        id_types.insert(name.clone(), IdTypeCost { profile_count, bytes_per_identity, cost });
    }
    let live = cost(view.live().bytes());
    let mut events = BTreeMap::new();
    for (name, declared) in schema.to_json().events {
        let Some((id, _)) = schema.event(&name) else { continue };
        let (field, EventBytes { rows_disk, dictionary_disk, memory }) = (view.event(id), view.event(id).bytes());
        all.forward_disk += rows_disk;
        all.dictionary_disk += dictionary_disk;
        all.memory += memory;
        let event_cost = EventCost {
            declared,
            event_count: field.row_count().map_err(Failure::from)?,
            memory_bytes: memory,
            rows_disk_bytes: rows_disk,
            dictionary_disk_bytes: dictionary_disk,
        };
        events.insert(name, event_cost);
    }
    Ok(Description {
        name: space.name().into(),
        schema: schema.to_json(),
        profile_count: view.profile_count(),
        one_ids: view.next_one_id(),
        tags,
        id_types,
        events,
        live,
        memory_bytes: all.memory,
        disk_bytes: all.disk(),
        bytes_per_person: per(all.memory + all.disk(), view.profile_count().into()),
        log_bytes: store.log_bytes(),
        last_snapshot: store.snapshots()?.first().map(SnapshotShape::from),
        writes_stopped: store.writes_stopped().is_some(),
        snapshot_failed: store.snapshot_error().is_some(),
        resident_bytes: resident_bytes(),
    })
}

fn per(bytes: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| bytes as f64 / count as f64)
}

impl From<FieldBytes> for Cost {
    fn from(bytes: FieldBytes) -> Cost {
        Cost {
            memory_bytes: bytes.memory,
            disk_bytes: bytes.disk(),
            bitmaps_disk_bytes: bytes.bitmaps_disk,
            forward_disk_bytes: bytes.forward_disk,
            dictionary_disk_bytes: bytes.dictionary_disk,
        }
    }
}
