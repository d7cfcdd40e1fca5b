//! A server in this process on a free port, and a client of a few lines over a socket.
//! Loopback only; every wait has a bound.
// Each test that it is part of uses some of it.
#![allow(dead_code)]

pub mod hand;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use headcount::engine::{Engine, EngineOptions};
use headcount::server::{ServeError, ServeLimits, ServeOptions, Stop, serve_until};
use serde_json::{Value, json};

/// The space that there is from the start.
pub const MAIN: &str = "/v1/spaces/main";

pub struct Server {
    pub address: SocketAddr,
    pub stop: Stop,
    pub thread: Option<JoinHandle<Result<(), ServeError>>>,
    pub dir: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        Server::with(tempfile::tempdir().unwrap(), |_| {})
    }

    pub fn with(dir: tempfile::TempDir, change: impl FnOnce(&mut ServeLimits)) -> Server {
        let engine_options = EngineOptions { threads: 2, ..EngineOptions::default() };
        Server::with_engine(dir, engine_options, change)
    }

    pub fn with_engine(dir: tempfile::TempDir, engine: EngineOptions, change: impl FnOnce(&mut ServeLimits)) -> Server {
        let engine = Arc::new(Engine::open(dir.path(), &engine).unwrap());
        let mut options = ServeOptions::new("127.0.0.1:0".parse().unwrap(), dir.path());
        change(&mut options.limits);
        let (sender, receiver) = mpsc::channel();
        let stop = Stop::default();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            serve_until(engine, options, |address| sender.send(address).unwrap(), &stopping)
        });
        let address = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        Server { address, stop, thread: Some(thread), dir }
    }

    pub fn client(&self) -> Client {
        Client { stream: connect(self.address), token: None }
    }

    /// With some people in it.
    pub fn with_people() -> Server {
        let server = Server::start();
        let mut client = server.client();
        client.put(MAIN, &schema()).expect(200);
        client.post_text(&format!("{MAIN}/profiles"), PEOPLE).expect(200);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

pub fn schema() -> Value {
    json!({"id_types": ["member", "phone"], "tags": {
        "city": {"type": "category"}, "age": {"type": "number"}, "spend": {"type": "number", "scale": 2},
        "interests": {"type": "set"}, "vip": {"type": "flag"}, "birthday": {"type": "date"}}})
}

/// Four of them, and a blank line.
pub const PEOPLE: &str = r#"{"id": {"member": "a", "phone": "1"}, "set": {"city": "Oslo", "age": 31, "spend": 12.50, "vip": true, "interests": ["yoga", "tea"], "birthday": "1990-02-28"}}
{"id": {"member": "b"}, "set": {"city": "Rome", "age": 25, "interests": ["tea"]}}
{"id": {"member": "c"}, "set": {"city": "Oslo, \"old\"", "vip": false}}

{"id": {"member": "d"}, "set": {"age": 31}}
"#;

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// One connection, kept alive.
pub struct Client {
    pub stream: TcpStream,
    pub token: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {:?}", self.head, self.text()))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} {}", self.head, String::from_utf8_lossy(&self.body));
        let json = self.json();
        if status == 200 {
            assert!(json["took_us"].is_u64() && json["data_version"].is_u64(), "{json}");
        } else {
            assert!(json["error"]["message"].is_string(), "{json}");
        }
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.header("x-request-id").is_some());
        json
    }

    /// Status, code, and the place as text.
    #[track_caller]
    pub fn failure(self) -> (u16, String, String) {
        let status = self.status;
        let error = self.expect(status)["error"].clone();
        (status, error["code"].as_str().unwrap().into(), error["at"].to_string())
    }
}

impl Client {
    pub fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(body.unwrap_or(b""));
        self.stream.write_all(&bytes).unwrap();
        read_answer(&mut self.stream, method == "HEAD").unwrap()
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, &[], None)
    }

    pub fn put(&mut self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path, &[("Content-Type", "application/json")], Some(body.to_string().as_bytes()))
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[("Content-Type", "application/json")], Some(body.to_string().as_bytes()))
    }

    pub fn post_text(&mut self, path: &str, body: &str) -> Answer {
        self.call("POST", path, &[("Content-Type", "application/x-ndjson")], Some(body.as_bytes()))
    }

    pub fn delete(&mut self, path: &str) -> Answer {
        self.call("DELETE", path, &[], None)
    }

    pub fn ask(&mut self, question: &str, body: &Value) -> Answer {
        self.post(&format!("{MAIN}/{question}"), body)
    }

    #[track_caller]
    pub fn count(&mut self, audience: impl Into<Value>) -> u64 {
        self.ask("count", &json!({"where": audience.into()})).expect(200)["count"].as_u64().unwrap()
    }

    pub fn members(&mut self, accept: &str, body: &Value) -> Answer {
        self.call("POST", &format!("{MAIN}/members"), &[("Accept", accept)], Some(body.to_string().as_bytes()))
    }
}

/// Reads one answer; `None` once the connection is closed without one.
pub fn read_answer(stream: &mut TcpStream, is_head: bool) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer { status, head, body: Vec::new() };
    if is_head {
        return Some(answer);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let length = usize::from_str_radix(&read_line(stream)?, 16).unwrap();
            let mut chunk = vec![0; length];
            stream.read_exact(&mut chunk).ok()?;
            answer.body.extend(chunk);
            read_line(stream)?;
            if length == 0 {
                return Some(answer);
            }
        }
    }
    let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
    answer.body = vec![0; length];
    stream.read_exact(&mut answer.body).ok()?;
    Some(answer)
}

pub fn read_line(stream: &mut TcpStream) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    Some(String::from_utf8(line).unwrap().trim().into())
}
