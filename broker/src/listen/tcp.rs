//! MQTT over TCP.

use super::{Arrival, Transport};
use crate::hub::Hub;
use crate::session;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Accepts for ever; each connection runs in its own task, from its first byte on.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>) {
    loop {
        let (stream, address) = super::accept(&listener).await;
        hub.counters.sockets.add(1);
        let arrival = Arrival { address, transport: Transport::Tcp, certificate: None };
        tokio::spawn(session::serve(stream, arrival, hub.clone()));
    }
}
