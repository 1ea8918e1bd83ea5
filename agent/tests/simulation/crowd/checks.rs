//! What must hold of a crowd when it has come to rest.

use super::{Host, State, World};
use protocol::RoomState;

impl World {
    pub(super) fn are_all_inside(&self) -> bool {
        self.peers.iter().all(|peer| matches!(peer.state, State::Inside { .. }))
    }

    pub(super) fn is_quiet(&self) -> bool {
        let is_idle = |host: &Host| host.agent.is_idle() && host.inbox.is_empty() && host.later.is_empty();
        self.under_way.is_empty() && self.hosts.iter().all(is_idle)
    }

    pub(super) fn why(&self) -> String {
        let outside = self.peers.iter().filter(|peer| !matches!(peer.state, State::Inside { .. }));
        let some: Vec<_> = outside.clone().take(3).map(|peer| (&peer.id, peer.room, peer.state, &peer.view)).collect();
        format!("{} outside, as {some:?}; {} under way", outside.count(), self.under_way.len())
    }

    pub(super) fn check_all_are_inside(&self) {
        let common = self.common.borrow();
        common.history.check_all_is_said();
        for (room, name) in self.rooms.iter().enumerate() {
            let kept = common.records.kept(name);
            let seats = kept.map(|kept| kept.room.state(name.clone(), 0).peers).unwrap_or_default();
            let members = &self.peers[room * 2..self.peers.len().min(room * 2 + 2)];
            assert_eq!(seats.len(), members.len(), "{name} has those who want it: {seats:?}");
            assert!(seats.iter().all(|seat| !seat.away), "nobody is away in {name}");
            for peer in members {
                let seat = seats.iter().find(|seat| seat.id == peer.id);
                let other = seats.iter().find(|seat| seat.id != peer.id).map(|seat| seat.id.clone());
                let believes = peer.view.inside.clone().map(|inside| (inside.role, inside.other));
                assert_eq!(believes, seat.map(|seat| (seat.role, other)), "what {} believes of {name}", peer.id);
            }
            let shown =
                self.retained.get(&(room as u32)).map(|state| serde_json::from_str::<RoomState>(state).unwrap());
            assert_eq!(shown.map(|state| state.peers), Some(seats), "{name} is shown as it is");
        }
    }

    pub(super) fn check_nothing_is_left(&self) {
        let common = self.common.borrow();
        common.history.check_all_is_said();
        assert!(
            common.records.is_empty(),
            "nothing is left: {:?}",
            common.records.rooms().iter().take(3).collect::<Vec<_>>()
        );
        assert!(self.retained.is_empty(), "nothing is shown: {:?}", self.retained.iter().take(3).collect::<Vec<_>>());
    }

    /// A room as JSON, of some.
    pub(super) fn state_bytes(&self) -> usize {
        let common = self.common.borrow();
        let some = self.rooms.iter().step_by(self.rooms.len().div_ceil(1000));
        let bytes: Vec<usize> = some
            .filter_map(|room| common.records.kept(room))
            .map(|kept| serde_json::to_string(kept).unwrap().len())
            .collect();
        bytes.iter().sum::<usize>() / bytes.len()
    }
}
