//! What the server says of itself: health, metrics, the description of the API.
//! Knows no space but by name and size.

use axum::http::StatusCode;

use super::app::{Lane, Outcome};
use super::call::Call;
use super::failure::Failure;
use super::metrics::Page;
use super::reply::{JSON, Reply};
use crate::engine::Space;

/// The API, in OpenAPI 3.1.
pub(super) const OPENAPI: &str = include_str!("openapi.json");
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /openapi.json`
pub(super) async fn openapi(call: Call) -> Outcome<Reply> {
    Ok(Reply::bytes(JSON, OPENAPI.as_bytes().to_vec()).compressed(call.coding()))
}

/// `GET /health/live`: the process answers.
pub(super) async fn live(_: Call) -> Outcome<Reply> {
    Ok(Reply::bytes(JSON, br#"{"status":"live"}"#.to_vec()))
}

/// `GET /health/ready`: every space takes writes and gives answers.
pub(super) async fn ready(call: Call) -> Outcome<Reply> {
    if call.app.engine.spaces().iter().any(|space| space.store().writes_stopped().is_some()) {
        let message = "a space has stopped taking writes; questions are still answered";
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "writes_stopped", message));
    }
    Ok(Reply::bytes(JSON, br#"{"status":"ready"}"#.to_vec()))
}

/// `GET /metrics`: of the server to all, of the spaces to whoever may see them all.
pub(super) async fn metrics(call: Call) -> Outcome<Reply> {
    let app = &call.app;
    let mut page = Page::default();
    page.family("headcount_build_info", "gauge", "The version that runs.");
    page.sample("headcount_build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1);
    page.server(&app.metrics);
    page.family("headcount_lane_in_flight", "gauge", "Work under way, by kind.");
    for (name, lane) in [
        ("question", Lane::Question),
        ("write", Lane::Write),
        ("stream", Lane::Stream),
        ("chore", Lane::Chore),
        ("follow", Lane::Follow),
    ] {
        page.sample("headcount_lane_in_flight", &format!("lane=\"{name}\""), app.in_flight(lane));
    }
    if let Some(bytes) = resident_bytes() {
        page.single("headcount_resident_bytes", "gauge", "Memory of the process.", bytes);
    }
    if call.caller.covers_all() {
        spaces(&mut page, &app.engine.spaces());
    }
    let labels = |method: &str, path: &str| format!("method=\"{method}\",route=\"{path}\"");
    let known = call.routes.iter().map(|route| (labels(route.method.as_str(), route.path), &route.metrics));
    page.routes(known.chain([(labels("-", "unknown"), &app.metrics.unknown)]));
    Ok(Reply::bytes(METRICS, page.into_bytes()).compressed(call.coding()))
}

fn spaces(page: &mut Page, spaces: &[std::sync::Arc<Space>]) {
    type Value = fn(&Space) -> u64;
    let families: [(&str, &str, Value); 5] = [
        ("headcount_profiles", "People in a space.", |space| space.store().view().profile_count().into()),
        ("headcount_data_version", "Last change of a space.", |space| space.store().view().data_version()),
        ("headcount_log_bytes", "Log since the last store snapshot.", |space| space.store().log_bytes()),
        ("headcount_writes_stopped", "1 once a space takes no writes.", |space| {
            space.store().writes_stopped().is_some().into()
        }),
        ("headcount_snapshot_failed", "1 while the last store snapshot failed.", |space| {
            space.store().snapshot_error().is_some().into()
        }),
    ];
    for (name, help, value) in families {
        page.family(name, "gauge", help);
        for space in spaces {
            page.sample(name, &format!("space=\"{}\"", space.name()), value(space));
        }
    }
}

/// Memory of the process, where the system tells.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
