//! Who is turned away before the hooks are asked. RMQTT fills client id and user name into what it asks, one
//! placeholder after another, and judges no will: what would deceive the agent must not get so far.

use async_trait::async_trait;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType};
use rmqtt::types::{AuthResult, LastWill};

/// A hook that decides about those that are to be turned away, and leaves all others to who is asked next.
pub struct Door;

/// A will: where it goes to, and whether it is kept there.
struct Will<'a> {
    topic: &'a str,
    retain: bool,
}

#[async_trait]
impl Handler for Door {
    async fn hook(&self, parameter: &Parameter, decided: Option<HookResult>) -> ReturnType {
        let Parameter::ClientAuthenticate(info) = parameter else { return (true, decided) };
        let will = info.last_will();
        let will = will.as_ref().map(|will| match will {
            LastWill::V3(will) => Will { topic: &will.topic, retain: will.retain },
            LastWill::V5(will) => Will { topic: &will.topic, retain: will.retain },
        });
        match refusal(info.client_id(), info.username().map(|name| &**name), will) {
            Some(why) => {
                log::warn!("{:?} is refused: {why}", info.client_id());
                (false, Some(HookResult::AuthResult(AuthResult::NotAuthorized)))
            }
            None => (true, decided),
        }
    }
}

/// Why somebody is turned away.
fn refusal(client: &str, user: Option<&str>, will: Option<Will>) -> Option<&'static str> {
    let deceives = |name: &str| name.contains(['%', '+', '#', '/']);
    if deceives(client) {
        return Some("% + # / are not allowed in client ids");
    }
    if user.is_some_and(deceives) {
        return Some("% + # / are not allowed in user names");
    }
    let will = will?;
    let room = will.topic.strip_prefix("rooms/").and_then(|rest| rest.strip_suffix(client)?.strip_suffix("/agent/"));
    if will.retain || client.is_empty() || room.is_none_or(|room| room.is_empty() || room.contains('/')) {
        return Some("a will may go to rooms/ROOM/agent/ID, with one's own client id, and is not retained");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_deceive_the_hooks_are_refused() {
        for name in ["cam%A", "%c", "a+", "#", "a/b"] {
            assert!(refusal(name, None, None).is_some(), "{name}");
            assert!(refusal("alice", Some(name), None).is_some(), "{name}");
        }
        for name in ["alice", "cam-42", "agent-1", "", "Ä.1_"] {
            assert_eq!(refusal(name, Some(name), None), None, "{name}");
        }
    }

    #[test]
    fn a_will_speaks_to_the_agent_in_ones_own_name_only() {
        let judged = |topic, retain| refusal("bob", None, Some(Will { topic, retain }));
        assert_eq!(judged("rooms/lobby/agent/bob", false), None);
        assert!(judged("rooms/lobby/agent/bob", true).is_some());
        for topic in [
            "rooms/lobby/agent/alice",
            "rooms/lobby/agent/xbob",
            "rooms/lobby/alice/bob",
            "rooms/lobby/alice/agent",
            "rooms//agent/bob",
            "rooms/a/b/agent/bob",
            "rooms/lobby",
            "control/bob",
            "",
        ] {
            assert!(judged(topic, false).is_some(), "{topic}");
        }
        assert!(refusal("", None, Some(Will { topic: "rooms/lobby/agent/", retain: false })).is_some());
    }
}
