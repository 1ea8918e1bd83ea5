//! What a client says, packet by packet.

use super::packets::{self, Accepted};
use super::publishing::Published;
use super::{End, Session, Transport, connect::qos};
use crate::audit::What;
use crate::frame::{self, Flags, Frame, Message, Qos};
use crate::hub;
use crate::properties;
use crate::session::outbox::Delivery;
use crate::switchboard::Subscription;
use crate::switchboard::dispatch::json;
use agent::access::authorize::{NotGranted, Refusal};
use agent::rooms::Verdict;
use bytes::BytesMut;
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{GenericPacket, Packet, Property, RetainHandling, SubEntry};
use mqtt_protocol_core::mqtt::result_code::{DisconnectReasonCode, PubrecReasonCode};
use protocol::topic::Inbox;
use protocol::{ErrorCode, PeerMessage, Topic, filter};
use std::time::Instant;

impl<S: Transport> Session<S> {
    pub(super) fn received(&mut self, packet: Packet, now: Instant) -> Result<(), End> {
        match packet {
            GenericPacket::V3_1_1Publish(p) => self.publish(
                &Published {
                    topic: p.topic_name(),
                    payload: p.payload().as_slice(),
                    qos: qos(p.qos()),
                    retain: p.retain(),
                    id: p.packet_id(),
                    properties: &[],
                    is_known: true,
                },
                now,
            ),
            GenericPacket::V5_0Publish(p) => {
                if p.props().iter().any(|property| matches!(property, Property::TopicAlias(_))) {
                    // A few bytes on the wire that stand for a whole topic behind it.
                    self.spend_bytes(p.topic_name().len(), now);
                }
                self.publish(
                    &Published {
                        topic: p.topic_name(),
                        payload: p.payload().as_slice(),
                        qos: qos(p.qos()),
                        retain: p.retain(),
                        id: p.packet_id(),
                        properties: p.props(),
                        is_known: true,
                    },
                    now,
                )
            }
            GenericPacket::V3_1_1Pubrec(p) => self.pubrec(p.packet_id(), true),
            GenericPacket::V5_0Pubrec(p) => {
                self.pubrec(p.packet_id(), p.reason_code().is_none_or(|code| code == PubrecReasonCode::Success))
            }
            GenericPacket::V3_1_1Pubrel(p) => self.pubrel(p.packet_id()),
            GenericPacket::V5_0Pubrel(p) => self.pubrel(p.packet_id()),
            GenericPacket::V3_1_1Subscribe(p) => self.subscribe(p.packet_id(), p.entries(), None, now),
            GenericPacket::V5_0Subscribe(p) => {
                let id = p.props().iter().find_map(|property| match property {
                    Property::SubscriptionIdentifier(id) => Some(id.val()),
                    _ => None,
                });
                self.subscribe(p.packet_id(), p.entries(), id, now)
            }
            GenericPacket::V3_1_1Unsubscribe(p) => {
                self.unsubscribe(p.packet_id(), p.entries().iter().map(|filter| filter.as_str()))
            }
            GenericPacket::V5_0Unsubscribe(p) => {
                self.unsubscribe(p.packet_id(), p.entries().iter().map(|filter| filter.as_str()))
            }
            GenericPacket::V3_1_1Disconnect(_) => Err(End::Disconnected { with_will: false }),
            GenericPacket::V5_0Disconnect(p) => Err(self.disconnected(p.reason_code(), p.props().as_deref())),
            GenericPacket::V5_0Auth(_) => Err(self.violation(DisconnectReasonCode::ProtocolError)),
            _ => Ok(()),
        }
    }

    pub(super) fn publish(&mut self, published: &Published<'_>, now: Instant) -> Result<(), End> {
        self.hub.counters.publishes_received.add(1);
        if published.id == Some(0) {
            return Err(self.violation(DisconnectReasonCode::ProtocolError)); // MQTT-2.2.1-3
        }
        if published.topic.is_empty() || published.topic.bytes().any(|byte| matches!(byte, b'+' | b'#' | 0)) {
            return Err(self.violation(DisconnectReasonCode::TopicNameInvalid));
        }
        if !properties::may_be_published(published.properties) {
            return Err(self.violation(DisconnectReasonCode::ProtocolError));
        }
        let is_busy = published.qos == Qos::AtLeastOnce && self.hub.uplink.is_busy();
        let accepted = match self.judge(published, now) {
            Ok(()) => {
                let Published { qos, retain, .. } = *published;
                let flags = Flags { qos, retain, may_create: self.who.may_create() };
                let encode = |out: &mut BytesMut| properties::encode(published.properties, out);
                self.push(|out| {
                    frame::publish(out, &self.who.id, published.topic, flags, encode, published.payload);
                });
                Accepted::Yes
            }
            Err(refusal) => {
                let (what, accepted) = match refusal.code {
                    ErrorCode::TooLarge => (What::TooLarge, Accepted::TooMuch),
                    ErrorCode::RateLimited => (What::Join, Accepted::TooMuch),
                    _ => (What::Publish, Accepted::Forbidden),
                };
                self.hub.counters.accepted.add(1);
                self.hub.counters.refused.add(1);
                self.refuse(what, refusal);
                accepted
            }
        };
        let Some(id) = published.id else { return Ok(()) };
        let from = self.unwritten.len();
        if accepted == Accepted::Yes && !published.is_known {
            self.write_puback(id);
        } else if let Some(Ok(packet)) = packets::acknowledged(self.version, published.qos, id, accepted) {
            self.send(packet);
        }
        if is_busy {
            self.may_wait(from);
        }
        Ok(())
    }

    /// Whether a message may go on: its size, its properties, the rules, and how often its address
    /// may join.
    fn judge(&self, published: &Published<'_>, now: Instant) -> Result<(), Refusal> {
        let room = || Topic::parse(published.topic).ok().map(|topic| topic.room().to_owned());
        let (limit, size) = (self.hub.limits.max_message, published.payload.len());
        if size > limit {
            let why = format!("a message has at most {limit} bytes, this one has {size}");
            return Err(Refusal { code: ErrorCode::TooLarge, why, room: room() });
        }
        properties::check_user(published.properties, self.hub.limits.user_properties).map_err(|why| Refusal {
            code: ErrorCode::TooLarge,
            why,
            room: room(),
        })?;
        let signal = |room: &str, from: &str, to: &str| match self.hub.rooms.read().may_signal(room, from, to) {
            Verdict::Allowed | Verdict::ToAway => Ok(()),
            Verdict::NotAMember(reason) => Err(reason.explain(room, from, to)),
        };
        self.hub.rules.publish(&self.who, published.topic, signal)?;
        if self.may_join(published, now) {
            return Ok(());
        }
        let why = format!(
            "from one address come at most {} joins a minute; try again later",
            self.hub.limits.joins.per_period
        );
        Err(Refusal { code: ErrorCode::RateLimited, why, room: room() })
    }

    /// Whether this is no join, or one that its address may still make. Only what is said to the
    /// agent is looked into.
    fn may_join(&self, published: &Published<'_>, now: Instant) -> bool {
        let Some(source) = self.admission.source() else { return true };
        let is_join = published.topic.contains("/agent/")
            && matches!(Topic::parse(published.topic), Ok(Topic::ToAgent { .. }))
            && matches!(PeerMessage::decode(published.payload), Ok(PeerMessage::Join { .. }));
        !is_join || self.hub.joins.lock().try_take(source, self.hub.clock.nanos(now))
    }

    /// Has the client told of a refusal; in order with the agent's other words to it.
    pub(super) fn refuse(&self, what: What, refusal: Refusal) {
        let Refusal { code, why, room } = refusal;
        self.audit(what, &why);
        let refused = Frame::Refused { client: self.who.id.clone(), room, code, why };
        self.hub.uplink.push(|out| refused.encode(out));
    }

    /// The connection ends for a packet beyond all limits.
    pub(super) fn tell_too_large(&mut self) {
        let why = format!("a message has at most {} bytes", self.hub.limits.max_message);
        self.tell_last(ErrorCode::TooLarge, &why);
    }

    /// Says why the connection is about to end, if the client listens.
    pub(super) fn tell_last(&mut self, code: ErrorCode, why: &str) {
        const ROOM: &str = crate::switchboard::NO_ROOM;
        let topic = Topic::FromAgent { room: ROOM, to: self.who.id.as_str() }.to_string();
        if !self.hub.switchboard.lock().listens(&self.who.id, &topic) {
            return;
        }
        let now = hub::now();
        let error = self.hub.rooms.write().error(ROOM, code, why, now.wall);
        let message = Message::own(topic, json(&error), Qos::AtMostOnce);
        let delivery =
            Delivery { message, qos: Qos::AtMostOnce, retain: false, subscriptions: Vec::new(), received: now.instant };
        // Straight into the buffer: the library accepts nothing after its DISCONNECT.
        self.write_publish(&delivery, None, now.instant);
    }

    fn pubrec(&mut self, id: u16, success: bool) -> Result<(), End> {
        self.acknowledged(id);
        if success && let Ok(packet) = packets::release(self.version, id) {
            self.send(packet);
        }
        Ok(())
    }

    fn pubrel(&mut self, id: u16) -> Result<(), End> {
        if let Ok(packet) = packets::complete(self.version, id) {
            self.send(packet);
        }
        Ok(())
    }

    fn subscribe(&mut self, packet: u16, entries: &[SubEntry], id: Option<u32>, now: Instant) -> Result<(), End> {
        if packet == 0 {
            return Err(self.violation(DisconnectReasonCode::ProtocolError)); // MQTT-2.2.1-3
        }
        self.check_strings(entries.iter().map(SubEntry::topic_filter))?;
        // One of many cannot have its own kept from it (MQTT-3.8.3-4).
        let is_odd = |entry: &SubEntry| entry.sub_opts().nl() && entry.topic_filter().starts_with(filter::SHARED);
        if entries.iter().any(is_odd) {
            return Err(self.violation(DisconnectReasonCode::ProtocolError));
        }
        // Under 3.1.1 only the QoS is there, and the rest is reserved (MQTT-3-8.3-4); the library does not mind.
        let has_more = |entry: &SubEntry| entry.sub_opts().to_buffer()[0] & !3 != 0;
        if self.version != Version::V5_0 && entries.iter().any(has_more) {
            return Err(self.violation(DisconnectReasonCode::MalformedPacket));
        }
        let mut verdicts = Vec::with_capacity(entries.len());
        let mut granted = Vec::new();
        {
            let mut switchboard = self.hub.switchboard.lock();
            for entry in entries {
                let (filter, options) = (entry.topic_filter(), entry.sub_opts());
                let verdict = self.hub.rules.subscribe(&self.who, filter).and_then(|()| {
                    let has_room = switchboard.subscriptions_of(&self.who.id) < self.hub.limits.max_subscriptions;
                    has_room.then_some(qos(options.qos())).ok_or(NotGranted::TooMany)
                });
                if let Err(why) = verdict {
                    // Within the switchboard's lock, which the audit does not take.
                    self.audit(What::Subscribe, &format!("{filter}: {why}"));
                }
                verdicts.push(verdict);
                if let Ok(qos) = verdict {
                    let subscription = Subscription {
                        filter: filter.into(),
                        qos,
                        no_local: options.nl(),
                        retain_as_published: options.rap(),
                        id,
                        is_inbox: Inbox::parse(filter, &self.who.id).is_some_and(|inbox| inbox.is_whole()),
                    };
                    let is_new = switchboard.subscribe(&self.who.id, subscription.clone());
                    let wants_retained = match options.rh() {
                        RetainHandling::SendRetained => true,
                        RetainHandling::SendRetainedIfNotExists => is_new,
                        RetainHandling::DoNotSendRetained => false,
                    };
                    if wants_retained {
                        granted.push(subscription);
                    }
                }
            }
        }
        if let Ok(answer) = packets::subscribed(self.version, packet, &verdicts) {
            self.send(answer);
        }
        for subscription in granted {
            self.hub.switchboard.lock().send_retained(&self.who.id, &subscription, now);
        }
        Ok(())
    }

    fn unsubscribe<'a>(&mut self, packet: u16, filters: impl Iterator<Item = &'a str> + Clone) -> Result<(), End> {
        if packet == 0 {
            return Err(self.violation(DisconnectReasonCode::ProtocolError)); // MQTT-2.2.1-3
        }
        self.check_strings(filters.clone())?;
        let existed: Vec<bool> = {
            let mut switchboard = self.hub.switchboard.lock();
            filters.map(|filter| switchboard.unsubscribe(&self.who.id, filter)).collect()
        };
        if let Ok(answer) = packets::unsubscribed(self.version, packet, &existed) {
            self.send(answer);
        }
        Ok(())
    }

    /// A string with U+0000 in it ends the connection (MQTT-1.5.4-2; 3.1.1: MQTT-1.5.3-2); of filters, the library
    /// does not look for it.
    fn check_strings<'a>(&mut self, mut strings: impl Iterator<Item = &'a str>) -> Result<(), End> {
        if strings.any(|string| string.contains('\0')) {
            return Err(self.violation(DisconnectReasonCode::MalformedPacket));
        }
        Ok(())
    }

    /// DISCONNECT under 5.0 may change how long the session is kept, but not from nothing to
    /// something (MQTT 3.14.2.2.2).
    fn disconnected(&mut self, code: Option<DisconnectReasonCode>, properties: Option<&[Property]>) -> End {
        for property in properties.unwrap_or_default() {
            if let Property::SessionExpiryInterval(interval) = property {
                if self.expiry == 0 && interval.val() > 0 {
                    return self.violation(DisconnectReasonCode::ProtocolError);
                }
                self.expiry = interval.val().min(self.hub.limits.session_expiry_seconds());
            }
        }
        End::Disconnected { with_will: code.is_some_and(|code| code != DisconnectReasonCode::NormalDisconnection) }
    }
}
