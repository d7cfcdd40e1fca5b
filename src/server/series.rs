//! Series: one route for what goes by day, the sizes of an audience and the events of its members.
//! Knows which of the two is asked for; each is answered elsewhere.

use super::app::Outcome;
use super::call::Call;
use super::failure::Failure;
use super::questions::ask;
use super::reply::Reply;
use super::states::sizes;

/// `POST …/series`
pub(super) async fn series(call: Call) -> Outcome<Reply> {
    ask(call, &["event", "measure", "from", "to", "by"], |space, question, fields| {
        match fields.get::<String>("event", "the name of an event")? {
            None => sizes(space, question, fields),
            // The one place where events are asked.
            Some(event) => {
                let message = format!("there is no event `{}`", event.chars().take(64).collect::<String>());
                Err(Failure::bad("unknown_event", message).pointer("/event"))
            }
        }
    })
    .await
}
