//! The figures as text for Prometheus (exposition format 0.0.4), with names after its conventions:
//! base units, `_total` for what only grows, labels whose values are few and known.

use crate::hub::Hub;
use std::fmt::{Display, Write as _};

/// Everything, as `/metrics` gives it.
///
/// # Panics
/// If it is not asked for on the broker's runtime, whose tasks it counts.
pub fn text(hub: &Hub) -> String {
    let census = hub.switchboard.lock().census();
    let counters = &hub.counters;
    let mut text = Text(String::new());
    text.labelled("build_info", "gauge", "Which version runs.", "version", [(env!("CARGO_PKG_VERSION"), 1)]);
    text.gauge("uptime_seconds", "Time since the broker started.", hub.started.elapsed().as_secs());
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    text.gauge("tasks", "Tasks of the runtime: connections, listeners and what goes on beside them.", tasks);
    text.gauge("rooms", "Rooms with a member in them.", census.rooms);
    text.gauge("clients_connected", "Clients with a connection.", census.connected);
    text.gauge("sessions_disconnected", "Persistent sessions without a connection.", census.disconnected);
    let inside = hub.door.inside();
    text.labelled("connections", "gauge", "Connections of clients, by what MQTT goes over.", "transport", inside);
    text.gauge("handshakes", "Connections that have not sent their CONNECT.", hub.door.handshakes());
    text.gauge("connections_held_back", "Connections that are not read from for now.", counters.held_back_now.get());
    text.gauge("subscriptions", "Subscriptions of all clients.", census.subscriptions);
    text.gauge("retained_messages", "Retained messages.", census.retained);
    text.gauge("retained_bytes", "Bytes of retained messages.", census.retained_bytes);
    let waiting = census.waiting + counters.under_way.get();
    text.gauge("messages_waiting", "Messages accepted, and not yet delivered, refused or dropped.", waiting);
    text.gauge("waiting_bytes", "Bytes of messages that wait for clients.", hub.pool.used());
    text.gauge("memory_used_bytes", "Memory in use, as whoever sets the nearest limit counts it.", hub.memory.used());
    text.gauge("memory_limit_bytes", "The nearest limit of memory.", hub.memory.limit());
    text.gauge("memory_short", "1 while nobody comes in for lack of memory, 2 at the worst.", hub.memory.level() as u8);
    let limits = hub.limits.figures();
    text.labelled("limit", "gauge", "Limits in force, in pieces, bytes or seconds.", "name", limits);
    for (name, help, counter) in [
        ("accepted_sockets_total", "Connections accepted by a listener.", &counters.sockets),
        ("accept_errors_total", "Connections that could not be accepted.", &counters.failed_accepts),
        ("connects_total", "CONNECTs accepted.", &counters.connections),
        ("packets_received_total", "MQTT packets read.", &counters.packets_received),
        ("packets_sent_total", "MQTT packets written.", &counters.packets_sent),
        ("messages_received_total", "PUBLISH packets read.", &counters.publishes_received),
        ("messages_sent_total", "PUBLISH packets written.", &counters.publishes_sent),
        ("messages_accepted_total", "Messages taken on, once for each receiver.", &counters.accepted),
        ("messages_delivered_total", "Messages that reached whom they were for.", &counters.delivered),
        ("messages_refused_total", "Messages that their senders may not send.", &counters.refused),
        (
            "messages_dropped_total",
            "Messages dropped by a rule: bounds, expiry, nobody waits for them.",
            &counters.dropped,
        ),
        ("received_bytes_total", "Bytes read from sockets.", &counters.bytes_received),
        ("sent_bytes_total", "Bytes written to sockets.", &counters.bytes_sent),
        ("held_back_total", "Times that a connection sent more than it may and was held back.", &counters.held_back),
    ] {
        text.head(name, "counter", help);
        text.sample(name, None, counter.get());
    }
    text.head("log_lines_lost_total", "counter", "Lines of the log that nobody took, or that could not be written.");
    text.sample("log_lines_lost_total", None, agent::log::lost());
    let refused = hub.audit.counts().map(|(what, count)| (what.name(), count));
    text.labelled("refused_total", "counter", "What was refused, by what it was.", "what", refused);
    text.0
}

/// Writing to a String cannot fail. Label values here need no escapes: they are our own.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP duet_{name} {help}\n# TYPE duet_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, label: Option<(&str, &dyn Display)>, value: impl Display) {
        let _ = match label {
            None => writeln!(self.0, "duet_{name} {value}"),
            Some((label, of)) => writeln!(self.0, "duet_{name}{{{label}=\"{of}\"}} {value}"),
        };
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, None, value);
    }

    fn labelled<L: Display, V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
        self.head(name, kind, help);
        for (of, value) in samples {
            self.sample(name, Some((label, &of)), value);
        }
    }
}
