//! DuckDB and ClickHouse, in a process of their own that answers one question at a time over its pipes.
//! Knows the lines that are exchanged; the SQL is the script's.
//!
//! ```text
//!   to    {"engine": "duckdb", "question": {…}, "answer": true}
//!   from  {"elapsed_ms": 1.25, "answer": {"": 535442}}
//!   first {"duckdb": "2.0.0", "clickhouse": "…"}      once both have loaded the people
//! ```

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::questions::Question;

/// The process.
pub struct Engines {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    /// Names and versions.
    pub versions: Vec<(String, String)>,
}

impl Engines {
    /// Starts the process and waits until it has loaded the people.
    pub fn start(command: &[String]) -> Engines {
        let mut child = Command::new(&command[0]);
        let child = child.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().expect("the engines' process");
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().expect("the engines' answers"));
        let mut engines = Engines { child, to, from, versions: Vec::new() };
        let versions = engines.line();
        let versions = versions.as_object().expect("the engines' versions").iter();
        engines.versions = versions.map(|(name, v)| (name.clone(), v.as_str().unwrap_or("").to_string())).collect();
        engines
    }

    /// Asks one engine; gives its milliseconds, and its answer if that is wanted.
    pub fn ask(&mut self, engine: &str, question: &Question, is_wanted: bool) -> (f64, Answer) {
        let line = json!({"engine": engine, "question": question.json, "answer": is_wanted});
        let to = self.to.as_mut().expect("the engines' questions");
        writeln!(to, "{line}").and_then(|()| to.flush()).expect("the engines' process reads");
        let reply = self.line();
        let elapsed_ms = reply["elapsed_ms"].as_f64().unwrap_or_else(|| panic!("{engine}, {}: {reply}", question.name));
        let answer = reply["answer"].as_object().into_iter().flatten();
        (elapsed_ms, answer.map(|(label, number)| (label.clone(), number.as_f64().unwrap_or(f64::NAN))).collect())
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the engines' process answers");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the engines said {line:?}: {e}"))
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        self.to = None;
        let _ = self.child.wait();
    }
}
