//! RMQTT: its plugins rmqtt-auth-http, with the parameters that `docs/engines/rmqtt` gives it, as a form or as JSON, and
//! rmqtt-web-hook. A text that it does not know it takes for yes and another status than 200 for "ask the next", so the
//! answer is always 200 and JSON.

use super::{Answer, Decision, Form, Question, Request, Secret, address, ended, json, some};
use crate::hooks::gate::Action;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Authenticate {
    clientid: String,
    username: Option<String>,
    password: Option<Secret>,
    ipaddr: Option<String>,
}

#[derive(Deserialize)]
struct Authorize {
    access: String,
    clientid: String,
    username: Option<String>,
    topic: String,
}

#[derive(Deserialize)]
struct Happened {
    action: String,
    clientid: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

pub(super) fn read(request: Request<'_>) -> Result<Question, String> {
    match request.what {
        "authenticate" => {
            let Authenticate { clientid, username, password, ipaddr } = if request.is_form {
                let form = Form::read(request)?;
                Authenticate {
                    clientid: form.need("clientid")?.into(),
                    username: form.text("username"),
                    password: form.get("password").map(Secret::from),
                    ipaddr: form.text("ipaddr"),
                }
            } else {
                json(request)?
            };
            no_placeholder(&clientid, username.as_deref())?;
            let address = address(ipaddr.as_deref());
            Ok(Question::Enter { client: clientid, user: some(username), password, address })
        }
        "authorize" => {
            let Authorize { access, clientid, username, topic } = if request.is_form {
                let form = Form::read(request)?;
                Authorize {
                    access: form.need("access")?.into(),
                    clientid: form.need("clientid")?.into(),
                    username: form.text("username"),
                    topic: form.need("topic")?.into(),
                }
            } else {
                json(request)?
            };
            no_placeholder(&clientid, username.as_deref())?;
            let action = match &*access {
                "1" => Action::Subscribe,
                "2" => Action::Publish,
                _ => return Err("access is 1 (subscribe) or 2 (publish)".into()),
            };
            Ok(Question::Act { client: clientid, user: some(username), acts: vec![(action, topic)] })
        }
        "event" => {
            let Happened { action, clientid, reason } = json(request)?;
            let reason = reason.as_deref().unwrap_or_default();
            let Some(lost) = (action == "client_disconnected").then(|| ended(reason)).flatten() else {
                return Ok(Question::Nothing);
            };
            let client = clientid.ok_or("clientid is missing")?;
            Ok(Question::Gone { client, lost, unless_new: false })
        }
        _ => Err("RMQTT asks at authenticate, authorize and event".into()),
    }
}

/// RMQTT looks for placeholders in what it has filled in already: a client id with `%` in it may be another here than
/// there.
fn no_placeholder(client: &str, user: Option<&str>) -> Result<(), String> {
    match client.contains('%') || user.is_some_and(|user| user.contains('%')) {
        true => Err("client ids and user names have no % with RMQTT, which takes it for a placeholder".into()),
        false => Ok(()),
    }
}

pub(super) fn answer(decision: &Decision) -> Answer {
    let result = if decision.is_yes() { "allow" } else { "deny" };
    let mut body = json!({ "result": result, "superuser": false });
    if let Decision::Welcome(guest) = decision
        && let Some(end) = guest.expires()
    {
        // It looks at the time only where there are rules, be it none.
        body["expire_at"] = end.into();
        body["acl"] = json!([]);
    }
    Answer::json(&body)
}
