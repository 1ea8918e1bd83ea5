//! MQTT over TCP, plain and encrypted.

use super::tls::{Protocol, Tls};
use super::{Arrival, Transport};
use crate::hub::Hub;
use crate::session;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// Accepts for ever; each connection runs in its own task, from its first byte on.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>, tls: Option<Arc<Tls>>) {
    loop {
        let (stream, address) = super::accept(&listener).await;
        hub.counters.sockets.add(1);
        // Two kinds of tasks: a plain connection does not pay for the room that an encrypted one needs.
        match tls.clone() {
            None => {
                let arrival = Arrival::new(address, Transport::Tcp);
                drop(tokio::spawn(session::serve(stream, arrival, hub.clone())));
            }
            Some(tls) => drop(tokio::spawn(encrypt(stream, address, tls, hub.clone()))),
        }
    }
}

async fn encrypt(stream: TcpStream, address: SocketAddr, tls: Arc<Tls>, hub: Arc<Hub>) {
    let mut arrival = Arrival::new(address, Transport::Tls);
    match tls.handshake(stream, Protocol::Mqtt, hub.limits.connect_timeout).await {
        Ok(client) => {
            arrival.certificate = client.certificate;
            session::serve(client.stream, arrival, hub).await;
        }
        Err(error) => super::refused(&hub, address, &error),
    }
}
