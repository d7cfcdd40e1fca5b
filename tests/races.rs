//! Changes that meet a store snapshot half-way: what was acknowledged keeps its value whatever the keeper does meanwhile.

use std::sync::mpsc;

use headcount::engine::{Engine, EngineOptions, Question, Space, UpsertOptions, Where};
use storage::{OneId, Request};

/// Erasures and purges that an upsert is made to meet.
const ROUNDS: u32 = 60;

fn upsert(space: &Space, body: String) {
    let (sender, receiver) = mpsc::channel();
    space.upsert_lines(body.as_bytes(), UpsertOptions::default(), move |a| sender.send(a).unwrap()).unwrap();
    assert!(receiver.recv().unwrap().unwrap().rejected.is_empty());
}

fn count(space: &Space, text: &str) -> u64 {
    let question = Question { audience: Some(Where::Text(text.into())), ..Question::default() };
    space.count(&question, false).unwrap().value.count
}

/// The last person with a value is erased, and while that is purged somebody else is given the value.
fn check(with_new_value: bool) {
    let home = tempfile::tempdir().unwrap();
    let options = EngineOptions { threads: 1, ..EngineOptions::default() };
    let engine = Engine::open(home.path(), &options).unwrap();
    let schema = r#"{"id_types": ["member"], "tags": {"city": {"type": "category"}, "likes": {"type": "set"}}}"#;
    let space = engine.put_space("main", serde_json::from_str(schema).unwrap()).unwrap();
    let line = |id: String, value: String| {
        format!("{{\"id\":{{\"member\":\"{id}\"}},\"set\":{{\"city\":\"{value}\",\"likes\":[\"{value}\"]}}}}\n")
    };
    for round in 0..ROUNDS {
        upsert(&space, line(format!("last{round}"), format!("rare{round}")));
        let OneId(last) = space.find("member", &format!("last{round}")).unwrap();
        space.store().write_and_wait(Request::Erase(vec![OneId(last)])).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| space.store().snapshot(None).unwrap());
            std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 100));
            if with_new_value {
                upsert(&space, line(format!("other{round}"), format!("new{round}")));
            }
            upsert(&space, line(format!("next{round}"), format!("rare{round}")));
        });
    }
    let lost = |space: &Space| -> Vec<u32> {
        let has = |round: &u32| {
            let text = format!("member = 'next{round}' AND city = 'rare{round}' AND likes = 'rare{round}'");
            count(space, &text) == 1
        };
        (0..ROUNDS).filter(|round| !has(round)).collect()
    };
    assert_eq!(lost(&space), Vec::<u32>::new(), "rounds whose value is lost, of {ROUNDS}");
    drop((space, engine));
    let engine = Engine::open(home.path(), &options).unwrap();
    let after_reopening = lost(&engine.space("main").unwrap());
    assert_eq!(after_reopening, Vec::<u32>::new(), "rounds whose value is lost after reopening, of {ROUNDS}");
}

#[test]
fn a_value_given_again_while_its_last_holder_is_purged_keeps_its_text() {
    check(false);
}

#[test]
fn a_value_given_again_beside_a_new_one_while_its_last_holder_is_purged_keeps_its_text() {
    check(true);
}
