//! MQTT over TCP.

use crate::hub::Hub;
use crate::session;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Accepts for ever; each connection runs in its own task, from its first byte on.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>) {
    loop {
        let stream = super::accept(&listener).await;
        hub.counters.sockets.add(1);
        tokio::spawn(session::serve(stream, hub.clone()));
    }
}
