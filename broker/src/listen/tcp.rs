//! MQTT over TCP, plain and encrypted.

use super::tls::{Protocol, Tls};
use super::{Acceptor, Arrival, Transport};
use crate::hub::Hub;
use crate::session;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// Accepts for ever; each connection runs in its own task, from its first byte on.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>, tls: Option<Arc<Tls>>) {
    let mut acceptor = Acceptor::new(listener, hub.clone());
    loop {
        // Two kinds of tasks: a plain connection does not pay for the room that an encrypted one needs.
        match tls.clone() {
            None => {
                let (stream, arrival) = acceptor.accept(Transport::Tcp).await;
                drop(tokio::spawn(session::serve(stream, arrival, hub.clone())));
            }
            Some(tls) => {
                let (stream, arrival) = acceptor.accept(Transport::Tls).await;
                drop(tokio::spawn(encrypt(stream, arrival, tls, hub.clone())));
            }
        }
    }
}

async fn encrypt(stream: TcpStream, mut arrival: Arrival, tls: Arc<Tls>, hub: Arc<Hub>) {
    if let Some(client) = super::handshake(stream, &arrival, &tls, Protocol::Mqtt, &hub).await {
        arrival.certificate = client.certificate;
        session::serve(client.stream, arrival, hub).await;
    }
}
