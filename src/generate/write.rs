//! The population as files: profiles, purchases and the schema, written on all cores with bounded memory.
//! The bytes are the same for a seed whatever the number of threads. Knows threads and files; knows no person.
//!
//! ```text
//!   jobs (parts in order) ──► workers: frames → encoded part ──► done ──► this thread: parts to the file, in order
//!        ▲ one more for each part written                                    └─ early ones wait here, few of them
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crossbeam::channel;

use super::population::{ID_TYPES, Population};
use crate::import::frame::Frame;
use crate::import::read::Format;
use crate::import::write::{Shape, WriteError, encode_head, encode_rows};
use crate::import::{Part, PartsFile, PartsLayout};

/// People in a part: what one thread encodes at a time, and a row group of Parquet.
const PART_PROFILES: u32 = 1 << 18;
/// People in a frame of a part.
const FRAME_PROFILES: u32 = 1 << 14;

/// What to generate and where.
#[derive(Debug, Clone)]
pub struct GenerateOptions {
    /// Number of people.
    pub profiles: u32,
    /// The seed: the same people for the same number.
    pub seed: u64,
    /// Format of the files.
    pub format: Format,
    /// Directory, made where it is not there.
    pub out: PathBuf,
    /// Threads that encode; at least one.
    pub threads: usize,
    /// Writes a file of visits too.
    pub visits: bool,
}

/// What was generated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of people.
    pub profiles: u64,
    /// Number of purchases.
    pub purchases: u64,
    /// Number of visits, where they were asked for.
    pub visits: u64,
    /// Length of all files.
    pub bytes: u64,
    /// The files: profiles, purchases, visits where asked for, schema.
    pub files: Vec<PathBuf>,
}

/// Why nothing (more) is generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The directory or a file cannot be made or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the writer says.
        source: WriteError,
    },
}

/// Writes `profiles`, `purchases`, perhaps `visits`, and `schema.json`. `progress` is told how many people are done, as
/// if each file were an equal part of the work.
///
/// # Errors
/// [`GenerateError`] where a file cannot be written; files begun are left as they are.
pub fn generate(options: &GenerateOptions, progress: &dyn Fn(u64)) -> Result<Summary, GenerateError> {
    let population = Population::new(options.seed, options.profiles);
    let io = |file: &Path| {
        let file = file.to_path_buf();
        move |source| GenerateError::Io { file, source }
    };
    fs::create_dir_all(&options.out).map_err(io(&options.out))?;
    let ids: Vec<String> = ID_TYPES.iter().map(|name| (*name).into()).collect();
    let mut summary = Summary { profiles: options.profiles.into(), ..Summary::default() };

    let upserts = Shape::Upserts { ids: ids.clone() };
    let events = Shape::Events { ids };
    let profile_rows = |range| population.profiles(range);
    let purchase_rows = |range| population.purchases(range);
    let visit_rows = |range| population.visits(range);
    let mut kinds = vec![
        Kind { name: "profiles", shape: upserts, rows: &profile_rows },
        Kind { name: "purchases", shape: events.clone(), rows: &purchase_rows },
    ];
    if options.visits {
        kinds.push(Kind { name: "visits", shape: events, rows: &visit_rows });
    }
    for (at, kind) in kinds.iter().enumerate() {
        let before = at as u64 * u64::from(options.profiles);
        let part = |done: u64| progress((before + done) / kinds.len() as u64);
        let (rows, bytes) = write_file(options, kind, &mut summary.files, &part)?;
        summary.bytes += bytes;
        match kind.name {
            "purchases" => summary.purchases = rows,
            "visits" => summary.visits = rows,
            _ => {}
        }
    }

    let path = options.out.join("schema.json");
    let mut schema = serde_json::to_vec_pretty(&population.schema_json()).expect("a value is JSON");
    schema.push(b'\n');
    fs::write(&path, &schema).map_err(io(&path))?;
    summary.bytes += schema.len() as u64;
    summary.files.push(path);
    Ok(summary)
}

/// A file's rows and how its lines look.
struct Kind<'a> {
    name: &'static str,
    shape: Shape,
    rows: &'a (dyn Fn(Range<u32>) -> Frame + Sync),
}

/// An encoded part with its rows.
struct Done {
    rows: u64,
    part: Encoded,
}

enum Encoded {
    Text(Vec<u8>),
    Group(Part),
}

/// The file being written.
enum Sink {
    Text(BufWriter<File>, u64),
    Parquet(PartsFile<BufWriter<File>>),
}

/// Writes one file; gives its rows and bytes.
fn write_file(
    options: &GenerateOptions,
    kind: &Kind,
    files: &mut Vec<PathBuf>,
    progress: &dyn Fn(u64),
) -> Result<(u64, u64), GenerateError> {
    let path = options.out.join(format!("{}.{}", kind.name, options.format.name()));
    let written = write_parts(&path, options, kind, progress);
    let counts = written.map_err(|source| GenerateError::Write { file: path.clone(), source })?;
    files.push(path);
    Ok(counts)
}

fn write_parts(
    path: &Path,
    options: &GenerateOptions,
    kind: &Kind,
    progress: &dyn Fn(u64),
) -> Result<(u64, u64), WriteError> {
    let (mut sink, layout) = Sink::create(path, options.format, &(kind.rows)(0..0))?;
    let parts = options.profiles.div_ceil(PART_PROFILES) as usize;
    let threads = options.threads.clamp(1, parts.max(1));
    let (job_sender, jobs) = channel::unbounded::<usize>();
    let (done_sender, done) = channel::unbounded();
    let encode = |number: usize| {
        let start = number as u32 * PART_PROFILES;
        let end = start.saturating_add(PART_PROFILES).min(options.profiles);
        encode_part(options.format, kind, layout.as_ref(), number, start..end)
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            let (jobs, done_sender, encode) = (jobs.clone(), done_sender.clone(), &encode);
            scope.spawn(move || {
                for number in jobs {
                    // The receiver is gone only where writing has failed.
                    if done_sender.send((number, encode(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done_sender);
        let mut numbers = 0..parts;
        // Two parts a thread are under way or waiting, never more.
        numbers.by_ref().take(2 * threads).for_each(|number| job_sender.send(number).expect("workers wait for jobs"));
        let mut early = BTreeMap::new();
        let mut rows = 0;
        for written in 0..parts {
            let next = loop {
                if let Some(next) = early.remove(&written) {
                    break next;
                }
                let (number, part) = done.recv().expect("workers send every part");
                early.insert(number, part?);
            };
            rows += next.rows;
            sink.append(next)?;
            numbers.next().into_iter().for_each(|number| job_sender.send(number).expect("workers wait for jobs"));
            progress(u64::from(options.profiles).min((written as u64 + 1) * u64::from(PART_PROFILES)));
        }
        drop(job_sender);
        Ok((rows, sink.finish()?))
    })
}

fn encode_part(
    format: Format,
    kind: &Kind,
    layout: Option<&Arc<PartsLayout>>,
    number: usize,
    range: Range<u32>,
) -> Result<Done, WriteError> {
    let mut text = Vec::new();
    let mut group = layout.map(|layout| layout.begin(number)).transpose()?;
    let mut rows = 0;
    for start in range.clone().step_by(FRAME_PROFILES as usize) {
        let frame = (kind.rows)(start..start.saturating_add(FRAME_PROFILES).min(range.end));
        rows += frame.rows as u64;
        match &mut group {
            Some(group) => group.write(&frame)?,
            None => encode_rows(format, &kind.shape, &frame, &mut text),
        }
    }
    let part = match group {
        Some(group) => Encoded::Group(group.finish()?),
        None => Encoded::Text(text),
    };
    Ok(Done { rows, part })
}

impl Sink {
    /// Begins a file for frames like `like`, which may be empty.
    fn create(path: &Path, format: Format, like: &Frame) -> Result<(Self, Option<Arc<PartsLayout>>), WriteError> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        if format == Format::Parquet {
            let file = PartsFile::new(file, like)?;
            let layout = file.layout();
            return Ok((Sink::Parquet(file), Some(layout)));
        }
        let mut head = Vec::new();
        encode_head(format, like, &mut head);
        file.write_all(&head)?;
        Ok((Sink::Text(file, head.len() as u64), None))
    }

    fn append(&mut self, done: Done) -> Result<(), WriteError> {
        match (self, done.part) {
            (Sink::Text(file, bytes), Encoded::Text(text)) => {
                *bytes += text.len() as u64;
                Ok(file.write_all(&text)?)
            }
            (Sink::Parquet(file), Encoded::Group(part)) => file.append(part),
            _ => unreachable!("a file has parts of its own format"),
        }
    }

    fn finish(self) -> Result<u64, WriteError> {
        match self {
            Sink::Text(mut file, bytes) => {
                file.flush()?;
                Ok(bytes)
            }
            Sink::Parquet(file) => file.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::import::infer::{About, infer};
    use crate::import::read;

    fn options(format: Format, threads: usize, out: &Path) -> GenerateOptions {
        GenerateOptions { profiles: 3_000, seed: 11, format, out: out.into(), threads, visits: true }
    }

    #[test]
    fn files_are_the_same_whatever_the_threads() {
        for format in [Format::Csv, Format::Ndjson, Format::Parquet] {
            let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let progress = Cell::new(0);
            let summary = generate(&options(format, 1, one.path()), &|done| progress.set(done)).unwrap();
            generate(&options(format, 3, three.path()), &|_| ()).unwrap();
            assert_eq!((summary.profiles, progress.get()), (3_000, 3_000));
            let mut bytes = 0;
            for file in &summary.files {
                let content = fs::read(file).unwrap();
                bytes += content.len() as u64;
                let other = three.path().join(file.file_name().unwrap());
                assert!(content == fs::read(&other).unwrap(), "{}", other.display());
            }
            assert_eq!(bytes, summary.bytes);
        }
    }

    #[test]
    fn files_read_back_as_the_population() {
        let population = Population::new(11, 3_000);
        let spelt = |frame: &Frame| {
            let mut out = Vec::new();
            encode_rows(Format::Ndjson, &Shape::Flat, frame, &mut out);
            out
        };
        for format in [Format::Csv, Format::Ndjson, Format::Parquet] {
            let out = tempfile::tempdir().unwrap();
            let summary = generate(&options(format, 2, out.path()), &|_| ()).unwrap();
            let cases = [
                (About::Profiles, population.profiles(0..3_000)),
                (About::Events, population.purchases(0..3_000)),
                (About::Events, population.visits(0..3_000)),
            ];
            for (file, (about, expected)) in summary.files.iter().zip(cases) {
                let proposal = infer(file, about).unwrap();
                let mut reader = read::open(file, &proposal.expect(jiff::tz::TimeZone::UTC)).unwrap();
                let mut frame = reader.next_frame().unwrap().unwrap();
                assert!(reader.next_frame().unwrap().is_none());
                // NDJSON names columns as they come, so some come in another order.
                frame.columns.sort_by_key(|(name, _)| expected.columns.iter().position(|(other, _)| other == name));
                assert!(spelt(&frame) == spelt(&expected), "{}", file.display());
            }
        }
    }

    #[test]
    fn nobody_makes_empty_files() {
        let out = tempfile::tempdir().unwrap();
        let options = GenerateOptions { profiles: 0, ..options(Format::Parquet, 2, out.path()) };
        let summary = generate(&options, &|_| ()).unwrap();
        assert_eq!((summary.purchases, summary.files.len()), (0, 4));
    }
}
