//! Failures: every error that a client can see, with its status, stable code and public text.
//! The one file that maps errors to HTTP. No path and no byte of a file leaves the server: detail goes to the log.

use axum::http::StatusCode;
use queryparser::{At, Diagnostic};
use serde::Serialize;
use serde_json::{Value, json};
use storage::SchemaError;

use crate::engine;
use crate::query;

/// Seconds after which a stopped writer is worth another try: somebody has to restart the server first.
const STOPPED_RETRY_S: u32 = 30;
/// Nobody reads it: the client has gone.
const CLIENT_GONE: u16 = 499;

/// An error as a client sees it, and what the log keeps besides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) at: Option<Box<Value>>,
    pub(super) hint: Option<String>,
    pub(super) retry_after_s: Option<u32>,
    /// Methods, of a 405.
    pub(super) allow: Option<Box<str>>,
    /// For the log alone.
    pub(super) detail: Option<Box<str>>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            status,
            code,
            message: message.into(),
            at: None,
            hint: None,
            retry_after_s: None,
            allow: None,
            detail: None,
        }
    }

    /// 400: the request itself is at fault.
    pub(super) fn bad(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 422: the request is understood, and refused.
    pub(super) fn refused(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 404.
    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 413.
    pub(super) fn body_too_large(bytes_max: usize) -> Failure {
        let message = format!("a body of this route has at most {bytes_max} bytes, after inflating");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).hint("send it in several requests")
    }

    /// 500: a bug of ours.
    pub(super) fn panicked() -> Failure {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed at this request; that is a bug")
    }

    /// 404: absent and not allowed look the same.
    pub(super) fn unknown_space(name: &str) -> Failure {
        Failure::not_found("unknown_space", format!("there is no space `{name}`"))
    }

    /// A name that is not known, with the nearest that is.
    pub(super) fn nearest<'n>(self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Failure {
        match queryparser::nearest(name, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The place in the request's JSON.
    pub(super) fn pointer(mut self, pointer: impl Into<String>) -> Failure {
        self.at = Some(Box::new(json!({"pointer": pointer.into()})));
        self
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Failure {
        self.retry_after_s = Some(seconds);
        self
    }

    fn detail(mut self, detail: impl ToString) -> Failure {
        self.detail = Some(detail.to_string().into());
        self
    }

    /// The body that a client gets.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let (at, hint) = (self.at.as_deref(), self.hint.as_deref());
        let error = Fields { code: self.code, message: &self.message, at, hint };
        serde_json::to_vec(&Body { error }).unwrap_or_default()
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Failure {
        match error {
            engine::Error::Query(error) => error.into(),
            engine::Error::Storage(error) => error.into(),
            engine::Error::UnknownSpace { name } => Failure::unknown_space(&name),
            engine::Error::UnknownAudience { ref hint, .. } => {
                let failure = Failure::not_found("unknown_audience", error.to_string());
                hint.iter().fold(failure, Failure::hint)
            }
            engine::Error::AudienceInUse { .. } => {
                Failure::new(StatusCode::CONFLICT, "audience_in_use", error.to_string())
            }
            engine::Error::UnknownProfile { .. } => Failure::not_found("unknown_profile", error.to_string()),
            engine::Error::Request { code, message, hint } => {
                let status = match code {
                    "unknown_id_type" | "unknown_snapshot" => StatusCode::NOT_FOUND,
                    "snapshot_in_use" => StatusCode::CONFLICT,
                    "changes_gone" => StatusCode::GONE,
                    "watching_stopped" => StatusCode::SERVICE_UNAVAILABLE,
                    "too_many_lines" => StatusCode::PAYLOAD_TOO_LARGE,
                    "internal" => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::BAD_REQUEST,
                };
                Failure { hint, ..Failure::new(status, code, message) }
            }
        }
    }
}

impl From<query::Error> for Failure {
    fn from(error: query::Error) -> Failure {
        let message = error.to_string();
        match error {
            query::Error::Question(diagnostic) => (*diagnostic).into(),
            query::Error::Request { code, pointer, message, hint } => {
                Failure { hint, ..Failure::new(question_status(code), code, message).pointer(pointer) }
            }
            query::Error::TimedOut { .. } => Failure::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", message)
                .hint("ask for less, or give it more time in `timeout_ms`"),
            query::Error::Cancelled => {
                let status = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST);
                Failure::new(status, "cancelled", message)
            }
            query::Error::TooLarge { .. } => Failure::refused("too_large", message),
            query::Error::Storage(error) => error.into(),
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Failure {
        let at = match diagnostic.at {
            At::Text { line, column, length } => json!({"line": line, "column": column, "length": length}),
            At::Tree { pointer } => json!({"pointer": pointer}),
        };
        let status = question_status(diagnostic.code);
        Failure {
            at: Some(Box::new(at)),
            hint: diagnostic.hint,
            ..Failure::new(status, diagnostic.code, diagnostic.message)
        }
    }
}

/// Limits are told apart from mistakes.
fn question_status(code: &str) -> StatusCode {
    match code {
        "text_too_long" => StatusCode::PAYLOAD_TOO_LARGE,
        "nesting_too_deep" => StatusCode::UNPROCESSABLE_ENTITY,
        "data_version_gone" => StatusCode::CONFLICT,
        code if code.starts_with("too_many_") => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Failure {
        use storage::Error;
        let detail = error.to_string();
        let broken = |code, message: &str| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, code, message);
        let away = |code, message: &str| Failure::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        match error {
            Error::Refused { code, reason } => Failure::new(refused_status(code), code, reason),
            Error::Schema(error) => error.into(),
            Error::Full { .. } => Failure::refused("space_full", detail),
            Error::ReadOnly => away("read_only", "the data is served for reading only"),
            Error::DiskFull { .. } => {
                away("disk_full", "the disk is full; nothing was written").retry_after(STOPPED_RETRY_S).detail(detail)
            }
            Error::WritesStopped { .. } => {
                away("writes_stopped", "writing has failed and nothing more is accepted until the server is restarted")
                    .retry_after(STOPPED_RETRY_S)
                    .detail(detail)
            }
            Error::Io { .. } => broken("io", "the server could not read or write its files").detail(detail),
            Error::Corrupt { .. } | Error::Missing { .. } => {
                broken("damaged", "the data of this space is damaged; no answer is given").detail(detail)
            }
            Error::Locked { .. } | Error::Newer { .. } => {
                broken("not_open", "the data of this space cannot be opened").detail(detail)
            }
        }
    }
}

fn refused_status(code: &str) -> StatusCode {
    match code {
        "unknown_snapshot" => StatusCode::NOT_FOUND,
        "space_exists" => StatusCode::CONFLICT,
        "batch_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl From<SchemaError> for Failure {
    fn from(error: SchemaError) -> Failure {
        let message = error.to_string();
        let conflict = |code| Failure::new(StatusCode::CONFLICT, code, message.clone());
        match error {
            SchemaError::TypeChanged { name, .. } => conflict("type_changed").pointer(format!("/tags/{name}")),
            SchemaError::ZoneChanged { .. } => conflict("zone_changed").pointer("/time_zone"),
            SchemaError::NameTaken { .. } => conflict("name_taken"),
            SchemaError::BadName { .. } => Failure::refused("bad_name", message),
            SchemaError::ReservedName { .. } => Failure::refused("reserved_name", message),
            SchemaError::UnknownZone { .. } => Failure::refused("unknown_zone", message).pointer("/time_zone"),
            SchemaError::BadScale { .. } => Failure::refused("bad_scale", message),
            SchemaError::ScaleOfOther { name, .. } => {
                Failure::refused("bad_scale", message).pointer(format!("/tags/{name}/scale"))
            }
            SchemaError::SetProperty { event, name } => {
                Failure::refused("set_property", message).pointer(format!("/events/{event}/properties/{name}"))
            }
            SchemaError::BadRetention { event, .. } => {
                Failure::refused("bad_retention", message).pointer(format!("/events/{event}/retain_days"))
            }
            SchemaError::TooMany { .. } => Failure::refused("too_many_names", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn no_path_is_public() {
        let path = PathBuf::from("/secret/place");
        let errors = [
            storage::Error::Io { doing: "reading", path: path.clone(), reason: "no /secret/place".into() },
            storage::Error::corrupt(&path, 7, "a", "b"),
            storage::Error::Missing { file: path.clone(), needed_by: "/secret/place".into() },
            storage::Error::DiskFull { path: path.clone() },
            storage::Error::WritesStopped { reason: "/secret/place".into() },
            storage::Error::Locked { dir: path },
        ];
        for error in errors {
            let failure = Failure::from(error);
            let body = String::from_utf8(failure.to_json()).unwrap();
            assert!(failure.status.is_server_error() && !body.contains("secret"), "{body}");
            assert!(failure.detail.unwrap().contains("secret"));
        }
    }
}
