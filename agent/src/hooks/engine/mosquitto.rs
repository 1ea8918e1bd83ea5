//! Mosquitto with mosquitto-go-auth, its HTTP backend: parameters as JSON or as a form, answers by status, text or JSON,
//! of which each reads its own part. Nobody is a superuser, who would not be asked about any more.

use super::{Answer, Decision, Form, Question, Request, Secret, json, some};
use crate::hooks::gate::Action;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct GetUser {
    username: Option<String>,
    password: Option<Secret>,
    clientid: String,
}

#[derive(Deserialize)]
struct CheckAcl {
    username: Option<String>,
    clientid: String,
    topic: String,
    acc: u8,
}

pub(super) fn read(request: Request<'_>) -> Result<Question, String> {
    match request.what {
        "user" => {
            let GetUser { username, password, clientid } = if request.is_form {
                let form = Form::read(request)?;
                GetUser {
                    username: form.text("username"),
                    password: form.get("password").map(Secret::from),
                    clientid: form.need("clientid")?.into(),
                }
            } else {
                json(request)?
            };
            Ok(Question::Enter { client: clientid, user: some(username), password, address: None })
        }
        "superuser" => Err("nobody is a superuser here: leave http_superuser_uri out".into()),
        "acl" => {
            let CheckAcl { username, clientid, topic, acc } = if request.is_form {
                let form = Form::read(request)?;
                CheckAcl {
                    username: form.text("username"),
                    clientid: form.need("clientid")?.into(),
                    topic: form.need("topic")?.into(),
                    acc: form.need("acc")?.parse().map_err(|_| "acc is a number from 1 to 4")?,
                }
            } else {
                json(request)?
            };
            let actions: &[Action] = match acc {
                // To be given a message, which is asked for each, and to subscribe.
                1 | 4 => &[Action::Subscribe],
                2 => &[Action::Publish],
                3 => &[Action::Subscribe, Action::Publish],
                _ => return Err("acc is 1 (read), 2 (write), 3 (both) or 4 (subscribe)".into()),
            };
            let acts = actions.iter().map(|action| (*action, topic.clone())).collect();
            Ok(Question::Act { client: clientid, user: some(username), acts })
        }
        _ => Err("mosquitto-go-auth asks at user and acl".into()),
    }
}

pub(super) fn answer(decision: &Decision) -> Answer {
    match decision.is_yes() {
        true => Answer::json(&json!({ "ok": true, "error": "" })),
        false => Answer { status: 403, ..Answer::json(&json!({ "ok": false, "error": "not allowed" })) },
    }
}
