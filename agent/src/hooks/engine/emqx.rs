//! EMQX 5: its HTTP authenticator and authorizer, with the bodies that `docs/engines/emqx` gives them, and its rule
//! engine's event of a client that has gone. The answer is always 200: anything else it takes for "ask the next".

use super::{Answer, Decision, Question, Request, Secret, address, ended, json, some};
use crate::hooks::gate::Action;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Authenticate {
    clientid: String,
    username: Option<String>,
    password: Option<Secret>,
    peerhost: Option<String>,
}

#[derive(Deserialize)]
struct Authorize {
    clientid: String,
    username: Option<String>,
    action: String,
    topic: String,
}

#[derive(Deserialize)]
struct Happened {
    event: String,
    clientid: String,
    #[serde(default)]
    reason: String,
}

pub(super) fn read(request: Request<'_>) -> Result<Question, String> {
    match request.what {
        "authenticate" => {
            let Authenticate { clientid, username, password, peerhost } = json(request)?;
            let address = address(peerhost.as_deref());
            Ok(Question::Enter { client: clientid, user: some(username), password, address })
        }
        "authorize" => {
            let Authorize { clientid, username, action, topic } = json(request)?;
            let action = match &*action {
                "publish" => Action::Publish,
                "subscribe" => Action::Subscribe,
                _ => return Err("action is publish or subscribe".into()),
            };
            Ok(Question::Act { client: clientid, user: some(username), acts: vec![(action, topic)] })
        }
        "event" => {
            let Happened { event, clientid, reason } = json(request)?;
            let lost = (event == "client.disconnected").then(|| ended(&reason)).flatten();
            let gone = |lost| Question::Gone { client: clientid, lost, unless_new: false };
            Ok(lost.map_or(Question::Nothing, gone))
        }
        _ => Err("EMQX asks at authenticate, authorize and event".into()),
    }
}

pub(super) fn answer(decision: &Decision) -> Answer {
    let result = if decision.is_yes() { "allow" } else { "deny" };
    let mut body = json!({ "result": result });
    if let Decision::Welcome(guest) = decision {
        // Never more than what is asked about each time.
        body["is_superuser"] = false.into();
        if let Some(end) = guest.expires() {
            body["expire_at"] = end.into();
        }
    }
    Answer::json(&body)
}
