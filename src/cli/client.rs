//! A running server, from the command line.
//! Knows the API's addresses and its error shape.

use std::io::Read;

use serde_json::Value;

use super::{Failure, TargetArgs};

/// One space of a server.
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// The client of `--url`, if it was given.
    pub(super) fn of(target: &TargetArgs) -> Option<Client> {
        let url = target.url.as_ref()?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let base = format!("{}/v1/spaces/{}", url.trim_end_matches('/'), target.space);
        Some(Client { agent, base, token: target.token.clone() })
    }

    /// Sends a body to a call of the space.
    ///
    /// # Errors
    /// No answer, or an error answer in the server's words.
    pub(super) fn post(
        &self,
        call: &str,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Result<impl Read + use<>, Failure> {
        let url = format!("{}{call}", self.base);
        let mut request = self.agent.post(&url).header("Content-Type", content_type).header("Accept", accept);
        if let Some(token) = &self.token {
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        self.answer(request.send(body))
    }

    /// Puts a JSON body to the space itself.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub(super) fn put_space(&self, body: &Value) -> Result<Value, Failure> {
        let mut request = self.agent.put(&self.base).header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        json(self.answer(request.send(body.to_string().as_bytes()))?)
    }

    /// Gets a call of the space.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub(super) fn get(&self, call: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(format!("{}{call}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        json(self.answer(request.call())?)
    }

    /// Posts JSON and reads JSON.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub(super) fn post_json(&self, call: &str, body: &Value) -> Result<Value, Failure> {
        json(self.post(call, "application/json", "application/json", body.to_string().as_bytes())?)
    }

    fn answer(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<impl Read + use<>, Failure> {
        let response = sent.map_err(|e| Failure::new(format!("{}: {e}", self.base)))?;
        let status = response.status();
        let mut body = response.into_body().into_reader();
        if status.is_success() {
            return Ok(body);
        }
        let mut text = String::new();
        let _ = body.by_ref().take(1 << 20).read_to_string(&mut text);
        let error: Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |name: &str| error["error"][name].as_str().map(str::to_string);
        let message = part("message").unwrap_or(text);
        let hint = part("hint").map_or(String::new(), |hint| format!("\n  {hint}"));
        Err(Failure::new(format!("the server says {status}: {message}{hint}")))
    }
}

fn json(body: impl Read) -> Result<Value, Failure> {
    Ok(serde_json::from_reader(body)?)
}
