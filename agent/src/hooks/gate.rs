//! The one place that decides what engines ask: `authenticate` lets somebody in, `authorize` says what it may. Both by
//! the rules of [`crate::access`], which are the embedded broker's.

use super::engine::sys;
use super::people::{self, People};
use super::seats::Seats;
use crate::access::authenticate::{Claim, OPERATOR, Person, Wanted};
use crate::access::authorize::Rules;
use crate::access::{Identity, Role};
use crate::login::{self, Login};
use crate::rooms::Outside;
use parking_lot::Mutex;
use protocol::{PeerId, RoomId, Topic, filter, topic};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Client ids of agents, besides the one that this agent has: no peer gets them, for it would push an agent out.
const AGENTS: &str = "agent-";
/// How long a connection is new: by then its engine has closed the one before.
const NEW: Duration = Duration::from_secs(5);

/// Somebody that an engine wants to let in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Newcomer<'a> {
    /// Its MQTT client identifier.
    pub client: &'a str,
    /// User name.
    pub user: Option<&'a str>,
    /// Password, or a token.
    pub password: Option<&'a [u8]>,
    /// Where it comes from, if the engine says so.
    pub address: Option<IpAddr>,
}

impl std::fmt::Debug for Newcomer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Newcomer").field("client", &self.client).finish_non_exhaustive()
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Publish to a topic.
    Publish,
    /// Subscribe to a filter, or be given what was published to a topic.
    Subscribe,
}

/// Who it is whom an engine has let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guest {
    /// A peer or an operator.
    Client(Identity),
    /// The room agent, this one or another.
    Agent,
}

/// The agents' own login at the engine.
pub struct Own {
    /// Their user name.
    pub user: String,
    /// Their password.
    pub password: Zeroizing<String>,
    /// This agent's client id.
    pub client: String,
}

/// See the module.
pub struct Gate {
    login: Arc<Login>,
    rules: Rules,
    own: Own,
    people: Mutex<People>,
    seats: Seats,
    /// Whether anonymous clients must be on this machine.
    is_private: bool,
}

impl Gate {
    /// A gate that lets in whom `login` knows, and the agents.
    pub fn new(login: Arc<Login>, rules: Rules, own: Own, seats: Seats, is_private: bool) -> Self {
        Self { login, rules, own, people: Mutex::new(People::new(people::MAX)), seats, is_private }
    }

    /// Finds out who somebody is, and remembers it.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn authenticate(&self, newcomer: Newcomer<'_>) -> Result<Guest, String> {
        let Newcomer { client, user, password, address } = newcomer;
        let user = user.filter(|user| !user.is_empty());
        if user == Some(&*self.own.user) {
            let is_right = password.is_some_and(|it| bool::from(it.ct_eq(self.own.password.as_bytes())));
            return if is_right { Ok(Guest::Agent) } else { Err("this is not the agent's password".into()) };
        }
        let id = PeerId::new(client).map_err(|error| format!("client id: {error}"))?;
        if client == self.own.client || client.starts_with(AGENTS) {
            return Err(format!("the client id {client} is an agent's"));
        }
        let claim = Claim { user, password, certificate: None };
        let person = self.login.recognise(claim, address.unwrap_or(UNTOLD)).await.map_err(|error| error.to_string())?;
        if self.is_private && person == Person::Anonymous && address.is_some_and(|it| !it.to_canonical().is_loopback())
        {
            return Err("nobody is asked who it is here, which is for this machine only".into());
        }
        let (identity, _) = self.login.ways().admit(person, Wanted::Id(&id)).map_err(|error| error.to_string())?;
        self.check_seat(&identity).await?;
        self.people.lock().remember(identity.clone(), user, login::wall());
        Ok(Guest::Client(identity))
    }

    /// Nobody gets the client id of somebody else who has a seat.
    async fn check_seat(&self, identity: &Identity) -> Result<(), String> {
        let is_anothers = {
            let people = self.people.lock();
            let holder = people.holder(&identity.id, login::wall());
            holder.is_some_and(|holder| holder.principal() != identity.principal())
        };
        let seats = self.seats.seats_of(identity.id.clone());
        if is_anothers && seats.await.map_err(|error| error.to_string())? > 0 {
            return Err(format!("{} is in a room under another login", identity.id));
        }
        Ok(())
    }

    /// Says whether somebody who was let in may do something.
    ///
    /// # Errors
    /// Why not.
    pub async fn authorize(&self, client: &str, user: Option<&str>, action: Action, on: &str) -> Result<(), String> {
        let who = match self.guest(client, user)? {
            Guest::Agent => return agent_may(action, on),
            Guest::Client(identity) => identity,
        };
        match action {
            Action::Subscribe => self.rules.subscribe(&who, on).map_err(|why| why.to_string()),
            Action::Publish => {
                let members = match Topic::parse(on) {
                    Ok(Topic::Signal { room, .. }) => self.members(room).await?,
                    Ok(Topic::ToAgent { room, .. }) if !who.may_create() => {
                        let members = self.members(room).await?;
                        if members.is_empty() {
                            return Err(format!("{room} is empty and your rights let you join, not create"));
                        }
                        members
                    }
                    _ => Vec::new(),
                };
                let signal = |room: &str, from: &str, to: &str| {
                    let inside = |peer: &str| members.iter().any(|member| *member == *peer);
                    let outside = match (inside(from), inside(to)) {
                        (false, _) => Outside::Sender,
                        _ if from == to => Outside::Oneself,
                        (_, false) => Outside::Receiver,
                        (true, true) => return Ok(()),
                    };
                    Err(outside.explain(room, from, to))
                };
                self.rules.publish(&who, on, signal).map_err(|refusal| refusal.why)
            }
        }
    }

    /// Who came with this client id and this user name.
    ///
    /// # Errors
    /// If nobody has, or may any more.
    pub fn guest(&self, client: &str, user: Option<&str>) -> Result<Guest, String> {
        let user = user.filter(|user| !user.is_empty());
        if user == Some(&*self.own.user) {
            return Ok(Guest::Agent);
        }
        let id = PeerId::new(client).map_err(|error| format!("client id: {error}"))?;
        let known = self.people.lock().recall(&id, user, login::wall());
        if let Some(known) = known.filter(|known| self.login.still_admits(known.grant.as_ref())) {
            return Ok(Guest::Client(known));
        }
        self.by_name(&id, user).map(Guest::Client)
    }

    /// Who has been let in before this agent began. Without tokens the user name says it all, since nobody comes in
    /// under a name without its password; beside a token it says nothing.
    fn by_name(&self, id: &PeerId, user: Option<&str>) -> Result<Identity, String> {
        let unknown = || format!("{id} is not known to this agent; it has to connect again");
        let ways = self.login.ways();
        let person = match user {
            _ if ways.tokens.is_some() => return Err(unknown()),
            None if ways.anonymous => Person::Anonymous,
            None => return Err(unknown()),
            Some(OPERATOR) if ways.operator.is_some() => Person::Operator,
            Some(user) => ways.checked(user, true).map_err(|_| unknown())?,
        };
        ways.admit(person, Wanted::Id(id)).map(|(identity, _)| identity).map_err(|error| error.to_string())
    }

    async fn members(&self, room: &str) -> Result<Vec<PeerId>, String> {
        let room = RoomId::new(room).map_err(|error| error.to_string())?;
        self.seats.members(room).await.map_err(|error| error.to_string())
    }

    /// Takes notice that a connection has ended. Of an engine that does not say whether another one has taken its place
    /// (`unless_new`), it is not believed shortly after somebody has come in by the same client id.
    ///
    /// # Errors
    /// If the rooms do not take it.
    pub async fn gone(&self, client: &str, lost: bool, unless_new: bool) -> Result<(), String> {
        let Ok(peer) = PeerId::new(client) else { return Ok(()) };
        let since = self.people.lock().since(&peer).filter(|_| unless_new);
        if since.is_some_and(|since| login::wall().since(since) < NEW) {
            return Ok(());
        }
        self.seats.ended(peer, lost).await.map_err(|error| error.to_string())
    }

    /// How many are remembered.
    pub fn remembered(&self) -> usize {
        self.people.lock().len()
    }
}

/// Where somebody comes from of whom the engine does not say it; exempt from counts by address.
pub const UNTOLD: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What an agent does, and nothing more.
fn agent_may(action: Action, on: &str) -> Result<(), String> {
    let may = match action {
        Action::Publish => {
            matches!(Topic::parse(on), Ok(Topic::FromAgent { .. } | Topic::State { .. } | Topic::Events { .. }))
        }
        Action::Subscribe => {
            let wanted = filter::shared(on).map_or(on, |(_, wanted)| wanted);
            let own = [topic::AGENT_INBOX, topic::CONTROL_INBOX, "rooms/+", sys::DISCONNECTED];
            filter::is_valid(wanted) && own.iter().any(|own| filter::covers(own, wanted))
        }
    };
    if may { Ok(()) } else { Err("this is nothing that an agent does".into()) }
}

impl Guest {
    /// Whether it is an operator.
    pub fn is_operator(&self) -> bool {
        matches!(self, Guest::Client(Identity { role: Role::Operator, .. }))
    }

    /// When its credentials run out, in whole seconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        let Guest::Client(identity) = self else { return None };
        identity.expires().map(|end| end.as_millis() / 1000)
    }
}
