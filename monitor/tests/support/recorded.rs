//! Recordings written by hand.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub const SDP: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n\
    a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";

/// A recording in the making; a message every hundred milliseconds.
pub struct Recorded {
    lines: Vec<String>,
    millis: u64,
}

impl Recorded {
    pub fn new() -> Self {
        let head = json!({"duet_recording": 1, "started": "2026-11-22T10:00:00.000Z",
            "broker": "mqtt://127.0.0.1:1883", "version": "0.1.0"});
        let link = json!({"at": "2026-11-22T10:00:00.000Z", "link": "connected"});
        Self { lines: vec![head.to_string(), link.to_string()], millis: 0 }
    }

    fn at(&mut self) -> String {
        self.millis += 100;
        protocol::Timestamp::from_millis(1_795_341_600_000 + self.millis).to_string()
    }

    pub fn message(&mut self, topic: &str, message: &Value) -> &mut Self {
        let at = self.at();
        self.lines.push(json!({"at": at, "topic": topic, "json": message}).to_string());
        self
    }

    pub fn raw(&mut self, line: &str) -> &mut Self {
        self.lines.push(line.into());
        self
    }

    /// Nothing happens for so many seconds.
    pub fn pause(&mut self, seconds: u64) -> &mut Self {
        self.millis += seconds * 1000;
        self
    }

    /// A call in a room: join, ready, offer, answer, connected.
    pub fn call(&mut self, room: &str) -> &mut Self {
        let topic = |to: &str, from: &str| format!("rooms/{room}/{to}/{from}");
        self.message(&topic("agent", "alice"), &json!({"type": "join"}))
            .message(
                &topic("alice", "agent"),
                &json!({"type": "created", "v": 1, "room": room, "you": "alice",
                "ice_servers": [], "resumed": false, "rev": 1}),
            )
            .message(&topic("agent", "bob"), &json!({"type": "join"}))
            .message(
                &topic("bob", "agent"),
                &json!({"type": "joined", "v": 1, "room": room, "you": "bob",
                "peer": {"id": "alice"}, "ice_servers": [], "resumed": false, "rev": 2}),
            )
            .message(&topic("alice", "agent"), &json!({"type": "arrived", "peer": {"id": "bob"}, "rev": 2}))
            .message(&topic("alice", "bob"), &json!({"type": "ready"}))
            .message(&topic("bob", "alice"), &json!({"type": "offer", "sdp": SDP}))
            .message(&topic("alice", "bob"), &json!({"type": "answer", "sdp": SDP.replace("actpass", "active")}))
            .message(&topic("agent", "alice"), &json!({"type": "state", "connection": "connected"}))
            .message(&topic("agent", "bob"), &json!({"type": "state", "connection": "connected"}))
    }

    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("recorded.ndjson");
        std::fs::write(&path, self.lines.join("\n") + "\n").unwrap();
        path
    }
}
