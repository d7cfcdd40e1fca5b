//! Bitmaps: a value's people as a portable Roaring bitmap of OneIDs, in and out.
//! Knows names and modes; the format is checked by the store.

use roaring::RoaringBitmap;
use serde::Serialize;
use storage::field::{FALSE, TRUE};
use storage::portable::{read_portable, write_portable};
use storage::upload::holders;
use storage::{BitmapUpload, Request, TagId, TagType, UploadMode, View};

use super::app::{Lane, Outcome};
use super::call::Call;
use super::failure::Failure;
use super::reply::{ROARING, Reply};
use crate::engine::{Answer, Space};

/// Longest portable bitmap: all chunks full of bits, and their heads.
const BITMAP_BYTES_MAX: usize = (1 << 16) * (8192 + 8) + 8;

#[derive(Serialize)]
struct Changed {
    /// People who have gained or lost the value.
    changed: u32,
    /// OneIDs of the bitmap.
    one_ids: u64,
}

/// `POST …/bitmaps/{tag}/{value}?mode=set|add|remove`
pub(super) async fn put(call: Call) -> Outcome<Reply> {
    let modes = [("set", UploadMode::Set), ("add", UploadMode::Add), ("remove", UploadMode::Remove)];
    let mode = call.parameters(&["mode"])?.choice("mode", &modes)?;
    let space = call.space()?;
    let (tag, _) = named_tag(&space.store().view(), call.part("tag"))?;
    let (value, started) = (call.part("value").to_string(), call.started);
    let body = call.read_body(BITMAP_BYTES_MAX).await?;
    let app = call.app.clone();
    call.app
        .write(move |answering| {
            let read = body.inflated(&app).and_then(|(bytes, _held)| {
                read_portable(&bytes).map_err(|e| Failure::bad("bad_bitmap", e.to_string()))
            });
            let one_ids: RoaringBitmap = match read {
                Ok(one_ids) => one_ids,
                Err(failure) => return answering.answer(Err(failure)),
            };
            let count = one_ids.len();
            let reply = move |outcome: storage::Result<storage::Outcome>| {
                answering.answer(outcome.map_err(Failure::from).and_then(|outcome| {
                    let value = Changed { changed: outcome.accepted, one_ids: count };
                    let took_us = started.elapsed().as_micros() as u64;
                    Reply::json(&Answer { value, data_version: outcome.data_version, took_us, warnings: Vec::new() })
                }));
            };
            let upload = BitmapUpload { tag, value, one_ids, mode };
            space.store().write(Request::Bitmap(upload), Box::new(reply));
        })
        .await
}

/// `GET …/bitmaps/{tag}/{value}`: who has the value now; nobody where no one ever had it.
pub(super) async fn get(call: Call) -> Outcome<Reply> {
    call.parameters(&[])?;
    let (space, coding) = (call.space()?, call.coding());
    let (tag, value) = (call.part("tag").to_string(), call.part("value").to_string());
    call.app
        .ask(Lane::Question, move |_| {
            let (bytes, data_version) = bitmap_of(&space, &tag, &value)?;
            let reply = Reply::bytes(ROARING, bytes).header("x-headcount-data-version", data_version);
            Ok(reply.compressed(coding))
        })
        .await
}

fn bitmap_of(space: &Space, tag: &str, value: &str) -> Outcome<(Vec<u8>, u64)> {
    let view = space.store().view();
    let (tag, tag_type) = named_tag(&view, tag)?;
    let field = view.tag(tag);
    let value = match (tag_type, value) {
        (TagType::Flag, "true") => Some(TRUE),
        (TagType::Flag, "false") => Some(FALSE),
        (TagType::Flag, _) => None,
        (TagType::Category | TagType::Set, text) => field.values().find(text)?,
        (other, _) => {
            let message = format!("a bitmap shows a flag, category or set; this tag is a {}", other.name());
            return Err(Failure::refused("wrong_type", message));
        }
    };
    let have = match value {
        Some(value) => holders(field, value.0)?,
        None => RoaringBitmap::new(),
    };
    Ok((write_portable(&have), view.data_version()))
}

fn named_tag(view: &View, name: &str) -> Outcome<(TagId, TagType)> {
    let schema = view.schema();
    match schema.tag(name) {
        Some((tag, declared)) => Ok((tag, declared.tag_type)),
        None => Err(Failure::not_found("unknown_tag", format!("there is no tag `{name}`"))
            .nearest(name, schema.tags.iter().map(|tag| tag.name.as_str()))),
    }
}
