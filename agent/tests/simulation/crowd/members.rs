//! What peers do: they come, renew their leases, go in one way or another, and make of it what agents say to them.

use super::{LEAVE, Message, SECOND, State, What, World};
use crate::GRACE;
use crate::peer::{Channel, View};
use protocol::AgentMessage;

const JOIN: &str = r#"{"type":"join"}"#;
const LOST: &str = r#"{"type":"leave","reason":"lost"}"#;
/// When a join is said again that is not answered.
const AGAIN: u64 = 2 * SECOND;

impl World {
    /// As many come as may be under way.
    pub(super) fn come(&mut self) {
        while self.waiting < self.plan.at_once
            && let Some(peer) = self.coming.next()
        {
            self.want(peer);
        }
    }

    fn want(&mut self, peer: u32) {
        self.waiting += 1;
        self.peers[peer as usize].state = State::Wants { since: self.now };
        self.act(peer);
    }

    fn say(&mut self, from: u32, payload: &'static str) {
        let peer = &mut self.peers[from as usize];
        let room = peer.room;
        match payload {
            JOIN => peer.view.asked += 1,
            LEAVE => peer.view.leaves(),
            _ => peer.view.forget(Channel::Repeating),
        }
        // A message may overtake another, and the engine may give one twice.
        let wait = self.net() * if self.dice.u32(0..100) == 0 { 20 } else { 1 };
        self.after(wait, What::ForAgent(Message { room, from, payload }));
        if !self.is_calm && self.common.borrow().is_rough && self.dice.u32(0..200) == 0 {
            let wait = self.dice.u64(0..SECOND);
            self.after(wait, What::ForAgent(Message { room, from, payload }));
        }
    }

    pub(super) fn act(&mut self, peer: u32) {
        match self.peers[peer as usize].state {
            State::Gone => {}
            State::Out => self.want(peer),
            State::Wants { .. } => {
                self.say(peer, JOIN);
                self.act_after(peer, AGAIN);
            }
            State::Inside { until } if self.now >= until && !self.is_calm => self.go_away(peer),
            State::Inside { .. } => {
                self.say(peer, JOIN);
                self.next_act(peer);
            }
        }
    }

    pub(super) fn act_after(&mut self, peer: u32, wait: u64) {
        self.peers[peer as usize].epoch += 1;
        let epoch = self.peers[peer as usize].epoch;
        self.after(wait, What::Act { peer, epoch });
    }

    /// A member renews its lease, or goes, whatever comes first.
    fn next_act(&mut self, peer: u32) {
        let State::Inside { until } = self.peers[peer as usize].state else { return };
        let renewal = self.plan.lease.as_micros() as u64 / 3;
        let wait = if self.is_calm { renewal } else { until.saturating_sub(self.now).min(renewal) };
        self.act_after(peer, wait);
    }

    pub(super) fn end_of_call(&mut self) -> u64 {
        // Each call has two who leave; both come back.
        let mean = 3_600 * SECOND / self.plan.calls.max(1);
        self.now + self.dice.u64(0..mean * 2)
    }

    /// A call is over: the peer leaves, or is lost; then it comes again, or disturbs two others first.
    fn go_away(&mut self, peer: u32) {
        match self.dice.u32(0..100) {
            0..3 => {
                self.tally.cut += 1;
                self.say(peer, LOST);
            }
            // A will is not always sent.
            3..5 if self.peers[peer as usize].room == peer / 2 => {
                self.tally.cut += 1;
                self.peers[peer as usize].view.forget(Channel::Repeating);
            }
            _ => self.say(peer, LEAVE),
        }
        self.peers[peer as usize].state = State::Out;
        // Some stay away for longer than their seats are kept.
        let longest =
            if self.dice.u32(0..50) == 0 { 2 * (self.plan.lease + GRACE).as_micros() as u64 } else { 5 * SECOND };
        let pause = self.dice.u64(SECOND..longest);
        let room = if self.dice.u32(0..20) == 0 { self.dice.u32(0..self.rooms.len() as u32) } else { peer / 2 };
        self.change_room(peer, room);
        self.act_after(peer, pause);
    }

    fn change_room(&mut self, peer: u32, room: u32) {
        let peer = &mut self.peers[peer as usize];
        if peer.room != room {
            // `rev` grows within a room; what comes of the former one is of no interest.
            (peer.room, peer.view) = (room, View::default());
            peer.view.forget(Channel::Repeating);
        }
    }

    /// Leaves where it does not belong, and wants its own room.
    pub(super) fn go_home(&mut self, peer: u32) {
        let home = peer / 2;
        if self.peers[peer as usize].room != home {
            self.say(peer, LEAVE);
            if let State::Wants { .. } = self.peers[peer as usize].state {
                self.waiting -= 1;
            }
            self.peers[peer as usize].state = State::Out;
            self.change_room(peer, home);
        }
        if self.peers[peer as usize].state == State::Out {
            let wait = self.dice.u64(SECOND..5 * SECOND);
            self.act_after(peer, wait);
        }
    }

    pub(super) fn hear(&mut self, peer: u32, room: u32, message: &str) {
        // Who has gone elsewhere does not listen there any more.
        if self.peers[peer as usize].room != room {
            return;
        }
        let now = self.now;
        let message: AgentMessage = serde_json::from_str(message).unwrap();
        let heard = &mut self.peers[peer as usize];
        heard.view.hear(&heard.id, Channel::Repeating, &message, &mut self.tally);
        let is_inside = heard.view.inside.is_some();
        match heard.state {
            State::Wants { since } if is_inside => {
                self.waiting -= 1;
                self.figures.answered(now - since);
                let until = self.end_of_call();
                self.peers[peer as usize].state = State::Inside { until };
                self.next_act(peer);
                self.come();
            }
            // Full: it goes where it belongs, after a while.
            State::Wants { .. } if matches!(message.said, protocol::Said::Full { .. }) => {
                self.waiting -= 1;
                heard.state = State::Out;
                self.change_room(peer, peer / 2);
                self.act_after(peer, 5 * SECOND);
            }
            State::Inside { .. } if !is_inside => {
                heard.state = State::Out;
                self.act_after(peer, SECOND);
            }
            _ => {}
        }
    }
}
