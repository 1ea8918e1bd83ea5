//! What a message says in a few words, for a row of a table or an arrow of a ladder. Escaped; redacted as asked for.

use crate::model::Said;
use crate::redact::Redaction;
use crate::sdp::{Codec, Description, Media, MediaKind};
use crate::text::escape;
use protocol::{ClosedReason, Control, IceServer, Reason, Said as Agent, What};

/// Codecs that are named before an ellipsis stands for the rest.
const MAX_CODECS: usize = 3;

/// What was said, without its type: `3 m-lines audio+video+data, opus, VP8/VP9/H264…`, `relay udp 203.0.x.x:49152`,
/// `with alice, TURN`. Empty if the type says it all.
pub fn essence(said: &Said, redaction: Redaction) -> String {
    let text = match said {
        Said::Offer(sdp) | Said::Answer(sdp) => description(sdp),
        Said::Candidate(candidate) => redaction.candidate(candidate),
        Said::EndOfCandidates => "no more".into(),
        Said::Ready | Said::Bye => String::new(),
        Said::Join { info } => {
            info.as_ref().map(|info| json(&info.as_map().clone().into(), redaction)).unwrap_or_default()
        }
        Said::Leave { lost } => if *lost { "lost" } else { "" }.into(),
        Said::State { connection, detail } => {
            let word = format!("{connection:?}").to_lowercase();
            match detail {
                Some(detail) => format!("{word}: {}", redaction.text(detail)),
                None => word,
            }
        }
        Said::FromAgent(said) => agent(said, redaction),
        Said::Order(Control::Remove { peer }) => peer.to_string(),
        Said::Order(Control::Close) => String::new(),
        Said::Event(what) => event(what, redaction),
        Said::Refused { why } => redaction.text(why).into_owned(),
        Said::Other(_) => String::new(),
        Said::Malformed { kind, why } => match kind {
            Some(kind) => format!("{kind}: {}", redaction.text(why)),
            None => redaction.text(why).into_owned(),
        },
    };
    escape(&text).into_owned()
}

/// `3 m-lines audio+video+data, opus, VP8/VP9/H264…`
fn description(sdp: &Description) -> String {
    let kind = |media: &Media| match &media.kind {
        MediaKind::Application if media.is_data_channel() => "data".into(),
        kind => kind.to_string(),
    };
    let refused = |media: &Media| if media.is_refused() { "-" } else { "" };
    let kinds: Vec<String> =
        sdp.media.iter().take(8).map(|media| format!("{}{}", refused(media), kind(media))).collect();
    let plural = if sdp.media.len() == 1 { "" } else { "s" };
    let mut parts = vec![format!("{} m-line{plural} {}", sdp.media.len(), kinds.join("+")).trim_end().to_owned()];
    for wanted in [MediaKind::Audio, MediaKind::Video] {
        let media = sdp.media.iter().filter(|media| media.kind == wanted && !media.is_refused());
        let codecs = names(media.flat_map(|media| &media.codecs));
        if !codecs.is_empty() {
            parts.push(codecs);
        }
    }
    if sdp.ice_lite {
        parts.push("ice-lite".into());
    }
    let candidates = sdp.candidates().count();
    if candidates > 0 {
        parts.push(format!("{candidates} candidate{}", if candidates == 1 { "" } else { "s" }));
    }
    if !sdp.problems.is_empty() {
        parts.push("broken".into());
    }
    parts.join(", ")
}

/// Names of codecs, each once: `VP8/VP9/H264…`.
fn names<'a>(codecs: impl Iterator<Item = &'a Codec>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for codec in codecs.filter(|codec| codec.carries_media() && !codec.name.is_empty()) {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(&codec.name)) {
            names.push(&codec.name);
        }
    }
    let more = if names.len() > MAX_CODECS { "…" } else { "" };
    names.truncate(MAX_CODECS);
    format!("{}{more}", names.join("/"))
}

fn agent(said: &Agent, redaction: Redaction) -> String {
    let resumed = |resumed: bool| if resumed { "resumed" } else { "" };
    let parts: Vec<String> = match said {
        Agent::Created { peer, ice_servers, resumed: again, .. } => {
            let with = peer.as_ref().map(|peer| format!("with {}", peer.id)).unwrap_or_default();
            vec![with, servers(ice_servers), resumed(*again).into()]
        }
        Agent::Joined { peer, ice_servers, resumed: again, .. } => {
            vec![format!("with {}", peer.id), servers(ice_servers), resumed(*again).into()]
        }
        Agent::Full { .. } => vec![],
        Agent::Arrived { peer } => vec![peer.id.to_string()],
        Agent::Left { peer, reason } => vec![peer.to_string(), self::reason(*reason).into()],
        Agent::Closed { reason } => vec![
            match reason {
                ClosedReason::Removed => "removed",
                ClosedReason::RoomClosed => "room closed",
                ClosedReason::Replaced => "replaced",
            }
            .into(),
        ],
        Agent::IceServers { ice_servers } => vec![servers(ice_servers)],
        Agent::Error { message, .. } => vec![redaction.text(message).into_owned()],
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Left => "left",
        Reason::Lost => "lost",
        Reason::Removed => "removed",
    }
}

/// Which kinds of ICE servers were handed out.
fn servers(servers: &[IceServer]) -> String {
    let has = |scheme: &str| servers.iter().flat_map(|server| &server.urls).any(|url| url.starts_with(scheme));
    let kinds: Vec<&str> = [("stun", "STUN"), ("turn:", "TURN"), ("turns:", "TURNS")]
        .into_iter()
        .filter_map(|(scheme, name)| has(scheme).then_some(name))
        .collect();
    kinds.join("+")
}

fn event(what: &What, redaction: Redaction) -> String {
    match what {
        What::Created { peer }
        | What::Joined { peer }
        | What::Full { peer }
        | What::Away { peer }
        | What::Resumed { peer }
        | What::Removed { peer } => peer.to_string(),
        What::Arrived { peer, to } => format!("{peer}, told to {to}"),
        What::Left { peer, reason } => format!("{peer}, {}", self::reason(*reason)),
        What::Closed => String::new(),
        What::State { peer, connection, detail } => {
            let detail = detail.as_ref().map(|detail| format!(": {}", redaction.text(detail))).unwrap_or_default();
            format!("{peer}, {}{detail}", format!("{connection:?}").to_lowercase())
        }
        What::Refused { peer, why } | What::BadMessage { peer, why } => format!("{peer}: {}", redaction.text(why)),
    }
}

fn json(value: &serde_json::Value, redaction: Redaction) -> String {
    redaction.json(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Candidate;
    use protocol::{Connection, PeerId};
    use std::sync::Arc;

    fn hidden(said: &Said) -> String {
        essence(said, Redaction::default())
    }

    #[test]
    fn a_description_is_its_m_lines_and_codecs() {
        let offer = Description::read(
            "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=rtpmap:111 opus/48000/2\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n\
             a=rtpmap:98 VP9/90000\r\na=rtpmap:99 H264/90000\r\na=rtpmap:100 AV1/90000\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n",
        );
        let said = Said::Offer(Arc::new(offer));
        assert_eq!(hidden(&said), "4 m-lines audio+video+data+-video, opus/PCMU, VP8/VP9/H264…");
        let broken = Said::Answer(Arc::new(Description::read("a=ice-lite\n\x1b[2J")));
        assert_eq!(hidden(&broken), "0 m-lines, ice-lite, broken");
    }

    #[test]
    fn addresses_are_masked_unless_revealed() {
        let candidate = Candidate::parse("1 1 udp 1 203.0.113.9 49152 typ relay").unwrap();
        let said = Said::Candidate(Box::new(candidate));
        assert_eq!(hidden(&said), "relay udp 203.0.x.x:49152");
        assert_eq!(essence(&said, Redaction { reveal: true }), "relay udp 203.0.113.9:49152");
    }

    #[test]
    fn the_agents_words_are_short() {
        let said = serde_json::json!({
            "type": "joined", "v": 1, "room": "lobby", "you": "bob", "peer": {"id": "alice"}, "resumed": true, "rev": 1,
            "ice_servers": [{"urls": ["stun:stun.example.org"]}, {"urls": ["turns:t.example.org"], "credential": "s3cret"}],
        });
        let said: Agent = serde_json::from_value(said).unwrap();
        assert_eq!(hidden(&Said::FromAgent(Box::new(said))), "with alice, STUN+TURNS, resumed");
        let peer = PeerId::new("bob").unwrap();
        assert_eq!(hidden(&Said::Event(What::Left { peer, reason: Reason::Lost })), "bob, lost");
    }

    #[test]
    fn peers_words_are_escaped() {
        let detail = Some("\x1b[31m from 192.0.2.1".into());
        assert_eq!(hidden(&Said::State { connection: Connection::Failed, detail }), "failed: ␛[31m from 192.0.x.x");
    }
}
