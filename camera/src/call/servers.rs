//! STUN and TURN servers: candidates that they give, and datagrams that go over a relay. No sockets in here.
//!
//! UDP only (RFC 8489, RFC 8656): a relay that is named for TCP or TLS alone is left to the viewer, whose own
//! allocation there is enough for both.

use super::net::Datagram;
use protocol::IceServer;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::Candidate;
use stun_proto::agent::{StunAgent, StunAgentPollRet, Transmit};
use stun_proto::types::TransportType;
use stun_proto::types::attribute::XorMappedAddress;
use stun_proto::types::message::{BINDING, Message, MessageWriteVec};
use stun_proto::types::prelude::MessageWrite;
use tracing::{debug, warn};
use turn_client_proto::api::{TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::prelude::TurnClientApi;
use turn_client_proto::types::TurnCredentials;
use turn_client_proto::udp::TurnClientUdp;

/// Datagrams that wait for the relay's permission to go to the viewer.
const WAITING: usize = 16;
/// Servers that are asked at most: each answer is one more candidate for each of the viewer's.
const MOST: usize = 4;

/// A server that can be asked, its name looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    address: SocketAddr,
    /// User and password at a relay; a STUN server wants none.
    login: Option<(String, String)>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output {
    /// A datagram to be sent.
    Send { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    /// One more address at which this side can be reached.
    Candidate(Candidate),
    /// Nothing before this time.
    Until(Instant),
}

/// What a datagram was.
#[derive(Debug)]
pub(super) enum Input {
    /// Something else: it is for the call as it is.
    Other(Datagram),
    /// Between this side and a server.
    Taken,
    /// From the viewer, over a relay: as if it had come to the relayed address.
    Relayed(Datagram),
}

/// The servers of a call.
pub(super) struct Servers {
    /// What the libraries count their time from.
    begun: Instant,
    stuns: Vec<Stun>,
    turns: Vec<Turn>,
    candidates: VecDeque<Candidate>,
}

struct Stun {
    agent: StunAgent,
    local: SocketAddr,
    server: SocketAddr,
    /// The request, before it was sent for the first time.
    first: Option<Vec<u8>>,
    over: bool,
}

struct Turn {
    client: TurnClientUdp,
    local: SocketAddr,
    relayed: Option<SocketAddr>,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    over: bool,
}

/// Looks the names of servers up.
pub(super) async fn look_up(servers: &[IceServer]) -> Vec<Server> {
    let mut found = Vec::new();
    for server in servers {
        let login = server.username.clone().zip(server.credential.clone());
        for url in &server.urls {
            let Some((host, port, relay)) = over_udp(url) else { continue };
            let login = if relay { login.clone() } else { None };
            if relay && login.is_none() {
                warn!(url, "a relay without credentials is of no use");
                continue;
            }
            let address = match tokio::net::lookup_host((host.as_str(), port)).await {
                Ok(mut addresses) => addresses.next(),
                Err(error) => {
                    warn!(url, %error, "the server is not found");
                    None
                }
            };
            if let Some(address) = address
                && found.len() < MOST
            {
                found.push(Server { address, login });
            }
        }
    }
    found.dedup();
    found
}

/// Host, port and whether it is a relay, of a server that is reached over UDP (RFC 7064, RFC 7065).
fn over_udp(url: &str) -> Option<(String, u16, bool)> {
    let (scheme, rest) = url.split_once(':')?;
    let relay = match scheme.to_ascii_lowercase().as_str() {
        "stun" => false,
        "turn" => true,
        _ => return None,
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !matches!(query, "" | "transport=udp") {
        return None;
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
        _ => (place, 3478),
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty()).then(|| (host.to_owned(), port, relay))
}

impl Servers {
    /// Without any server yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, stuns: Vec::new(), turns: Vec::new(), candidates: VecDeque::new() }
    }

    /// Asks every server from every socket that can reach it.
    pub(super) fn ask(&mut self, now: Instant, servers: Vec<Server>, sockets: &[SocketAddr]) {
        let time = self.time(now);
        for Server { address: server, login } in servers {
            let reaches = |local: &&SocketAddr| {
                local.is_ipv4() == server.is_ipv4() && local.ip().is_loopback() == server.ip().is_loopback()
            };
            for &local in sockets.iter().filter(reaches) {
                match &login {
                    None => {
                        let mut agent = StunAgent::builder(TransportType::Udp, local).remote_addr(server).build();
                        let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
                        match agent.send_request(request, server, time) {
                            Ok(transmit) => {
                                let first = Some(transmit.data.to_vec());
                                self.stuns.push(Stun { agent, local, server, first, over: false });
                            }
                            Err(error) => debug!(%server, %error, "nothing can be asked"),
                        }
                    }
                    Some((user, password)) => {
                        let config = TurnConfig::new(TurnCredentials::new(user, password));
                        let client = TurnClientUdp::allocate(local, server, config);
                        self.turns.push(Turn { client, local, relayed: None, waiting: VecDeque::new(), over: false });
                    }
                }
            }
        }
    }

    /// Takes what servers say.
    pub(super) fn receive(&mut self, now: Instant, datagram: Datagram) -> Input {
        let time = self.time(now);
        for turn in &mut self.turns {
            if (turn.local, turn.client.remote_addr()) != (datagram.to, datagram.from) {
                continue;
            }
            let transmit = Transmit::new(datagram.bytes.as_slice(), TransportType::Udp, datagram.from, datagram.to);
            match (turn.client.recv(transmit, time), turn.relayed) {
                (TurnRecvRet::PeerData(data), Some(relayed)) => {
                    return Input::Relayed(Datagram { from: data.peer, to: relayed, bytes: data.data().to_vec() });
                }
                (TurnRecvRet::Ignored(_), _) => break,
                _ => return Input::Taken,
            }
        }
        for stun in &mut self.stuns {
            if (stun.local, stun.server) != (datagram.to, datagram.from) {
                continue;
            }
            let Ok(message) = Message::from_bytes(&datagram.bytes) else { break };
            if !stun.agent.handle_stun_message_with_time(&message, datagram.from, time) {
                break;
            }
            stun.over = true;
            if let Ok(mapped) = message.attribute::<XorMappedAddress>() {
                let mapped = mapped.addr(message.transaction_id());
                match Candidate::server_reflexive(mapped, stun.local, "udp") {
                    Ok(candidate) => self.candidates.push_back(candidate),
                    Err(error) => debug!(%error, "no candidate"),
                }
            }
            return Input::Taken;
        }
        Input::Other(datagram)
    }

    /// Sends to the viewer from a relayed address; the datagram to the relay, or `None` if it is no relayed address or
    /// the relay has yet to permit the viewer.
    pub(super) fn relay(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Option<Output> {
        let time = self.time(now);
        let turn = self.turns.iter_mut().find(|turn| turn.relayed == Some(from))?;
        if !turn.client.have_permission(TransportType::Udp, to.ip()) {
            if !turn.waiting.iter().any(|(other, _)| other.ip() == to.ip())
                && let Err(error) = turn.client.create_permission(TransportType::Udp, to.ip(), time)
            {
                debug!(%error, "no permission is asked for");
            }
            turn.waiting.truncate(WAITING - 1);
            turn.waiting.push_back((to, bytes.to_vec()));
            return None;
        }
        turn.send(to, bytes, time)
    }

    /// Whether it is an address that a relay has given.
    pub(super) fn is_relayed(&self, address: SocketAddr) -> bool {
        self.turns.iter().any(|turn| turn.relayed == Some(address))
    }

    /// What is to be done next. To be asked after every change until it says [`Output::Until`].
    pub(super) fn poll(&mut self, now: Instant) -> Output {
        let time = self.time(now);
        let mut until = now + Duration::from_secs(3600);
        for turn in &mut self.turns {
            while let Some(event) = turn.client.poll_event() {
                turn.hear(event, &mut self.candidates);
            }
            if let Some(&(to, _)) = turn.waiting.front()
                && turn.client.have_permission(TransportType::Udp, to.ip())
                && let Some((to, bytes)) = turn.waiting.pop_front()
                && let Some(output) = turn.send(to, &bytes, time)
            {
                return output;
            }
            let wait = turn.client.poll(time);
            if let Some(transmit) = turn.client.poll_transmit(time) {
                return Output::Send { from: transmit.from, to: transmit.to, bytes: transmit.data.to_vec() };
            }
            match wait {
                TurnPollRet::WaitUntil(at) => until = until.min(at.to_std(self.begun)),
                TurnPollRet::Closed if !turn.over => {
                    turn.over = true;
                    debug!(server = %turn.client.remote_addr(), "the relay is of no use any more");
                }
                _ => {}
            }
        }
        for stun in self.stuns.iter_mut().filter(|stun| !stun.over) {
            if let Some(bytes) = stun.first.take() {
                return Output::Send { from: stun.local, to: stun.server, bytes };
            }
            let wait = stun.agent.poll(time);
            if let Some(transmit) = stun.agent.poll_transmit(time) {
                return Output::Send { from: transmit.from, to: transmit.to, bytes: transmit.data.to_vec() };
            }
            match wait {
                StunAgentPollRet::WaitUntil(at) => until = until.min(at.to_std(self.begun)),
                _ => {
                    stun.over = true;
                    warn!(server = %stun.server, "the STUN server does not answer");
                }
            }
        }
        self.candidates.pop_front().map_or(Output::Until(until), Output::Candidate)
    }

    /// Gives every allocation back, by what [`Servers::poll`] then has to send.
    pub(super) fn close(&mut self, now: Instant) {
        let time = self.time(now);
        for turn in &mut self.turns {
            // One that was never given cannot be given back.
            let _ = turn.client.delete(time);
        }
    }

    fn time(&self, now: Instant) -> stun_proto::Instant {
        let nanos = now.saturating_duration_since(self.begun).as_nanos();
        stun_proto::Instant::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

impl Turn {
    fn hear(&mut self, event: TurnEvent, candidates: &mut VecDeque<Candidate>) {
        match event {
            TurnEvent::AllocationCreated(TransportType::Udp, relayed) => {
                self.relayed = Some(relayed);
                match Candidate::relayed(relayed, self.local, "udp") {
                    Ok(candidate) => candidates.push_back(candidate),
                    Err(error) => debug!(%error, "no candidate"),
                }
            }
            TurnEvent::AllocationCreateFailed(_) => {
                warn!(server = %self.client.remote_addr(), "the relay gives no address: wrong credentials, or it is full");
            }
            TurnEvent::PermissionCreateFailed(_, viewer) => {
                debug!(server = %self.client.remote_addr(), %viewer, "the relay does not permit this address");
                self.waiting.retain(|(to, _)| to.ip() != viewer);
            }
            _ => {}
        }
    }

    fn send(&mut self, to: SocketAddr, bytes: &[u8], time: stun_proto::Instant) -> Option<Output> {
        match self.client.send_to(TransportType::Udp, to, bytes, time) {
            Ok(transmit) => {
                let transmit = transmit?.build();
                Some(Output::Send { from: transmit.from, to: transmit.to, bytes: transmit.data })
            }
            Err(error) => {
                debug!(%error, "a datagram is lost at the relay");
                None
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any time will do")]
mod tests {
    use super::*;
    use stun_proto::types::prelude::MessageWriteExt;

    #[test]
    fn servers_are_reached_over_udp_or_not_at_all() {
        for (url, expected) in [
            ("stun:stun.example.org", Some(("stun.example.org", 3478, false))),
            ("STUN:192.0.2.1:19302", Some(("192.0.2.1", 19302, false))),
            ("turn:turn.example.org:3479?transport=udp", Some(("turn.example.org", 3479, true))),
            ("turn:[2001:db8::1]:3478", Some(("2001:db8::1", 3478, true))),
            ("turn:[2001:db8::1]", Some(("2001:db8::1", 3478, true))),
            ("turn:turn.example.org?transport=tcp", None),
            ("turns:turn.example.org", None),
            ("turn:turn.example.org:port", None),
            ("turn:", None),
            ("", None),
        ] {
            let found = over_udp(url);
            assert_eq!(found.as_ref().map(|(host, port, relay)| (host.as_str(), *port, *relay)), expected, "{url}");
        }
    }

    fn sent(servers: &mut Servers, now: Instant) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut all = Vec::new();
        while let Output::Send { from, to, bytes } = servers.poll(now) {
            all.push((from, to, bytes));
        }
        all
    }

    #[test]
    fn a_stun_server_is_asked_from_the_sockets_that_reach_it_and_gives_a_candidate() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let now = Instant::now();
        let mut servers = Servers::new(now);
        let (local, server, mapped) = (address("10.0.0.2:4000"), address("192.0.2.1:3478"), address("198.51.100.7:99"));
        let sockets = [local, address("127.0.0.1:4001"), address("[2001:db8::2]:4002")];
        servers.ask(now, vec![Server { address: server, login: None }], &sockets);
        let asked = sent(&mut servers, now);
        assert_eq!(asked.iter().map(|(from, to, _)| (*from, *to)).collect::<Vec<_>>(), [(local, server)]);

        let request = Message::from_bytes(&asked[0].2).unwrap();
        let mut answer = Message::builder_success(&request, MessageWriteVec::new());
        answer.add_attribute(&XorMappedAddress::new(mapped, request.transaction_id())).unwrap();
        let answer = answer.finish();
        let other = Datagram { from: mapped, to: local, bytes: answer.clone() };
        assert!(matches!(servers.receive(now, other), Input::Other(_)), "only the server is believed");
        let datagram = Datagram { from: server, to: local, bytes: answer };
        assert!(matches!(servers.receive(now, datagram), Input::Taken));
        let Output::Candidate(candidate) = servers.poll(now) else { panic!("a candidate") };
        assert_eq!((candidate.addr(), candidate.kind().to_string().as_str()), (mapped, "srflx"));
    }

    #[test]
    fn whatever_comes_from_a_server_is_survived() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let now = Instant::now();
        let mut servers = Servers::new(now);
        let (local, server) = (address("10.0.0.2:4000"), address("192.0.2.1:3478"));
        let login = Some(("user".to_owned(), "s3cret".to_owned()));
        servers.ask(now, vec![Server { address: server, login }, Server { address: server, login: None }], &[local]);
        sent(&mut servers, now);
        for length in 0..64u8 {
            let bytes = (0..length).map(|at| at.wrapping_mul(length)).collect();
            servers.receive(now, Datagram { from: server, to: local, bytes });
        }
        servers.close(now);
        sent(&mut servers, now);
    }
}
