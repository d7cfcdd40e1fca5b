//! HTTP: counts over kept connections, one and several, and members as they stream; client and server on one machine.
//! Answers are asserted against members looked at one by one before they are timed.

mod population;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headcount::engine::{Engine, MAIN_SPACE};
use headcount::server::{ServeError, ServeOptions, Stop, serve_until};
use serde_json::{Value, json};

use population::{asked, count_one_by_one, is, is_any, label, number};

/// Connections that ask at a time.
const CONNECTIONS: u64 = 8;

struct Server {
    address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Server {
    fn start(engine: Engine, dir: &Path) -> Server {
        let options = ServeOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)), dir);
        let (sender, receiver) = mpsc::channel();
        let stop = Stop::default();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let ready = |address| sender.send(address).expect("someone waits");
            serve_until(Arc::new(engine), options, ready, &stopping)
        });
        Server { address: receiver.recv().expect("an address"), stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A kept connection.
struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Client { stream: BufReader::with_capacity(1 << 18, stream), line: String::new(), body: Vec::new() }
    }

    /// Sends a request and reads the answer's body.
    fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.stream.get_mut().write_all(request).expect("a server that reads");
        self.body.clear();
        assert!(self.next_line().contains(" 200 "), "{}", self.line);
        let mut length = None;
        loop {
            let line = self.next_line().to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse::<usize>().ok(),
                Some(_) => {}
                None => break,
            }
        }
        if let Some(length) = length {
            self.push(length);
            return &self.body;
        }
        loop {
            let length = usize::from_str_radix(self.next_line().trim(), 16).expect("the length of a chunk");
            self.push(length);
            self.next_line();
            if length == 0 {
                return &self.body;
            }
        }
    }

    fn next_line(&mut self) -> &str {
        self.line.clear();
        self.stream.read_line(&mut self.line).expect("an answer");
        &self.line
    }

    fn push(&mut self, length: usize) {
        let first = self.body.len();
        self.body.resize(first + length, 0);
        self.stream.read_exact(&mut self.body[first..]).expect("a whole answer");
    }
}

fn request(call: &str, accept: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = format!(
        "POST /v1/spaces/{MAIN_SPACE}/{call} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn counts(criterion: &mut Criterion) {
    let dir = population::directory();
    let engine = population::open(&dir);
    let space = engine.space(MAIN_SPACE).expect("the space");
    let women = count_one_by_one(&space, &["gender"], |c| is(&c[0], "F"));
    let clauses = "gender = 'F' AND city IN ('Shanghai', 'Hangzhou') AND age BETWEEN 25 AND 39";
    let some = count_one_by_one(&space, &["gender", "city", "age"], |c| {
        is(&c[0], "F") && is_any(&c[1], &["Shanghai", "Hangzhou"]) && matches!(number(&c[2]), Some(25..=39))
    });
    let server = Server::start(engine, &dir);
    for (name, text, wanted) in [("one_tag", "gender = 'F'", women), ("4_clauses", clauses, some)] {
        let request = request("count", "application/json", &json!({"where": text}));
        let mut client = Client::new(server.address);
        let answer: Value = serde_json::from_slice(client.ask(&request)).expect("JSON");
        assert_eq!(answer["count"], wanted, "{text}");
        let question = asked(text);
        criterion.bench_function(&format!("http_count/{name}_in_the_engine/{}", label()), |b| {
            b.iter(|| space.count(&question, false));
        });
        criterion.bench_function(&format!("http_count/{name}_1_connection/{}", label()), |b| {
            b.iter(|| client.ask(&request).len());
        });
        let mut group = criterion.benchmark_group("http_count");
        group.throughput(Throughput::Elements(1));
        let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::new(server.address)).collect();
        group.bench_function(format!("{name}_{CONNECTIONS}_connections/{}", label()), |b| {
            b.iter_custom(|times| {
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for (place, client) in (0..).zip(&mut clients) {
                        let share = times / CONNECTIONS + u64::from(place < times % CONNECTIONS);
                        let request = &request;
                        scope.spawn(move || (0..share).for_each(|_| assert!(!client.ask(request).is_empty())));
                    }
                });
                start.elapsed()
            });
        });
        group.finish();
    }
}

fn members(criterion: &mut Criterion) {
    let dir = population::directory();
    let engine = population::open(&dir);
    let space = engine.space(MAIN_SPACE).expect("the space");
    let count = count_one_by_one(&space, &["tier"], |c| is(&c[0], "V3"));
    let server = Server::start(engine, &dir);
    let mut client = Client::new(server.address);
    let body = json!({"where": "tier = 'V3'", "columns": ["member", "city", "spend"]});
    for (format, accept, lines_beside) in [("csv", "text/csv", 1), ("ndjson", "application/x-ndjson", 0)] {
        let request = request("members", accept, &body);
        let answer = client.ask(&request);
        let lines = answer.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(lines, count + lines_beside, "{format}");
        let mut group = criterion.benchmark_group("http_members");
        group.throughput(Throughput::Bytes(answer.len() as u64));
        group.bench_function(format!("3_columns_of_a_tier_{format}/{}", label()), |b| {
            b.iter(|| client.ask(&request).len());
        });
        group.finish();
    }
}

criterion_group! { name = http; config = population::criterion(); targets = counts, members }
criterion_main!(http);
