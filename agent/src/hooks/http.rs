//! HTTP for engines: bounded in size, time and number; and the usual paths for probes and Prometheus.

use super::engine::{Decision, Engine, Question, Request};
use super::gate::{Gate, Newcomer};
use crate::login;
use crate::service::status::{Pulse, Status};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

/// Largest request: a message of 64 KiB as base64, of the engines that send it along, and a token.
pub const MAX_BODY: usize = 256 * 1024;
/// Connections at once, each with one request: engines have pools of tens.
const CONNECTIONS: usize = 512;
/// How long a question may take; engines wait for 5 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be silent. Engines keep theirs, and a question that meets its end would count as refused.
const SILENCE: Duration = Duration::from_secs(600);
/// Refusals that are logged in a second; all are counted.
const MAX_TOLD: u32 = 100;

/// What asks and is answered.
pub struct Hooks {
    gate: Gate,
    secret: Option<Zeroizing<String>>,
    pulse: Arc<Pulse>,
    counts: Counts,
    audit: Audit,
}

/// Refusals are told of, but a flood of them does not fill the log.
#[derive(Default)]
struct Audit {
    /// In which second, and how many were told of in it.
    told: Mutex<(u64, u32)>,
}

impl Audit {
    fn may_speak(&self) -> bool {
        let second = login::wall().as_millis() / 1000;
        let mut told = self.told.lock();
        if told.0 != second {
            *told = (second, 0);
        }
        told.1 = told.1.saturating_add(1);
        told.1 <= MAX_TOLD
    }
}

#[derive(Default)]
struct Counts {
    /// By engine: allowed, refused.
    answers: [[AtomicU64; 2]; Engine::ALL.len()],
    /// Requests that were no questions: malformed, too large, too late, without the secret.
    malformed: AtomicU64,
}

impl Hooks {
    /// Hooks of the agent with this pulse, which let engines ask that show the secret, if there is one.
    pub fn new(gate: Gate, secret: Option<Zeroizing<String>>, pulse: Arc<Pulse>) -> Arc<Self> {
        Arc::new(Self { gate, secret, pulse, counts: Counts::default(), audit: Audit::default() })
    }

    /// Answers whoever connects, for ever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let routes = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/status", get(status))
            .fallback(hook)
            .with_state(self);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let service = TowerToHyperService::new(routes.clone());
            tokio::spawn(async move {
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(SILENCE)
                    .max_buf_size(16 * 1024)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = served.await {
                    debug!(%error, "HTTP connection ends");
                }
                drop(place);
            });
        }
    }

    /// Answers a question of an engine; `None` if it is no engine's path.
    pub async fn answer(&self, request: axum::extract::Request) -> Option<Response> {
        let (parts, body) = request.into_parts();
        let (engine, what) = Engine::at(parts.uri.path())?;
        let is_form = header(&parts.headers, header::CONTENT_TYPE.as_str())
            .is_some_and(|it| it.starts_with("application/x-www-form-urlencoded"));
        let hook = header(&parts.headers, "vernemq-hook");
        let mut request = Request { what, hook, is_form, body: &[] };
        let taken = tokio::time::timeout(PATIENCE, async {
            // Only who may ask is listened to.
            self.check_secret(&parts)?;
            if !matches!(parts.method, Method::POST | Method::PUT) {
                return Err("questions are asked by POST".to_owned());
            }
            to_bytes(body, MAX_BODY)
                .await
                .map_err(|_| format!("the body is larger than {MAX_BODY} bytes, or broke off"))
        });
        let taken = taken.await.unwrap_or_else(|_| Err("the body did not come in time".into()));
        let bytes = taken.as_ref().map(|bytes| &**bytes).unwrap_or_default();
        request.body = bytes;
        let question = taken.as_ref().map_err(Clone::clone).and_then(|_| engine.read(request));
        let decision = match &question {
            Ok(question) => {
                let decided = tokio::time::timeout(PATIENCE, self.decide(engine, question)).await;
                decided.unwrap_or_else(|_| {
                    warn!(engine = engine.name(), "a question took too long and is answered with no");
                    Decision::No
                })
            }
            Err(why) => {
                self.counts.malformed.fetch_add(1, Relaxed);
                if self.audit.may_speak() {
                    warn!(engine = engine.name(), what, why, "a request is no question and is answered with no");
                }
                Decision::No
            }
        };
        let index = Engine::ALL.iter().position(|it| *it == engine).unwrap_or_default();
        self.counts.answers[index][usize::from(!decision.is_yes())].fetch_add(1, Relaxed);
        let answer = engine.answer(request, &decision);
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::FORBIDDEN);
        Some((status, [(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response())
    }

    async fn decide(&self, engine: Engine, question: &Question) -> Decision {
        let engine = engine.name();
        let decided = match question {
            Question::Enter { client, user, password, address } => {
                let password = password.as_ref().map(|password| password.as_bytes());
                let newcomer = Newcomer { client, user: user.as_deref(), password, address: *address };
                self.gate.authenticate(newcomer).await.map(Decision::Welcome).map_err(|why| (client, why))
            }
            Question::Act { client, user, acts } => {
                let mut verdicts = Vec::with_capacity(acts.len());
                for (action, on) in acts {
                    let verdict = self.gate.authorize(client, user.as_deref(), *action, on).await;
                    if let Err(why) = &verdict
                        && self.audit.may_speak()
                    {
                        info!(target: "audit", engine, ?client, ?action, ?on, why, "refused");
                    }
                    verdicts.push(verdict.is_ok());
                }
                return Decision::May(verdicts);
            }
            Question::Known { client, user } => {
                self.gate.guest(client, user.as_deref()).map(|_| Decision::Noted).map_err(|why| (client, why))
            }
            Question::Gone { client, lost, unless_new } => {
                self.gate.gone(client, *lost, *unless_new).await.map(|()| Decision::Noted).map_err(|why| (client, why))
            }
            Question::Nothing => Ok(Decision::Noted),
        };
        decided.unwrap_or_else(|(client, why)| {
            if self.audit.may_speak() {
                info!(target: "audit", engine, ?client, why, "refused");
            }
            Decision::No
        })
    }

    /// Whether who asks may ask: by `Authorization: Bearer SECRET`, or, for engines that have no headers of their own, as
    /// the password of Basic (RFC 7617) or in the query as `secret`.
    fn check_secret(&self, parts: &Parts) -> Result<(), String> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let is_it = |shown: &[u8]| bool::from(shown.ct_eq(secret.as_bytes()));
        let shown = match header(&parts.headers, header::AUTHORIZATION.as_str()).and_then(|it| it.split_once(' ')) {
            Some((scheme, shown)) if scheme.eq_ignore_ascii_case("bearer") => is_it(shown.trim().as_bytes()),
            Some((scheme, shown)) if scheme.eq_ignore_ascii_case("basic") => {
                let decoded = BASE64_STANDARD.decode(shown.trim()).unwrap_or_default();
                let colon = decoded.iter().position(|byte| *byte == b':');
                colon.is_some_and(|colon| is_it(&decoded[colon + 1..]))
            }
            _ => {
                let query = parts.uri.query().unwrap_or_default();
                let mut fields = url::form_urlencoded::parse(query.as_bytes());
                fields.find(|(name, _)| name == "secret").is_some_and(|(_, shown)| is_it(shown.as_bytes()))
            }
        };
        if shown { Ok(()) } else { Err("the secret is missing or wrong; see --http-secret-file".into()) }
    }

    /// How the agent is doing.
    fn status(&self) -> Status {
        let sum = |index: usize| self.counts.answers.iter().map(|counts| counts[index].load(Relaxed)).sum();
        self.pulse.status(sum(0), sum(1))
    }

    fn metrics(&self) -> String {
        let mut text = String::from(
            "# HELP duet_hooks_answers_total Questions of MQTT engines, by what they were answered with.\n\
             # TYPE duet_hooks_answers_total counter\n",
        );
        for (engine, counts) in Engine::ALL.iter().zip(&self.counts.answers) {
            for (result, count) in ["allow", "deny"].iter().zip(counts) {
                let (engine, count) = (engine.name(), count.load(Relaxed));
                let _ = writeln!(text, "duet_hooks_answers_total{{engine=\"{engine}\",result=\"{result}\"}} {count}");
            }
        }
        let Status { connected, heard, store, .. } = self.status();
        #[expect(clippy::cast_precision_loss, reason = "seconds need no more than 53 bits")]
        let took = store.micros as f64 / 1e6;
        for (name, kind, help, value) in [
            (
                "hooks_malformed_total",
                "counter",
                "Requests that were no questions: malformed, too large, too late, without the secret.",
                self.counts.malformed.load(Relaxed).to_string(),
            ),
            (
                "hooks_remembered",
                "gauge",
                "Clients that were let in and are remembered.",
                self.gate.remembered().to_string(),
            ),
            ("agent_connected", "gauge", "1 while it listens at its broker.", u8::from(connected).to_string()),
            ("agent_heard_total", "counter", "Messages that it heard.", heard.to_string()),
            ("agent_store_up", "gauge", "1 if the store answered last.", u8::from(store.answers).to_string()),
            ("agent_store_requests_total", "counter", "Requests to the store.", store.requests.to_string()),
            ("agent_store_failures_total", "counter", "Those that it did not answer.", store.failures.to_string()),
            ("agent_store_seconds_total", "counter", "How long all of them took.", took.to_string()),
        ] {
            let _ = write!(text, "# HELP duet_{name} {help}\n# TYPE duet_{name} {kind}\nduet_{name} {value}\n");
        }
        text
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

async fn hook(State(hooks): State<Arc<Hooks>>, request: axum::extract::Request) -> Response {
    match hooks.answer(request).await {
        Some(answer) => answer,
        None => {
            (StatusCode::NOT_FOUND, "there is nothing here but /hooks/…, /healthz, /readyz, /status and /metrics\n")
                .into_response()
        }
    }
}

async fn readyz(State(hooks): State<Arc<Hooks>>) -> Response {
    match hooks.pulse.is_connected() {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not connected to its broker\n").into_response(),
    }
}

async fn status(State(hooks): State<Arc<Hooks>>) -> Response {
    let status = serde_json::to_string(&hooks.status()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], status + "\n").into_response()
}

async fn metrics(State(hooks): State<Arc<Hooks>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], hooks.metrics()).into_response()
}
