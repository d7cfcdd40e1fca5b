//! Routes: the one table of what the server answers, and who may ask it.
//! Knows methods, paths and roles; everything else is the handlers'.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::routing::any;

use super::app::{App, Outcome};
use super::call::Call;
use super::dispatch::dispatch;
use super::metrics::RouteMetrics;
use super::reply::Reply;
use super::tokens::Role;
use super::{
    about, acts, audiences, bitmaps, changes, frozen, lookalike, members, page, profiles, questions, snapshots, spaces,
    states,
};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anyone at all.
    Open,
    /// Whoever has the role, in whatever spaces.
    Server(Role),
    /// Whoever has the role in the space of the path, which must exist.
    Space(Role),
    /// As above; the space need not exist yet.
    NewSpace(Role),
}

type Handling = Pin<Box<dyn Future<Output = Outcome<Reply>> + Send>>;

/// One thing that the server answers.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handler: Box<dyn Fn(Call) -> Handling + Send + Sync>,
    pub(super) metrics: RouteMetrics,
}

fn route<F>(
    method: Method,
    path: &'static str,
    access: Access,
    handler: impl Fn(Call) -> F + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Outcome<Reply>> + Send + 'static,
{
    let handler = Box::new(move |call| Box::pin(handler(call)) as Handling);
    Route { method, path, access, handler, metrics: RouteMetrics::default() }
}

/// All routes.
#[rustfmt::skip]
pub(super) fn routes() -> Vec<Route> {
    const GET: Method = Method::GET;
    const PUT: Method = Method::PUT;
    const POST: Method = Method::POST;
    const DELETE: Method = Method::DELETE;
    use Access::{NewSpace, Open, Server, Space};
    use Role::{Admin, Read, Write};
    vec![
        route(GET, "/", Open, page::index),
        route(GET, "/docs", Open, page::docs),
        route(GET, "/page/{file}", Open, page::file),
        route(GET, "/openapi.json", Open, about::openapi),
        route(GET, "/health/live", Open, about::live),
        route(GET, "/health/ready", Open, about::ready),
        route(GET, "/metrics", Open, about::metrics),

        route(GET, "/v1/spaces", Server(Read), spaces::list),
        route(PUT, "/v1/spaces/{space}", NewSpace(Admin), spaces::put),
        route(GET, "/v1/spaces/{space}", Space(Read), spaces::describe),

        route(POST, "/v1/spaces/{space}/profiles", Space(Write), profiles::upsert),
        route(POST, "/v1/spaces/{space}/events", Space(Write), profiles::add_events),
        route(POST, "/v1/spaces/{space}/identities", Space(Write), profiles::link),
        route(GET, "/v1/spaces/{space}/profiles/{id_type}/{id}", Space(Read), profiles::portrait),
        route(DELETE, "/v1/spaces/{space}/profiles/{id_type}/{id}", Space(Admin), profiles::erase),
        route(POST, "/v1/spaces/{space}/bitmaps/{tag}/{value}", Space(Write), bitmaps::put),
        route(GET, "/v1/spaces/{space}/bitmaps/{tag}/{value}", Space(Read), bitmaps::get),

        route(POST, "/v1/spaces/{space}/snapshots", Space(Admin), snapshots::take),
        route(GET, "/v1/spaces/{space}/snapshots", Space(Read), snapshots::list),
        route(DELETE, "/v1/spaces/{space}/snapshots/{name}", Space(Admin), snapshots::delete),

        route(GET, "/v1/spaces/{space}/audiences", Space(Read), audiences::list),
        route(PUT, "/v1/spaces/{space}/audiences/{name}", Space(Write), audiences::put),
        route(GET, "/v1/spaces/{space}/audiences/{name}", Space(Read), audiences::show),
        route(DELETE, "/v1/spaces/{space}/audiences/{name}", Space(Write), audiences::delete),
        route(POST, "/v1/spaces/{space}/audiences/{name}/freeze", Space(Write), frozen::freeze),
        route(GET, "/v1/spaces/{space}/audiences/{name}/snapshots", Space(Read), frozen::list),
        route(DELETE, "/v1/spaces/{space}/audiences/{name}/snapshots/{date}", Space(Write), frozen::delete),
        route(GET, "/v1/spaces/{space}/audiences/{name}/trend", Space(Read), frozen::trend),
        route(GET, "/v1/spaces/{space}/audiences/{name}/changes", Space(Read), changes::read),

        route(POST, "/v1/spaces/{space}/query", Space(Read), questions::query),
        route(POST, "/v1/spaces/{space}/count", Space(Read), questions::count),
        route(POST, "/v1/spaces/{space}/distribution", Space(Read), questions::distribution),
        route(POST, "/v1/spaces/{space}/crosstab", Space(Read), questions::crosstab),
        route(POST, "/v1/spaces/{space}/flow", Space(Read), states::flow),
        route(POST, "/v1/spaces/{space}/series", Space(Read), questions::series),
        route(POST, "/v1/spaces/{space}/funnel", Space(Read), questions::funnel),
        route(POST, "/v1/spaces/{space}/overlap", Space(Read), questions::overlap),
        route(POST, "/v1/spaces/{space}/differences", Space(Read), questions::differences),
        route(POST, "/v1/spaces/{space}/plan", Space(Read), questions::plan),
        route(POST, "/v1/spaces/{space}/explain", Space(Read), acts::explain),
        route(POST, "/v1/spaces/{space}/split", Space(Read), acts::split),
        route(POST, "/v1/spaces/{space}/audiences/{name}/split", Space(Read), acts::split_audience),
        route(POST, "/v1/spaces/{space}/waterfall", Space(Read), acts::waterfall),
        route(POST, "/v1/spaces/{space}/lookalike", Space(Read), lookalike::find),
        route(POST, "/v1/spaces/{space}/members", Space(Read), members::list),
    ]
}

/// The router: by path here, by method in `dispatch`, so that every answer has our shape.
pub(super) fn router(app: &Arc<App>) -> Router {
    let all = Arc::new(routes());
    let to = |at: Vec<usize>| {
        let (app, all) = (app.clone(), all.clone());
        any(move |request: Request| dispatch(app.clone(), all.clone(), at.clone(), request))
    };
    let mut router = Router::new();
    let mut seen: Vec<&str> = Vec::new();
    for route in all.iter().filter(|route| !route.path.is_empty()) {
        if !seen.contains(&route.path) {
            seen.push(route.path);
            let same_path = |(at, other): (usize, &Route)| (other.path == route.path).then_some(at);
            router = router.route(route.path, to(all.iter().enumerate().filter_map(same_path).collect()));
        }
    }
    router.fallback_service(to(Vec::new()).with_state(()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_api_description_names_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(about::OPENAPI).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if method == "parameters" {
                    continue;
                }
                described.insert(format!("{} {path}", method.to_uppercase()));
                assert!(operation["operationId"].is_string() && operation["responses"].is_object(), "{method} {path}");
            }
        }
        let served: BTreeSet<String> = routes().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_reference_of_the_api_description_leads_somewhere() {
        fn references(value: &serde_json::Value, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(members) => members.iter().for_each(|(key, member)| match member.as_str() {
                    Some(text) if key == "$ref" => found.push(text.trim_start_matches('#').into()),
                    _ => references(member, found),
                }),
                serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document: serde_json::Value = serde_json::from_str(about::OPENAPI).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for pointer in found {
            assert!(document.pointer(&pointer).is_some(), "{pointer}");
        }
    }
}
