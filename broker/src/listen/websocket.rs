//! MQTT over WebSocket (MQTT 6): binary messages as one stream of bytes, however they are cut.

use super::Arrival;
use super::http::{Site, origin};
use crate::audit::{Refused, What};
use crate::session;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The subprotocol that a client must offer (MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";
/// Smaller than tungstenite's 128 KiB: it is held for each connection, idle or not.
const READ_BUFFER: usize = 512;

// Why a connection is closed, RFC 6455 §7.4.1.
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED_DATA: u16 = 1003;
const INVALID_DATA: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// Answers a request for `/mqtt`.
pub(super) async fn upgrade(
    State(site): State<Arc<Site>>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let origin: Option<Vec<&str>> = headers.get_all(header::ORIGIN).iter().map(|value| value.to_str().ok()).collect();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // What is no text is no origin.
    if let Err(why) = origin::judge(&origin.unwrap_or_else(|| vec![""]), host, site.is_private, &site.origins) {
        let address = Some(arrival.address);
        site.hub.audit(Refused { what: What::Http, why: &why, client: None, user: None, address });
        return (StatusCode::FORBIDDEN, why + "\n").into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(_) => {
            let help = "this is MQTT over WebSocket: connect with an MQTT client and the subprotocol mqtt\n";
            // RFC 9110 §15.5.22 and RFC 6455 §4.4 want these said.
            let headers = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
            return (StatusCode::UPGRADE_REQUIRED, headers, help).into_response();
        }
    };
    if !upgrade.requested_protocols().any(|offered| offered == SUBPROTOCOL) {
        let help = "offer the WebSocket subprotocol mqtt (Sec-WebSocket-Protocol: mqtt)\n";
        return (StatusCode::BAD_REQUEST, help).into_response();
    }
    let hub = site.hub.clone();
    let max = hub.limits.max_packet() as usize;
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(max)
        .max_frame_size(max)
        .on_upgrade(|socket| session::serve(ByteStream { socket, rest: Bytes::new(), closing: false }, arrival, hub))
}

/// A WebSocket as a stream of bytes.
struct ByteStream {
    socket: WebSocket,
    /// Received, not yet read.
    rest: Bytes,
    closing: bool,
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    // MQTT-6.0.0-1.
                    self.start_close(UNSUPPORTED_DATA, "MQTT packets come in binary messages");
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a text message")));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => {
                    let error = error.into_inner();
                    self.start_close(close_code(error.downcast_ref()), "");
                    return Poll::Ready(Err(io::Error::other(error)));
                }
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl ByteStream {
    fn start_close(&mut self, code: u16, reason: &'static str) {
        if !self.closing {
            self.closing = true;
            let frame = CloseFrame { code, reason: reason.into() };
            // A socket that takes nothing more is as closed as it gets.
            let _ = Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)));
        }
    }
}

fn close_code(error: Option<&tungstenite::Error>) -> u16 {
    match error {
        Some(tungstenite::Error::Capacity(_)) => TOO_BIG,
        Some(tungstenite::Error::Utf8(_)) => INVALID_DATA,
        _ => PROTOCOL_ERROR,
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.socket);
        ready!(socket.as_mut().poll_ready(context)).map_err(io::Error::other)?;
        socket.start_send(Message::Binary(Bytes::copy_from_slice(bytes))).map_err(io::Error::other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.start_close(NORMAL, "");
        match ready!(Pin::new(&mut self.socket).poll_flush(context)) {
            // The other side closed first.
            Ok(()) | Err(_) => Poll::Ready(Ok(())),
        }
    }
}
