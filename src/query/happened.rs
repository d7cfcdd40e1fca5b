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
use super::exec::{ChunkSet, Gathered, RowsRun, Share, UNKNOWN};
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
    let mut latest = Vec::new();
    for id in 0..ctx.view.schema().events.len() as u32 {
        let rows = EventRows { event: EventId(id), test: RowTest::All };
        latest.extend(latest_of(ctx, one_id, &rows, most)?.1);
    }
    latest.sort_by_key(|happened| std::cmp::Reverse(happened.second));
    latest.truncate(most);
    Ok(latest)
}

/// How many events of one kind a profile has that pass, and the latest of them, newest first.
///
/// # Errors
/// Damage of the store.
pub(crate) fn latest_of(
    ctx: &Context<'_>,
    one_id: OneId,
    rows: &EventRows,
    most: usize,
) -> Result<(usize, Vec<Happened>)> {
    let declared = &ctx.view.schema().events[rows.event.0 as usize];
    let properties = (0..declared.properties.len() as u32).map(|p| RowColumn::Property(PropertyId(p)));
    let columns: Vec<RowColumn> = [RowColumn::At].into_iter().chain(properties).collect();
    let found = rows_of(ctx, one_id, rows, &columns)?;
    let source = queryparser::Source::Text("".into());
    let binder = Binder::new(ctx, &source);
    let mut latest = Vec::new();
    for row in (0..found[0].len()).rev().take(most) {
        let second = found[0][row];
        let mut properties = Vec::new();
        for (property, values) in declared.properties.iter().zip(&found[1..]) {
            let name = Name { text: property.name.clone(), span: Span::default() };
            let value = Some(values[row]).filter(|value| *value != UNKNOWN);
            if value.is_some() {
                let cell = row_cell(ctx, rows.event, binder.row_name(rows.event, &name)?, value)?;
                properties.push((property.name.clone(), cell));
            }
        }
        let at = moment_text(&ctx.view.schema().time_zone, second);
        latest.push(Happened { event: declared.name.clone(), at, properties, second });
    }
    Ok((found[0].len(), latest))
}

/// Some columns of a profile's rows that pass, by time, [`UNKNOWN`] where a value is.
///
/// # Errors
/// Damage of the store.
pub(crate) fn rows_of(
    ctx: &Context<'_>,
    one_id: OneId,
    rows: &EventRows,
    columns: &[RowColumn],
) -> Result<Vec<Vec<i64>>> {
    let (stripe, chunk) = (stripe_of(one_id.0), in_stripe(one_id.0) as usize / CHUNK_PROFILES as usize);
    let Some(run) = RowsRun::open(ctx.view, rows, &Share { stripe, chunks: chunk..chunk + 1 })? else {
        return Ok(vec![Vec::new(); columns.len()]);
    };
    let mut gathered = Gathered::default();
    run.gather(chunk, Some(&ChunkSet::Ids(vec![one_id.0 as u16])), columns, &mut gathered);
    Ok(gathered.columns)
}
