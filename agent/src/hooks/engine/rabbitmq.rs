//! RabbitMQ: rabbitmq_auth_backend_http, asked by its MQTT plugin. Forms, and one word for an answer. Topics come as
//! routing keys: `.` between levels, and in what is subscribed to `*` for one level. A client that comes without a
//! client id comes over AMQP, where it could read the queues of others.

use super::{Answer, Decision, Form, Question, Request, Secret};
use crate::hooks::gate::{Action, Guest};

/// Where MQTT is in RabbitMQ.
const EXCHANGE: &str = "amq.topic";
/// What the queue of a subscriber is called: this, its client id, and the QoS.
const QUEUE: &str = "mqtt-subscription-";

pub(super) fn read(request: Request<'_>) -> Result<Question, String> {
    if !request.is_form {
        return Err("RabbitMQ sends forms: set auth_http.http_method = post".into());
    }
    let form = Form::read(request)?;
    let user = form.text("username");
    let client = |name: &str| {
        let client = form.get(name).filter(|client| !client.is_empty());
        client.map(str::to_owned).ok_or("there is no client id: only MQTT clients come in here, none over AMQP")
    };
    match request.what {
        "user" => Ok(Question::Enter {
            client: client("client_id")?,
            user,
            password: form.get("password").map(Secret::from),
            // It is told only later, for the virtual host.
            address: None,
        }),
        "vhost" => Ok(Question::Known { client: client("client_id")?, user }),
        "resource" => {
            let client = client("client_id")?;
            let (resource, name, permission) = (form.need("resource")?, form.need("name")?, form.need("permission")?);
            let is_own = match (resource, permission) {
                ("exchange", "read" | "write") => name == EXCHANGE,
                ("queue", _) => {
                    let rest = name.strip_prefix(QUEUE).and_then(|rest| rest.strip_prefix(&*client));
                    matches!(rest, Some("qos0" | "qos1"))
                }
                _ => false,
            };
            if !is_own {
                return Err(format!("{permission} of the {resource} {name:?} is nothing that MQTT needs for {client}"));
            }
            Ok(Question::Known { client, user })
        }
        "topic" => {
            let client = client("variable_map.client_id")?;
            if form.need("name")? != EXCHANGE {
                return Err(format!("MQTT is in the exchange {EXCHANGE}"));
            }
            let key = form.need("routing_key")?;
            let act = match form.need("permission")? {
                "write" => (Action::Publish, key.replace('.', "/")),
                "read" => (Action::Subscribe, filter(key)),
                _ => return Err("permission is read or write".into()),
            };
            Ok(Question::Act { client, user, acts: vec![act] })
        }
        _ => Err("RabbitMQ asks at user, vhost, resource and topic".into()),
    }
}

/// A binding's key as the filter that it was.
fn filter(key: &str) -> String {
    let levels = key.split('.').map(|level| if level == "*" { "+" } else { level });
    levels.collect::<Vec<_>>().join("/")
}

pub(super) fn answer(decision: &Decision) -> Answer {
    Answer::text(match decision {
        // Tags say what may be done in its management; nothing, but for those who watch.
        Decision::Welcome(guest @ Guest::Client(_)) if guest.is_operator() => "allow monitoring",
        decision if decision.is_yes() => "allow",
        _ => "deny",
    })
}
