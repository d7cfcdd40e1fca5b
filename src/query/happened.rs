//! What a person did: the latest events of one profile, of all kinds together.
//! Knows rows and cells; portraits are `people`'s.

use queryparser::ast::{Name, Span};
use serde::{Serialize, Serializer};
use storage::ids::{CHUNK_PROFILES, in_stripe, stripe_of};
use storage::{EventId, OneId, PropertyId};

use super::bind::Binder;
use super::cell::Cell;
use super::context::Context;
use super::error::Result;
use super::exec::{ChunkSet, Gathered, RowsRun, UNKNOWN};
use super::plan::{EventRows, RowColumn, RowTest};
use super::select_events::{moment_text, row_cell};

/// One event of a person.
#[derive(Debug, Clone, Serialize)]
pub struct Happened {
    /// The event's name.
    pub event: String,
    /// When, as clocks of the space's zone show it.
    pub at: String,
    /// Known properties.
    #[serde(serialize_with = "as_map")]
    pub properties: Vec<(String, Cell<'static>)>,
    #[serde(skip)]
    second: i64,
}

fn as_map<S: Serializer>(pairs: &[(String, Cell<'static>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// Events that a portrait shows.
pub const PORTRAIT_EVENTS: usize = 100;

/// The latest events of a live profile, newest first; those of one second in reverse order of acceptance.
///
/// # Errors
/// Damage of the store.
pub fn latest_events(ctx: &Context<'_>, one_id: OneId, most: usize) -> Result<Vec<Happened>> {
    let schema = ctx.view.schema();
    let (stripe, chunk) = (stripe_of(one_id.0), in_stripe(one_id.0) as usize / CHUNK_PROFILES as usize);
    let among = ChunkSet::Ids(vec![one_id.0 as u16]);
    let mut latest = Vec::new();
    for (declared, id) in schema.events.iter().zip(0..) {
        let rows = EventRows { event: EventId(id), test: RowTest::All };
        let Some(run) = RowsRun::open(ctx.view, &rows, stripe)? else { continue };
        let properties = (0..declared.properties.len() as u32).map(|p| RowColumn::Property(PropertyId(p)));
        let columns: Vec<RowColumn> = [RowColumn::At].into_iter().chain(properties).collect();
        let mut gathered = Gathered::default();
        run.gather(chunk, Some(&among), &columns, &mut gathered);
        let source = queryparser::Source::Text("".into());
        let binder = Binder::new(ctx, &source);
        for row in (0..gathered.lows.len()).rev().take(most) {
            let second = gathered.columns[0][row];
            let mut properties = Vec::new();
            for (property, values) in declared.properties.iter().zip(&gathered.columns[1..]) {
                let name = Name { text: property.name.clone(), span: Span::default() };
                let value = Some(values[row]).filter(|value| *value != UNKNOWN);
                if value.is_some() {
                    let cell = row_cell(ctx, rows.event, binder.row_name(rows.event, &name)?, value)?;
                    properties.push((property.name.clone(), cell));
                }
            }
            let at = moment_text(&schema.time_zone, second);
            latest.push(Happened { event: declared.name.clone(), at, properties, second });
        }
    }
    latest.sort_by_key(|happened| std::cmp::Reverse(happened.second));
    latest.truncate(most);
    Ok(latest)
}
