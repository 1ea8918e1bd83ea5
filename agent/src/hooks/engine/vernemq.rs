//! VerneMQ: vmq_webhooks. The header `vernemq-hook` says what is asked. Another status than 200 and `next` both mean
//! "ask the next", so a refusal is an error in a proper answer. Answers have no max-age and are so never kept.

use super::{Answer, Decision, Question, Request, Secret, address, json, some};
use crate::hooks::gate::Action;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Register {
    client_id: String,
    #[serde(default)]
    mountpoint: String,
    username: Option<String>,
    password: Option<Secret>,
    peer_addr: Option<String>,
}

#[derive(Deserialize)]
struct Publish {
    client_id: String,
    #[serde(default)]
    mountpoint: String,
    username: Option<String>,
    topic: String,
}

#[derive(Deserialize)]
struct Subscribe {
    client_id: String,
    #[serde(default)]
    mountpoint: String,
    username: Option<String>,
    topics: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    topic: String,
}

#[derive(Deserialize)]
struct Gone {
    client_id: String,
}

pub(super) fn read(request: Request<'_>) -> Result<Question, String> {
    let hook = request.hook.ok_or("there is no header vernemq-hook, which says what is asked")?;
    match hook.strip_suffix("_m5").unwrap_or(hook) {
        "auth_on_register" => {
            let Register { client_id, mountpoint, username, password, peer_addr } = json(request)?;
            one_world(&mountpoint)?;
            let address = address(peer_addr.as_deref());
            Ok(Question::Enter { client: client_id, user: some(username), password, address })
        }
        "auth_on_publish" => {
            let Publish { client_id, mountpoint, username, topic } = json(request)?;
            one_world(&mountpoint)?;
            Ok(Question::Act { client: client_id, user: some(username), acts: vec![(Action::Publish, topic)] })
        }
        "auth_on_subscribe" => {
            let Subscribe { client_id, mountpoint, username, topics } = json(request)?;
            one_world(&mountpoint)?;
            let acts = topics.into_iter().map(|wanted| (Action::Subscribe, wanted.topic)).collect();
            Ok(Question::Act { client: client_id, user: some(username), acts })
        }
        // It does not say how: what ends without a DISCONNECT, or before its session does, is lost.
        "on_client_gone" | "on_client_offline" => {
            let Gone { client_id } = json(request)?;
            Ok(Question::Gone { client: client_id, lost: true, unless_new: true })
        }
        "on_session_expired" => Ok(Question::Nothing),
        _ => Err("VerneMQ asks by auth_on_register, auth_on_publish, auth_on_subscribe, and _m5 of each".into()),
    }
}

/// Under another mount point the same names belong to others.
fn one_world(mountpoint: &str) -> Result<(), String> {
    if mountpoint.is_empty() { Ok(()) } else { Err("clients have no mount point here".into()) }
}

pub(super) fn answer(request: Request<'_>, decision: &Decision) -> Answer {
    let result: Value = if decision.is_yes() { "ok".into() } else { json!({ "error": "not_allowed" }) };
    match decision {
        Decision::May(verdicts) if verdicts.contains(&true) && verdicts.contains(&false) => {
            Answer::json(&some_of_them(request, verdicts).unwrap_or_else(|| json!({ "result": result })))
        }
        _ => Answer::json(&json!({ "result": result })),
    }
}

/// Some filters of a SUBSCRIBE, each as it came, and those that are refused with what SUBACK says then.
fn some_of_them(request: Request<'_>, verdicts: &[bool]) -> Option<Value> {
    let is_5 = request.hook?.ends_with("_m5");
    let mut body: Value = serde_json::from_slice(request.body).ok()?;
    let mut topics = body.get_mut("topics")?.take();
    let list = topics.as_array_mut()?;
    if list.len() != verdicts.len() {
        return None;
    }
    for (wanted, _) in list.iter_mut().zip(verdicts).filter(|(_, may)| !**may) {
        *wanted = json!({ "topic": wanted.get("topic")?, "qos": if is_5 { 0x87 } else { 0x80 } });
    }
    Some(match is_5 {
        true => json!({ "result": "ok", "modifiers": { "topics": topics } }),
        false => json!({ "result": "ok", "topics": topics }),
    })
}
