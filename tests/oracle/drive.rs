//! The product under test: an engine on a directory of its own, asked through its public calls.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use headcount::engine::{Engine, EngineOptions, MembersRequest, Question, Space, UpsertAnswer, UpsertOptions, Where};
use headcount::query::cell::Cell;
use jiff::civil::Date;
use queryparser::ast::Predicate;
use storage::{BitmapUpload, OneId, Request, TagId, UploadMode};

use super::people::Mode;

/// Whether the product takes events; worlds have none while it does not.
pub const EVENTS: bool = true;

/// Whether the product answers `was`; worlds remember no earlier states while it does not.
pub const EARLIER_STATES: bool = true;

/// An engine that can be closed and opened again.
pub struct Product {
    home: tempfile::TempDir,
    options: EngineOptions,
    engine: Option<Engine>,
}

impl Product {
    /// A fresh one with an empty space `main`.
    pub fn fresh(options: EngineOptions) -> Product {
        let home = tempfile::tempdir().unwrap();
        let engine = Some(Engine::open(home.path(), &options).unwrap());
        Product { home, options, engine }
    }

    /// Its data directory.
    pub fn dir(&self) -> &Path {
        self.home.path()
    }

    /// The directory of its space.
    pub fn space_dir(&self) -> PathBuf {
        self.home.path().join("spaces/main")
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the engine is open")
    }

    pub fn space(&self) -> Arc<Space> {
        self.engine().space("main").unwrap()
    }

    pub fn close(&mut self) {
        self.engine = None;
    }

    pub fn open(&mut self) {
        self.engine = Some(Engine::open(self.home.path(), &self.options).unwrap());
    }

    pub fn upsert(&self, body: &str, options: UpsertOptions) -> UpsertAnswer {
        let (sender, receiver) = mpsc::channel();
        self.space().upsert_lines(body.as_bytes(), options, move |answer| sender.send(answer).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap()
    }

    pub fn events(&self, body: &str, options: UpsertOptions) -> UpsertAnswer {
        let (sender, receiver) = mpsc::channel();
        self.space().event_lines(body.as_bytes(), options, move |answer| sender.send(answer).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap()
    }

    pub fn link(&self, body: &str, options: UpsertOptions) -> UpsertAnswer {
        let (sender, receiver) = mpsc::channel();
        self.space().link_lines(body.as_bytes(), options, move |answer| sender.send(answer).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap()
    }

    pub fn erase(&self, one_ids: &[u32]) -> u32 {
        let request = Request::Erase(one_ids.iter().map(|id| OneId(*id)).collect());
        self.space().store().write_and_wait(request).unwrap().accepted
    }

    pub fn upload(&self, tag: usize, value: &str, ids: &BTreeSet<u32>, mode: Mode) -> storage::Result<()> {
        let mode = match mode {
            Mode::Set => UploadMode::Set,
            Mode::Add => UploadMode::Add,
            Mode::Remove => UploadMode::Remove,
        };
        let upload = BitmapUpload { tag: TagId(tag as u32), value: value.into(), one_ids: ids.iter().collect(), mode };
        self.space().store().write_and_wait(Request::Bitmap(upload)).map(drop)
    }

    /// Everything that is wrong with the files, after closing.
    pub fn verify_closed(&mut self) -> Vec<String> {
        self.close();
        match storage::verify::verify_space(&self.space_dir()) {
            Ok(report) => report.problems,
            Err(error) => vec![error.to_string()],
        }
    }
}

/// A question by text.
pub fn by_text(predicate: &Predicate, as_of: Date) -> Question {
    let audience = Some(Where::Text(queryparser::predicate_text(predicate)));
    Question { audience, as_of: Some(as_of), ..Question::default() }
}

/// A question by tree.
pub fn by_tree(predicate: &Predicate, as_of: Date) -> Question {
    let audience = Some(Where::Tree(queryparser::predicate_tree(predicate)));
    Question { audience, as_of: Some(as_of), ..Question::default() }
}

/// The members' rows.
pub fn rows(
    space: &Space,
    question: &Question,
    request: &MembersRequest,
) -> Result<Vec<(u32, Vec<Cell<'static>>)>, String> {
    let mut rows = Vec::new();
    let each = |one_id: u32, cells: &[Cell<'_>]| {
        rows.push((one_id, cells.iter().map(|c| c.clone().into_owned()).collect()));
        Ok(())
    };
    space.members(question, request, |_, _| Ok(()), each).map_err(|e| e.to_string())?;
    Ok(rows)
}
