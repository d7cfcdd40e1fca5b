//! The table: what was asked, what it came to, how long everyone took and how near that is to what memory allows.
//! Knows medians and Markdown.

use std::fmt::Write;

use crate::CONTENDERS;
use crate::memory::{self, Bandwidth};
use crate::questions::Kind;

/// One question.
pub struct Row {
    /// How it is called.
    pub name: String,
    /// Of what kind it is.
    pub kind: Kind,
    /// Whether it is about events.
    pub is_of_events: bool,
    /// The count, number of groups or number that it came to.
    pub shown: f64,
    /// Whether rivals were let answer a question that is only alike.
    pub is_near: bool,
    /// Medians by contender; none where it was not asked.
    pub elapsed_ms: Vec<Option<f64>>,
    /// Bytes that the audience's plan touches.
    pub bytes: u64,
}

/// A question against the mere reading of its bitmaps.
pub struct Reading {
    /// How it is called.
    pub name: String,
    /// Bytes of the bitmaps.
    pub bytes: u64,
    /// Counting their bits with one thread.
    pub one_thread_ms: f64,
    /// And with all threads.
    pub all_threads_ms: f64,
    /// The whole question.
    pub headcount_ms: f64,
}

/// All of a run.
pub struct Table {
    people: u32,
    load: String,
    /// Of the machine, during the run.
    pub bandwidth: Bandwidth,
    /// Names and versions of the engines.
    pub versions: Vec<(String, String)>,
    /// In the order of the file.
    pub rows: Vec<Row>,
    /// Of the questions that are to be read.
    pub readings: Vec<Reading>,
}

impl Row {
    fn ours(&self) -> f64 {
        self.elapsed_ms[0].unwrap_or(f64::NAN)
    }

    /// The fastest rival's time by ours.
    fn ahead(&self) -> Option<f64> {
        let fastest = self.elapsed_ms[1..].iter().flatten().copied().min_by(f64::total_cmp);
        fastest.map(|fastest| fastest / self.ours())
    }
}

impl Table {
    /// A table without rows.
    pub fn new(people: u32, bandwidth: Bandwidth) -> Table {
        Table { people, load: load(), bandwidth, versions: Vec::new(), rows: Vec::new(), readings: Vec::new() }
    }

    /// The whole of it.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        self.put_machine(&mut out);
        let is_distribution = |kind: &Kind| matches!(kind, Kind::Distribution { .. });
        self.put_rows(&mut out, "Booleans", "count", |row| !row.is_of_events && row.kind == Kind::Count);
        self.put_rows(&mut out, "Distributions", "groups", |row| is_distribution(&row.kind));
        self.put_rows(&mut out, "Others", "answer", |row| {
            !row.is_of_events && row.kind != Kind::Count && !is_distribution(&row.kind)
        });
        self.put_events(&mut out);
        if !self.readings.is_empty() {
            self.put_readings(&mut out);
        }
        out
    }

    fn put_machine(&self, out: &mut String) {
        let Bandwidth { one_thread, all_threads, copy } = self.bandwidth;
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let _ = writeln!(
            out,
            "{} people. {}. {}. Runnable beside at the start: {}.\n\n\
             Milliseconds, medians of one run in which all are asked in turn; of the whole call: headcount, duckdb and \
             clickhouse from text to answer with all threads, the bitmap libraries from set algebra with one, so that \
             finding a text's plan is in headcount's times alone, and so are shares and indexes of distributions. The plan is \
             remembered from the first time on that a text is asked of the same data; 1 µs and more before. \
             `ahead` is the fastest rival's time by headcount's; ≈ where rivals answer a question that is only alike. `bytes` \
             are those that headcount's plan touches; bitmaps of ten million people may lie in caches, and then more than \
             all of memory's speed is had. Memory, the better of before and after: {one_thread:.1} GB/s counting the bits of 1 GiB with one thread \
             ({}, chosen at run time), {all_threads:.1} with {}; copying reads {copy:.1} GB/s with one.\n",
            grouped(self.people.into()),
            machine(),
            versions.join(", "),
            self.load,
            memory::level(),
            rayon::current_num_threads(),
        );
    }

    fn put_rows(&self, out: &mut String, title: &str, answer: &str, is_in: impl Fn(&Row) -> bool) {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| is_in(row)).collect();
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(
            out,
            "| {title} | {answer} | {} | ahead | bytes | of memory |\n|---|--:|{}",
            CONTENDERS.join(" | "),
            "--:|".repeat(CONTENDERS.len() + 3)
        );
        for row in &rows {
            let times: Vec<String> = row.elapsed_ms.iter().map(|t| t.map_or("-".into(), milliseconds)).collect();
            let ahead = row.ahead().map_or("-".into(), |ahead| format!("{}×", figures(ahead)));
            let speed = row.bytes as f64 / 1e6 / row.ours() / self.bandwidth.all_threads;
            let (bytes, share) = match row.kind {
                Kind::Count => (megabytes(row.bytes), format!("{:.0} %", speed * 100.0)),
                _ => ("-".into(), "-".into()),
            };
            let name = if row.is_near { format!("{} ≈", row.name) } else { row.name.clone() };
            let shown = if row.shown.fract() == 0.0 { grouped(row.shown as u64) } else { format!("{:.2}", row.shown) };
            let _ = writeln!(out, "| {name} | {shown} | {} | {ahead} | {bytes} | {share} |", times.join(" | "));
        }
        put_summary(out, title, &rows);
    }

    /// Questions of events: the bitmap libraries know none.
    fn put_events(&self, out: &mut String) {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.is_of_events).collect();
        if rows.is_empty() {
            return;
        }
        let asked = |row: &Row| row.elapsed_ms.iter().map(Option::is_some).collect::<Vec<bool>>();
        let columns: Vec<usize> = (0..CONTENDERS.len()).filter(|at| rows.iter().any(|row| asked(row)[*at])).collect();
        let names: Vec<&str> = columns.iter().map(|at| CONTENDERS[*at]).collect();
        let _ = writeln!(
            out,
            "| Events | answer | {} | ahead |\n|---|--:|{}--:|",
            names.join(" | "),
            "--:|".repeat(names.len())
        );
        for row in &rows {
            let times: Vec<String> =
                columns.iter().map(|at| row.elapsed_ms[*at].map_or("-".into(), milliseconds)).collect();
            let ahead = row.ahead().map_or("-".into(), |ahead| format!("{}×", figures(ahead)));
            let _ = writeln!(out, "| {} | {} | {} | {ahead} |", row.name, grouped(row.shown as u64), times.join(" | "));
        }
        put_summary(out, "Events", &rows);
    }

    fn put_readings(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "| Against reading the same bitmaps | bytes | loop, 1 thread | loop, all threads | headcount | by 1 | by all |\n\
             |---|--:|--:|--:|--:|--:|--:|"
        );
        for reading in &self.readings {
            let Reading { name, bytes, one_thread_ms, all_threads_ms, headcount_ms } = reading;
            let _ = writeln!(
                out,
                "| {name} | {} | {} | {} | {} | {}× | {}× |",
                megabytes(*bytes),
                milliseconds(*one_thread_ms),
                milliseconds(*all_threads_ms),
                milliseconds(*headcount_ms),
                figures(headcount_ms / one_thread_ms),
                figures(headcount_ms / all_threads_ms),
            );
        }
    }
}

fn put_summary(out: &mut String, title: &str, rows: &[&Row]) {
    let ahead: Vec<f64> = rows.iter().filter_map(|row| row.ahead()).collect();
    let mean = (ahead.iter().map(|a| a.ln()).sum::<f64>() / ahead.len() as f64).exp();
    let least = ahead.iter().copied().min_by(f64::total_cmp).unwrap_or(f64::NAN);
    let behind = ahead.iter().filter(|a| **a < 1.0).count();
    let _ = writeln!(
        out,
        "\n{title}: {}× ahead of the fastest rival in the geometric mean, {}× at the least; behind on {behind} of {}.\n",
        figures(mean),
        figures(least),
        rows.len()
    );
}

/// Processor and number of cores; no name of the machine.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {} ({}, default target)", model.unwrap_or("a processor"), std::env::consts::ARCH)
}

/// Processes that wanted to run in the last minute, on average.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_string()
}

fn milliseconds(value: f64) -> String {
    figures(value)
}

/// Three figures.
fn figures(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        v if v >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", figures(bytes as f64 / 1e6))
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
