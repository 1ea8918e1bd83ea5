//! One line of a recording after the first: an input as JSON.

use super::mask;
use crate::wire::{Input, Link, Message};
use agent::service::status::Status;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Every field that a line may have.
#[derive(Default, Serialize, Deserialize)]
struct Fields<'a> {
    at: Timestamp,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    json: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    qos: u8,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Cow<'a, Status>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    end: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(qos: &u8) -> bool {
    *qos == 0
}

/// The line for an input, without its end; `None` for time passing, which a replay makes of its own.
pub(super) fn write(input: &Input, reveal: bool) -> Option<String> {
    let at = input.at();
    let fields = match input {
        Input::Message(message) => return Some(write_message(message, reveal)),
        Input::Link { link, .. } => {
            let (link, why) = match link {
                Link::Connecting => ("connecting", None),
                Link::Connected => ("connected", None),
                Link::Lost { why } => ("lost", Some(why)),
                Link::Refused { why } => ("refused", Some(why)),
            };
            Fields { at, link: Some(link.into()), why: why.map(|why| why.as_str().into()), ..Fields::default() }
        }
        Input::Lost { messages, .. } => Fields { at, lost: Some(*messages), ..Fields::default() },
        Input::Agent { url, said, .. } => {
            let fields = Fields { at, agent: Some((&**url).into()), ..Fields::default() };
            match &**said {
                Ok(status) => Fields { status: Some(Cow::Borrowed(status)), ..fields },
                Err(why) => Fields { why: Some(why.as_str().into()), ..fields },
            }
        }
        Input::Unread { why, .. } => Fields { at, unread: Some(why.as_str().into()), ..Fields::default() },
        Input::Tick(_) => return None,
    };
    Some(json(&fields))
}

/// The last line, without its end: how long nothing came before the recording ended.
pub(super) fn end(at: Timestamp) -> String {
    json(&Fields { at, end: true, ..Fields::default() })
}

fn write_message(message: &Message, reveal: bool) -> String {
    let payload = if reveal { Cow::Borrowed(&*message.payload) } else { mask::passwords(&message.payload) };
    let mut fields = Fields {
        at: message.at,
        topic: Some((&*message.topic).into()),
        qos: message.qos,
        retain: message.retain,
        ..Fields::default()
    };
    match std::str::from_utf8(&payload) {
        Ok(text) => match as_one_line(text) {
            Some(raw) => fields.json = Some(raw),
            None => fields.text = Some(text.into()),
        },
        Err(_) => fields.base64 = Some(BASE64_STANDARD.encode(&*payload).into()),
    }
    json(&fields)
}

/// The text as JSON that can stand in a line as it is, to the byte. A bare `null` would be read as if nothing stood
/// there.
fn as_one_line(text: &str) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    (raw.get().len() == text.len() && text != "null" && !text.contains(['\n', '\r'])).then_some(raw)
}

fn json(fields: &Fields<'_>) -> String {
    // Strings, numbers and JSON that was read before: there is nothing in it that cannot be written.
    serde_json::to_string(fields).unwrap_or_default()
}

/// The input of a line.
///
/// # Errors
/// What is wrong with the line and what would be right.
pub(super) fn read(line: &str) -> Result<Input, String> {
    let fields: Fields =
        serde_json::from_str(line).map_err(|e| format!("no object like {{\"at\":…,\"topic\":…}}: {e}"))?;
    let at = fields.at;
    if let Some(topic) = fields.topic {
        let payload = match (fields.json, fields.text, fields.base64) {
            (Some(json), None, None) => Bytes::copy_from_slice(json.get().as_bytes()),
            (None, Some(text), None) => Bytes::from(text.into_owned()),
            (None, None, Some(base64)) => {
                BASE64_STANDARD.decode(&*base64).map_err(|e| format!("base64 is none: {e}"))?.into()
            }
            (None, None, None) => Bytes::new(),
            _ => return Err("only one of json, text and base64 can be the payload".into()),
        };
        if fields.qos > 2 {
            return Err(format!("qos is 0, 1 or 2, not {}", fields.qos));
        }
        return Ok(Input::Message(Message {
            at,
            topic: topic.into(),
            payload,
            qos: fields.qos,
            retain: fields.retain,
        }));
    }
    let why = fields.why.unwrap_or_default().into_owned();
    if let Some(link) = fields.link {
        let link = match &*link {
            "connecting" => Link::Connecting,
            "connected" => Link::Connected,
            "lost" => Link::Lost { why },
            "refused" => Link::Refused { why },
            other => return Err(format!("link is connecting, connected, lost or refused, not {other:?}")),
        };
        return Ok(Input::Link { at, link });
    }
    if let Some(messages) = fields.lost {
        return Ok(Input::Lost { at, messages });
    }
    if let Some(url) = fields.agent {
        let said = fields.status.map(Cow::into_owned).ok_or(why);
        return Ok(Input::Agent { at, url: url.into(), said: Box::new(said) });
    }
    if fields.end {
        return Ok(Input::Tick(at));
    }
    match fields.unread {
        Some(why) => Ok(Input::Unread { at, why: why.into_owned() }),
        None => Err("nothing in it that happened; a line has a topic, a link, an agent or lost".into()),
    }
}
