//! A morning at a broker: calls that do well, and calls that do not, message by message as they are on the wire.

use agent::service::status::{Status, StoreStatus};
use bytes::Bytes;
use monitor::model::{Bounds, Model};
use monitor::wire::{Input, Link, Message};
use protocol::Timestamp;
use serde_json::{Value, json};

/// Half past three in the morning.
pub const START: u64 = 1_783_567_800_000;

/// Says things at given times.
pub struct Scene {
    pub inputs: Vec<Input>,
    now: u64,
    rev: u64,
}

impl Scene {
    pub fn new() -> Self {
        let link = Input::Link { at: Timestamp::from_millis(START), link: Link::Connected };
        Self { inputs: vec![link], now: START, rev: START }
    }

    /// Lets time pass, in milliseconds.
    pub fn after(&mut self, millis: u64) -> &mut Self {
        self.now += millis;
        self
    }

    pub fn tick(&mut self, millis: u64) -> &mut Self {
        self.after(millis);
        self.inputs.push(Input::Tick(Timestamp::from_millis(self.now)));
        self
    }

    pub fn link(&mut self, link: Link) -> &mut Self {
        self.inputs.push(Input::Link { at: Timestamp::from_millis(self.now), link });
        self
    }

    pub fn raw(&mut self, topic: &str, payload: impl Into<Bytes>, retain: bool) -> &mut Self {
        let at = Timestamp::from_millis(self.now);
        self.inputs.push(Input::Message(Message { at, topic: topic.into(), payload: payload.into(), qos: 1, retain }));
        self
    }

    pub fn say(&mut self, topic: &str, value: Value) -> &mut Self {
        self.raw(topic, value.to_string(), false)
    }

    fn rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    pub fn event(&mut self, room: &str, mut value: Value) -> &mut Self {
        value["time"] = json!(Timestamp::from_millis(self.now));
        value["rev"] = json!(self.rev());
        self.say(&format!("rooms/{room}/events"), value)
    }

    /// A first peer joins.
    pub fn create(&mut self, room: &str, peer: &str, kind: &str) -> &mut Self {
        let ice =
            json!([{"urls": ["turn:turn.example.org:3478"], "username": "1783600000:x", "credential": "c2VjcmV0"}]);
        self.say(&format!("rooms/{room}/agent/{peer}"), json!({"type": "join", "v": 1, "info": {"kind": kind}}));
        let rev = self.rev();
        self.after(2).say(
            &format!("rooms/{room}/{peer}/agent"),
            json!({"type": "created", "v": 1, "room": room, "you": peer, "ice_servers": ice, "resumed": false, "rev": rev}),
        );
        self.event(room, json!({"type": "created", "peer": peer}));
        self.state(room, &[(peer, "created", kind)], 0)
    }

    /// A second peer joins.
    pub fn join(&mut self, room: &str, (first, first_kind): (&str, &str), (peer, kind): (&str, &str)) -> &mut Self {
        self.say(&format!("rooms/{room}/agent/{peer}"), json!({"type": "join", "v": 1, "info": {"kind": kind}}));
        let rev = self.rev();
        self.after(2).say(
            &format!("rooms/{room}/{peer}/agent"),
            json!({"type": "joined", "v": 1, "room": room, "you": peer, "resumed": false, "ice_servers": [], "rev": rev,
                   "peer": {"id": first, "info": {"kind": first_kind}}}),
        );
        self.event(room, json!({"type": "joined", "peer": peer}));
        let rev = self.rev();
        self.after(1).say(
            &format!("rooms/{room}/{first}/agent"),
            json!({"type": "arrived", "peer": {"id": peer, "info": {"kind": kind}}, "rev": rev}),
        );
        self.event(room, json!({"type": "arrived", "peer": peer, "to": first}));
        self.state(room, &[(first, "created", first_kind), (peer, "joined", kind)], 0)
    }

    pub fn state(&mut self, room: &str, peers: &[(&str, &str, &str)], messages: u64) -> &mut Self {
        let now = json!(Timestamp::from_millis(self.now));
        let peers: Vec<Value> = peers
            .iter()
            .map(
                |(id, role, kind)| json!({"id": id, "role": role, "since": now, "away": false, "info": {"kind": kind}}),
            )
            .collect();
        let rev = self.rev();
        let state =
            json!({"room": room, "created_at": now, "peers": peers, "messages": messages, "refused": 0, "rev": rev});
        self.raw(&format!("rooms/{room}"), state.to_string(), true)
    }

    pub fn signal(&mut self, room: &str, from: &str, to: &str, value: Value) -> &mut Self {
        self.say(&format!("rooms/{room}/{to}/{from}"), value)
    }

    pub fn candidate(&mut self, room: &str, from: &str, to: &str, line: &str) -> &mut Self {
        let candidate = json!({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "EsAw"});
        self.signal(room, from, to, json!({"type": "candidate", "candidate": candidate}))
    }

    pub fn connection(&mut self, room: &str, peer: &str, connection: &str) -> &mut Self {
        self.say(&format!("rooms/{room}/agent/{peer}"), json!({"type": "state", "connection": connection}));
        self.event(room, json!({"type": "state", "peer": peer, "connection": connection}))
    }

    /// A whole call, well or not: `codecs` of the first and of the second peer.
    pub fn call(&mut self, room: &str, (a, b): (&str, &str), (offered, answered): (&str, &str)) -> &mut Self {
        self.after(40).signal(room, b, a, json!({"type": "ready"}));
        self.after(21).signal(room, a, b, json!({"type": "offer", "sdp": sdp("EsAw", offered, "actpass")}));
        self.after(9).candidate(room, a, b, "candidate:1 1 udp 2122260223 10.0.7.9 61000 typ host generation 0");
        self.after(3).candidate(
            room,
            a,
            b,
            "candidate:2 1 udp 41885439 203.0.113.7 49152 typ relay raddr 0.0.0.0 rport 0",
        );
        self.after(84).signal(room, b, a, json!({"type": "answer", "sdp": sdp("Q7vT", answered, "active")}));
        self.after(4).candidate(room, b, a, "candidate:1 1 udp 2122260223 10.0.9.4 53211 typ host generation 0");
        self.after(2).candidate(
            room,
            b,
            a,
            "candidate:3 1 udp 41885439 203.0.113.7 49153 typ relay raddr 0.0.0.0 rport 0",
        );
        self.after(5).signal(room, a, b, json!({"type": "candidate", "candidate": null}))
    }

    pub fn figures(&mut self, uptime: u64, received: u64) -> &mut Self {
        for (name, value) in [
            ("version", "duet version 0.1.0".to_owned()),
            ("uptime", format!("{uptime} seconds")),
            ("clients/connected", "12".into()),
            ("publish/messages/received", received.to_string()),
            ("messages/received", (received * 2).to_string()),
            ("messages/sent", (received * 3 + uptime * 40).to_string()),
            ("bytes/received", (received * 310).to_string()),
            ("bytes/sent", (received * 720 + uptime * 3_000).to_string()),
        ] {
            self.raw(&format!("$SYS/broker/{name}"), value, true);
        }
        self
    }

    /// An agent is asked how it is doing, and says so, or why not.
    pub fn agent(&mut self, port: u16, said: Result<Status, &str>) -> &mut Self {
        let (at, url) = (Timestamp::from_millis(self.now), format!("http://10.0.3.{}:8090", port - 8089));
        self.inputs.push(Input::Agent { at, url: url.into(), said: Box::new(said.map_err(str::to_owned)) });
        self
    }

    /// Three agents at work for a minute.
    pub fn agents(&mut self) -> &mut Self {
        for turn in 0..30u64 {
            for port in 8090..8093u16 {
                let busy = u64::from(port - 8089);
                self.agent(port, Ok(status(&format!("agent-{busy}"), turn, busy * turn * turn)));
            }
            self.tick(2_000);
        }
        self
    }

    pub fn model(&self) -> Model {
        let mut model = Model::new(Bounds::default());
        for input in &self.inputs {
            model.take(input.clone());
        }
        model
    }
}

/// What an agent says that listens and whose store answers.
pub fn status(name: &str, turn: u64, heard: u64) -> Status {
    let requests = 2 * turn + 3 * heard;
    let store = StoreStatus { kind: "redis".into(), answers: true, requests, failures: 0, micros: requests * 214 };
    Status {
        agent: name.into(),
        version: "0.1.0".into(),
        uptime: 93_600 + 2 * turn,
        connected: true,
        heard,
        allowed: 4 * heard,
        denied: turn,
        store,
    }
}

/// A description as browsers write them, shortened.
pub fn sdp(ufrag: &str, codec: &str, setup: &str) -> String {
    let (name, fmtp) = codec.split_once(' ').unwrap_or((codec, ""));
    let ice = format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:secret-password-of-ice\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
         a=setup:{setup}\r\n"
    );
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n{ice}a=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n{ice}a=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:96 {name}/90000\r\na=fmtp:96 {fmtp}\r\n"
    )
}

/// Half an hour of it.
pub fn morning() -> Scene {
    let mut scene = Scene::new();
    let (browser, camera) = ("browser", "camera");
    for second in 0..30u64 {
        scene.figures(273_600 + second, 1_000 + second * second * 3).tick(1_000);
    }
    scene.create("gate", "cam-7", camera).tick(4_000);
    // Does well; a third knocks twice.
    scene.create("lobby", "alice", browser).after(5_000);
    scene.join("lobby", ("alice", browser), ("bob", browser)).call("lobby", ("alice", "bob"), ("VP8", "VP8"));
    scene.after(300).connection("lobby", "alice", "connected").after(4).connection("lobby", "bob", "connected");
    scene.after(2_000).say("rooms/lobby/agent/eve", json!({"type": "join", "v": 1}));
    scene.after(1).say("rooms/lobby/eve/agent", json!({"type": "full", "room": "lobby", "rev": 1}));
    scene.event("lobby", json!({"type": "full", "peer": "eve"}));
    scene.after(700).event("lobby", json!({"type": "refused", "peer": "eve", "why": "not a member of the room lobby"}));
    // No codec in common, and so it fails.
    scene.after(9_000).create("현관 카메라", "cam-1", camera).after(800);
    scene.join("현관 카메라", ("cam-1", camera), ("ward-tablet", browser));
    let h264 = "H264 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    scene.call("현관 카메라", ("cam-1", "ward-tablet"), (h264, "VP8"));
    scene.after(4_000).connection("현관 카메라", "ward-tablet", "failed");
    // Offered, never answered.
    scene.after(2_000).create("intensive-care-unit-3-east-wing-bed-12", "bed-12-camera-ceiling", camera).after(400);
    let long = "intensive-care-unit-3-east-wing-bed-12";
    scene.join(long, ("bed-12-camera-ceiling", camera), ("night-desk", browser)).after(60);
    scene.signal(long, "night-desk", "bed-12-camera-ceiling", json!({"type": "ready"})).after(30);
    let offer = json!({"type": "offer", "sdp": sdp("EsAw", "VP8", "actpass")});
    scene.signal(long, "bed-12-camera-ceiling", "night-desk", offer);
    // A name that wants to steer the terminal, and a peer that speaks of other things.
    scene.after(3_000).create("evil\u{202e}moor", "m", "\u{1b}[31mred").after(10);
    scene.join("evil\u{202e}moor", ("m", "x"), ("n", "x")).after(10);
    scene.signal("evil\u{202e}moor", "m", "n", json!({"type": "ring"})).after(10);
    scene.raw("rooms/evil\u{202e}moor/n/m", &b"{\"type\":\"offer\",\"sdp\":"[..], false);
    scene.figures(273_760, 9_000).tick(12_000);
    scene.figures(273_772, 9_400).tick(1_000);
    scene
}
