//! What each engine asks and how it wants to be answered: one file for each, which only translates. Pure: a request in,
//! a question out; what was decided in, an answer out. They all have this in common: an answer that an engine does not
//! understand, and every status that is not the usual one, counts with some of them for "ask somebody else", which may
//! end with yes; so a refusal has the same form as a permission.

mod emqx;
mod mosquitto;
mod rabbitmq;
mod rmqtt;
pub mod sys;
mod vernemq;

use super::gate::{Action, Guest};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An engine that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// EMQX 5.
    Emqx,
    /// RMQTT.
    Rmqtt,
    /// RabbitMQ.
    RabbitMq,
    /// VerneMQ.
    VerneMq,
    /// Mosquitto with mosquitto-go-auth.
    Mosquitto,
}

/// A request of an engine.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is asked for: the path behind the engine's name.
    pub what: &'a str,
    /// What else is asked for, in the header `vernemq-hook`.
    pub hook: Option<&'a str>,
    /// Whether the body is a form (`application/x-www-form-urlencoded`) rather than JSON.
    pub is_form: bool,
    /// The body.
    pub body: &'a [u8],
}

/// What an engine wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// May this one come in?
    Enter {
        /// Its client id.
        client: String,
        /// User name.
        user: Option<String>,
        /// Password, or a token.
        password: Option<Secret>,
        /// Where it comes from.
        address: Option<IpAddr>,
    },
    /// May this one do all of this?
    Act {
        /// Its client id.
        client: String,
        /// Its user name.
        user: Option<String>,
        /// What, each with its topic or filter.
        acts: Vec<(Action, String)>,
    },
    /// Is this one in? Whatever it does is asked about by itself.
    Known {
        /// Its client id.
        client: String,
        /// Its user name.
        user: Option<String>,
    },
    /// This one's connection has ended.
    Gone {
        /// Its client id.
        client: String,
        /// Without a DISCONNECT.
        lost: bool,
        /// Another one may have taken its place, which the engine does not say.
        unless_new: bool,
    },
    /// Nothing: something has happened that changes nothing here.
    Nothing,
}

/// Whether a connection was lost, by the reason that EMQX or RMQTT gives for its end. `None` if another one has the client id
/// by now, and so its seats.
fn ended(reason: &str) -> Option<bool> {
    match reason {
        "takenover" | "discarded" | "Kicked" => None,
        "normal" => Some(false),
        reason => Some(!reason.starts_with("Disconnect")),
    }
}

/// A password that is not shown.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "String")]
pub struct Secret(zeroize::Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned().into())
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This one is in.
    Welcome(Guest),
    /// What may be done of what was asked, in that order.
    May(Vec<bool>),
    /// It is noted.
    Noted,
    /// No.
    No,
}

impl Decision {
    /// Whether everything is allowed that was asked.
    pub fn is_yes(&self) -> bool {
        match self {
            Decision::Welcome(_) | Decision::Noted => true,
            Decision::May(verdicts) => !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict),
            Decision::No => false,
        }
    }
}

/// An answer to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    fn json(body: &serde_json::Value) -> Self {
        Self { status: 200, content_type: "application/json", body: body.to_string() }
    }

    fn text(body: &str) -> Self {
        Self { status: 200, content_type: "text/plain", body: body.into() }
    }
}

impl Engine {
    /// All there are.
    pub const ALL: [Engine; 5] = [Engine::Emqx, Engine::Rmqtt, Engine::RabbitMq, Engine::VerneMq, Engine::Mosquitto];

    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Emqx => "emqx",
            Engine::Rmqtt => "rmqtt",
            Engine::RabbitMq => "rabbitmq",
            Engine::VerneMq => "vernemq",
            Engine::Mosquitto => "mosquitto",
        }
    }

    /// The engine that asks at a path, and what is behind its name there.
    pub fn at(path: &str) -> Option<(Self, &str)> {
        let rest = path.strip_prefix("/hooks/")?;
        let (name, what) = rest.split_once('/').unwrap_or((rest, ""));
        Self::ALL.into_iter().find(|engine| engine.name() == name).map(|engine| (engine, what))
    }

    /// What a request wants to know.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn read(self, request: Request<'_>) -> Result<Question, String> {
        match self {
            Engine::Emqx => emqx::read(request),
            Engine::Rmqtt => rmqtt::read(request),
            Engine::RabbitMq => rabbitmq::read(request),
            Engine::VerneMq => vernemq::read(request),
            Engine::Mosquitto => mosquitto::read(request),
        }
    }

    /// How a request is answered.
    pub fn answer(self, request: Request<'_>, decision: &Decision) -> Answer {
        match self {
            Engine::Emqx => emqx::answer(decision),
            Engine::Rmqtt => rmqtt::answer(decision),
            Engine::RabbitMq => rabbitmq::answer(decision),
            Engine::VerneMq => vernemq::answer(request, decision),
            Engine::Mosquitto => mosquitto::answer(decision),
        }
    }
}

/// A body of JSON.
fn json<T: DeserializeOwned>(request: Request<'_>) -> Result<T, String> {
    serde_json::from_slice(request.body).map_err(|error| {
        // Not in its words, which may be the client's, and a password among them.
        let kind = match error.classify() {
            serde_json::error::Category::Data => "JSON of another form",
            _ => "no JSON",
        };
        format!("the body is {kind} than is asked for: column {} of line {}", error.column(), error.line())
    })
}

/// A body that is a form, each name once: of two, engine and agent might look at another one each.
struct Form<'a>(BTreeMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Form<'a> {
    fn read(request: Request<'a>) -> Result<Self, String> {
        let mut fields = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(request.body) {
            if value.contains('\u{fffd}') {
                return Err(format!("{name:?} in the form is no UTF-8"));
            }
            if fields.insert(name, value).is_some() {
                return Err("a name comes twice in the form".into());
            }
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    fn need(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("{name} is missing in the form"))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }
}

/// An address as engines write it, with a port or without.
fn address(text: Option<&str>) -> Option<IpAddr> {
    let text = text?;
    text.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

/// The user name, if it is one.
fn some(user: Option<String>) -> Option<String> {
    user.filter(|user| !user.is_empty())
}
