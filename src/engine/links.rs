//! Links: lines that say that two identities are of one person become a batch for the writer.
//! Knows the line's shape; who is joined, and who is new, is decided by the store.
//!
//! `{"a": {"phone": "13800000000"}, "b": {"member": "M001"}}`: as if one line named both. Where each is of a profile these
//! become one; where only one is, it is given the other too; where none is, somebody new has both.

use std::borrow::Cow;

use storage::{IdColumn, IdTypeId, Schema, Upserts};

use super::upserts::{
    Batch, Building, Fault, LineRejected, Pairs, UpsertAnswer, UpsertOptions, id_columns, lines_of, read_ids,
};
use super::{Result, Space};

/// Parts of a line.
const PARTS: [&str; 2] = ["a", "b"];

impl Space {
    /// Takes a batch of NDJSON links, and calls `done` once it is durable and visible.
    ///
    /// # Errors
    /// As [`Space::upsert_lines`].
    pub fn link_lines(
        &self,
        body: &[u8],
        options: UpsertOptions,
        done: impl FnOnce(Result<UpsertAnswer>) + Send + 'static,
    ) -> Result<()> {
        self.upsert(LinkLines::new(self.store.view().schema()), lines_of(body), options, done)
    }
}

/// Identities of one side of a link.
type Side<'a> = Vec<(IdTypeId, Cow<'a, str>)>;

/// Lines of links.
struct LinkLines<'s> {
    schema: &'s Schema,
    /// Those of `a` and those of `b`.
    ids: [Vec<IdColumn>; 2],
    lines: Vec<u64>,
    refused: Vec<u32>,
    rejected: Vec<LineRejected>,
}

impl<'s> LinkLines<'s> {
    fn new(schema: &'s Schema) -> LinkLines<'s> {
        LinkLines {
            schema,
            ids: [id_columns(schema), id_columns(schema)],
            lines: Vec::new(),
            refused: Vec::new(),
            rejected: Vec::new(),
        }
    }

    fn read<'a>(&self, line: &'a [u8]) -> Result<[Side<'a>; 2], Fault> {
        let text = std::str::from_utf8(line).map_err(|e| ("bad_utf8", e.to_string()))?;
        let Pairs(parts) = serde_json::from_str(text).map_err(|e| ("bad_json", e.to_string()))?;
        if let Some((key, _)) = parts.iter().find(|(key, _)| !PARTS.contains(&key.as_ref())) {
            return Err(("unknown_key", format!("a link has a and b, no `{key}`")));
        }
        let side = |name: &str| {
            let raw = parts.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
            let ids = read_ids(self.schema, raw, name)?;
            if ids.is_empty() {
                return Err(("no_identity", format!("a link names at least one identity in `{name}`")));
            }
            Ok(ids)
        };
        Ok([side("a")?, side("b")?])
    }
}

impl Building for LinkLines<'_> {
    fn add(&mut self, line: &[u8], number: u64) {
        let row = self.lines.len() as u32;
        self.lines.push(number);
        match self.read(line) {
            Ok(sides) => {
                for (columns, side) in self.ids.iter_mut().zip(sides) {
                    for (id_type, id) in side {
                        columns[id_type.0 as usize].bytes.extend_from_slice(id.as_bytes());
                    }
                }
            }
            Err((code, message)) => {
                self.refused.push(row);
                self.rejected.push(LineRejected { line: number, code, message });
            }
        }
        for column in self.ids.iter_mut().flatten() {
            column.offsets.push(column.bytes.len() as u32);
        }
    }

    fn len(&self) -> usize {
        self.lines.len()
    }

    fn finish(self) -> Batch {
        let ids = self.ids.into_iter().flatten().filter(|column| !column.bytes.is_empty()).collect();
        let upserts = Upserts { rows: self.lines.len() as u32, ids, refused: self.refused, ..Upserts::default() };
        Batch { upserts, lines: self.lines, rejected: self.rejected }
    }
}
