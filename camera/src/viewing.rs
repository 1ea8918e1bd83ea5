//! What happens in one room: who looks, when a call begins, when it goes on though the broker has lost somebody. Pure:
//! it is told what was heard and says what is to be done.

use crate::signal::Signal;
use protocol::{Connection, IceServer, PeerId, Reason, Said};

/// Candidates that may come before the offer that they belong to.
const HELD: usize = 100;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Act {
    /// Say it to the viewer.
    Say(PeerId, Signal),
    /// Begin a call by offering; the one before ends.
    Offer,
    /// Begin a call by answering this offer; the one before ends.
    Answer(String),
    /// It is for the present call.
    Give(Signal),
    /// End the present call.
    End,
}

/// A room and its viewer.
#[derive(Debug, Default)]
pub(crate) struct Viewing {
    /// Would rather answer than offer.
    answers: bool,
    fellow: Option<PeerId>,
    /// In which role a clash of two offers is given way (perfect negotiation).
    polite: bool,
    /// For the next call.
    pub(crate) ice_servers: Vec<IceServer>,
    /// `ready` has been said since the viewer came, and no offer has followed.
    asked: bool,
    /// The viewer's seat is lost, its call goes on.
    seat_lost: bool,
    held: Vec<Signal>,
    call: Option<Present>,
}

/// The present call.
#[derive(Debug, Default)]
struct Present {
    flows: bool,
    /// An offer has been made and not been answered.
    offered: bool,
    /// Of the certificate of the viewer's RTCPeerConnection: another one means another connection.
    fingerprint: Option<String>,
}

impl Viewing {
    /// A room in which nobody looks yet. With `answers` the camera asks viewers for an offer instead of making one.
    pub(crate) fn new(answers: bool) -> Self {
        Self { answers, ..Self::default() }
    }

    /// Who looks, if anybody does.
    pub(crate) fn viewer(&self) -> Option<&PeerId> {
        self.fellow.as_ref()
    }

    /// The agent says something.
    pub(crate) fn agent(&mut self, said: &Said) -> Vec<Act> {
        match said {
            Said::Created { peer, ice_servers, resumed, .. } => {
                self.ice_servers.clone_from(ice_servers);
                self.seated(peer.as_ref().map(|peer| &peer.id), false, *resumed)
            }
            Said::Joined { peer, ice_servers, resumed, .. } => {
                self.ice_servers.clone_from(ice_servers);
                self.seated(Some(&peer.id), true, *resumed)
            }
            Said::Arrived { peer } => {
                (self.polite, self.seat_lost) = (false, false);
                if self.fellow.as_ref() == Some(&peer.id) && self.flows() {
                    return Vec::new();
                }
                let acts = self.gone();
                self.fellow = Some(peer.id.clone());
                acts
            }
            // Only its way to the broker may be lost: the picture goes on as long as it flows.
            Said::Left { reason: Reason::Lost, .. } if self.flows() => {
                self.seat_lost = true;
                Vec::new()
            }
            Said::Left { .. } | Said::Closed { .. } | Said::Full { .. } => self.gone(),
            Said::IceServers { ice_servers } => {
                self.ice_servers.clone_from(ice_servers);
                Vec::new()
            }
            Said::Error { .. } => Vec::new(),
        }
    }

    /// The viewer says something.
    pub(crate) fn viewer_says(&mut self, signal: Signal) -> Vec<Act> {
        match signal {
            // Two that would rather answer must not ask one another for ever.
            Signal::Ready if self.answers && !self.asked => self.ask(),
            Signal::Ready => {
                self.begin(None);
                vec![Act::Offer]
            }
            Signal::Offer { sdp } => {
                let fingerprint = fingerprint(&sdp);
                if let Some(call) = &mut self.call {
                    if call.offered && !self.polite {
                        return Vec::new();
                    }
                    if !call.offered && call.fingerprint == fingerprint {
                        return vec![Act::Give(Signal::Offer { sdp })];
                    }
                }
                let held = self.begin(fingerprint);
                std::iter::once(Act::Answer(sdp)).chain(held.into_iter().map(Act::Give)).collect()
            }
            Signal::Answer { sdp } => {
                let Some(call) = self.call.as_mut().filter(|call| call.offered) else { return Vec::new() };
                let fingerprint = fingerprint(&sdp);
                if call.fingerprint.is_some() && call.fingerprint != fingerprint {
                    // It has answered with another connection than the one that the offer was for.
                    self.begin(None);
                    return vec![Act::Offer];
                }
                (call.offered, call.fingerprint) = (false, fingerprint);
                vec![Act::Give(Signal::Answer { sdp })]
            }
            Signal::Candidate { .. } if self.call.is_some() => vec![Act::Give(signal)],
            Signal::Candidate { .. } => {
                if self.held.len() < HELD {
                    self.held.push(signal);
                }
                Vec::new()
            }
            Signal::Bye => {
                self.asked = false;
                self.end()
            }
            Signal::Other => Vec::new(),
        }
    }

    /// The present call has something to say.
    pub(crate) fn call_says(&mut self, signal: Signal) -> Vec<Act> {
        if let (Signal::Offer { .. }, Some(call)) = (&signal, &mut self.call) {
            call.offered = true;
        }
        self.fellow.iter().filter(|_| !self.seat_lost).map(|fellow| Act::Say(fellow.clone(), signal.clone())).collect()
    }

    /// How the present call is doing.
    pub(crate) fn call_is(&mut self, connection: Connection) -> Vec<Act> {
        let Some(call) = &mut self.call else { return Vec::new() };
        call.flows = connection == Connection::Connected;
        if self.seat_lost && !call.flows {
            return self.gone();
        }
        Vec::new()
    }

    /// The present call has ended by itself. With `hopeless` another attempt would end like it.
    pub(crate) fn call_ended(&mut self, hopeless: bool) -> Vec<Act> {
        self.call = None;
        if self.seat_lost {
            self.fellow = None;
            self.seat_lost = false;
        }
        if hopeless { self.call_says(Signal::Bye) } else { Vec::new() }
    }

    fn seated(&mut self, peer: Option<&PeerId>, polite: bool, resumed: bool) -> Vec<Act> {
        let same = peer.is_some() && peer == self.fellow.as_ref();
        self.polite = polite;
        self.seat_lost = false;
        if same && self.flows() {
            return Vec::new();
        }
        // Alone by the agent's account, as after its restart: the viewer may be on its way back, its picture is there.
        if peer.is_none() && !resumed && self.flows() {
            self.seat_lost = true;
            return Vec::new();
        }
        let mut acts = self.gone();
        self.fellow = peer.cloned();
        // Who was there first, as a rule, offers. Who came back with nothing asks for an offer, whoever it was.
        if peer.is_some() && (polite || resumed) {
            acts.extend(self.ask());
        }
        acts
    }

    fn ask(&mut self) -> Vec<Act> {
        self.asked = true;
        self.fellow.iter().map(|fellow| Act::Say(fellow.clone(), Signal::Ready)).collect()
    }

    fn flows(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.flows)
    }

    /// A call that begins; what had come for it already.
    fn begin(&mut self, fingerprint: Option<String>) -> Vec<Signal> {
        self.asked = false;
        self.call = Some(Present { flows: false, offered: fingerprint.is_none(), fingerprint });
        std::mem::take(&mut self.held)
    }

    fn gone(&mut self) -> Vec<Act> {
        (self.fellow, self.asked, self.seat_lost) = (None, false, false);
        self.held.clear();
        self.end()
    }

    fn end(&mut self) -> Vec<Act> {
        self.call.take().map(|_| Act::End).into_iter().collect()
    }
}

/// Of the certificate in a description (RFC 8122, 5).
fn fingerprint(sdp: &str) -> Option<String> {
    sdp.lines().find_map(|line| line.strip_prefix("a=fingerprint:")).map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests;
