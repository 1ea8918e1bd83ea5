//! Agents, asked over HTTP how they are doing (`GET /status`), again and again.

use agent::service::status::Status;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use url::Url;

/// How often each is asked.
const EVERY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer may be; it has some hundred bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// Where an agent answers over HTTP: its `--http`, as `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentUrl(Url);

/// Why an address is none of an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of an agent: right is http://127.0.0.1:8090, what the agent was given as --http")]
pub struct AgentUrlError(String);

impl FromStr for AgentUrl {
    type Err = AgentUrlError;

    fn from_str(text: &str) -> Result<Self, AgentUrlError> {
        let url = Url::parse(text).ok().filter(|url| {
            let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            url.scheme() == "http" && url.has_host() && url.username().is_empty() && url.password().is_none() && is_bare
        });
        // What is no address may hold a password, and is then not repeated.
        let shown = || if text.contains('@') { "what was given" } else { text };
        url.map(Self).ok_or_else(|| AgentUrlError(shown().into()))
    }
}

impl fmt::Display for AgentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// What an agent says, and at which address; or why it says nothing, in words.
pub(super) type Said = (String, Result<Status, String>);

/// Asks each of them from now on, until the tasks are dropped.
pub(super) fn ask(agents: &[AgentUrl]) -> (JoinSet<()>, mpsc::Receiver<Said>) {
    let (tell, said) = mpsc::channel(agents.len().max(1));
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let mut tasks = JoinSet::new();
    for agent in agents {
        tasks.spawn(ask_one(agent.clone(), client.clone(), tell.clone()));
    }
    (tasks, said)
}

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

async fn ask_one(AgentUrl(base): AgentUrl, client: HttpClient, tell: mpsc::Sender<Said>) {
    let name = AgentUrl(base.clone()).to_string();
    let Some(uri) = base.join("/status").ok().and_then(|url| url.as_str().parse::<Uri>().ok()) else { return };
    let mut turns = tokio::time::interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let said = tokio::time::timeout(PATIENCE, status(&client, uri.clone())).await;
        let said = said.unwrap_or_else(|_| Err(format!("it does not answer within {} s", PATIENCE.as_secs())));
        if tell.send((name.clone(), said)).await.is_err() {
            return;
        }
    }
}

async fn status(client: &HttpClient, uri: Uri) -> Result<Status, String> {
    let answer = client.get(uri).await.map_err(|error| match error.is_connect() {
        true => "nobody listens there".to_owned(),
        false => format!("it does not answer: {error}"),
    })?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err("who answers there is no agent, or one that is too old to say".into()),
        other => return Err(format!("it answers {other}")),
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?.to_bytes();
    serde_json::from_slice(&body).map_err(|_| "who answers there is no agent".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn addresses_are_read_and_wrong_ones_say_what_would_be_right_and_no_password() {
        for (text, shown) in [
            ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
            ("http://[::1]:8090/", "http://[::1]:8090"),
            ("http://agent-1.example.org", "http://agent-1.example.org"),
        ] {
            assert_eq!(text.parse::<AgentUrl>().unwrap().to_string(), shown);
        }
        for text in
            ["", "127.0.0.1:8090", "https://127.0.0.1:8090", "http://h/status", "http://h?x", "http://u:s3cret@h"]
        {
            let error = text.parse::<AgentUrl>().unwrap_err().to_string();
            assert!(error.contains("right is http://127.0.0.1:8090") && !error.contains("s3cret"), "{error}");
        }
    }

    /// Says the same to everybody who comes; where, and the task.
    async fn serve(answer: &str) -> AgentUrl {
        let answer = answer.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn what_is_no_status_is_told_in_words() {
        let long =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", 2 * MAX_ANSWER, " ".repeat(2 * MAX_ANSWER));
        let cases = [
            ("http://127.0.0.1:1".parse().unwrap(), "nobody listens there"), // no test is ever given that port
            (serve("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await, "no agent, or one that is too old"),
            (serve("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").await, "it answers 500"),
            (serve("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await, "is no agent"),
            (serve(&long).await, "cannot be read: length limit"),
            (serve("hello\r\n\r\n").await, "it does not answer"),
        ];
        let urls: Vec<AgentUrl> = cases.iter().map(|(url, _)| url.clone()).collect();
        let (_tasks, mut said) = ask(&urls);
        let mut told = std::collections::HashMap::new();
        while told.len() < cases.len() {
            let (url, said) = said.recv().await.unwrap();
            told.insert(url, said.unwrap_err());
        }
        for (url, words) in cases {
            let said = &told[&url.to_string()];
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
