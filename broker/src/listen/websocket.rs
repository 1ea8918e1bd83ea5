//! MQTT over WebSocket (MQTT 6): binary messages as one stream of bytes, however they are cut.
//!
//! Frames are tungstenite's; what comes is read here, since it asks for as much as fits its own small buffer, and each time
//! the kernel.

use super::Arrival;
use super::http::{Site, origin};
use crate::audit::{Refused, What};
use crate::session;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tungstenite::handshake::server::create_response_with_body;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// The subprotocol that a client must offer (MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";
/// Smaller than tungstenite's 128 KiB: it is held for each connection, idle or not.
const READ_BUFFER: usize = 512;
/// Read from the socket at once; what is beyond the first message is held until that has been handled.
const READ_AT_ONCE: usize = 8 * 1024;

/// Answers a request for `/mqtt`.
pub(super) async fn upgrade(
    State(site): State<Arc<Site>>,
    Extension(arrival): Extension<Arrival>,
    mut request: Request,
) -> Response {
    let headers = request.headers();
    let origin: Option<Vec<&str>> = headers.get_all(header::ORIGIN).iter().map(|value| value.to_str().ok()).collect();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // What is no text is no origin.
    if let Err(why) = origin::judge(&origin.unwrap_or_else(|| vec![""]), host, site.is_private, &site.origins) {
        let address = Some(arrival.address);
        site.hub.audit(Refused { what: What::Http, why: &why, client: None, user: None, address });
        return (StatusCode::FORBIDDEN, why + "\n").into_response();
    }
    let Ok(mut response) = create_response_with_body(&request, Body::empty) else {
        let help = "this is MQTT over WebSocket: connect with an MQTT client and the subprotocol mqtt\n";
        // RFC 9110 §15.5.22 and RFC 6455 §4.4 want these said.
        let headers = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::UPGRADE_REQUIRED, headers, help).into_response();
    };
    if !offers_mqtt(request.headers()) {
        let help = "offer the WebSocket subprotocol mqtt (Sec-WebSocket-Protocol: mqtt)\n";
        return (StatusCode::BAD_REQUEST, help).into_response();
    }
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let (upgraded, hub) = (hyper::upgrade::on(&mut request), site.hub.clone());
    let max = Some(hub.limits.max_packet() as usize);
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER).write_buffer_size(0);
    let config = config.max_message_size(max).max_frame_size(max);
    tokio::spawn(async move {
        // Who goes before it has its answer needs none.
        let Ok(upgraded) = upgraded.await else { return };
        // Tasks of their own: this one would keep room for either for as long as it runs.
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => {
                let ahead = Bytes::copy_from_slice(&read_buf); // hyper's buffer would stay with it
                drop(tokio::spawn(session::serve(ByteStream::new(io.into_inner(), ahead, config), arrival, hub)));
            }
            Err(encrypted) => {
                let stream = ByteStream::new(TokioIo::new(encrypted), Bytes::new(), config);
                drop(tokio::spawn(session::serve(stream, arrival, hub)));
            }
        }
    });
    response
}

fn offers_mqtt(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).any(|offered| offered.trim() == SUBPROTOCOL)
}

/// A WebSocket as a stream of bytes.
struct ByteStream<S> {
    socket: S,
    frames: WebSocketContext,
    /// Read from the socket, not yet taken for frames.
    ahead: Bytes,
    /// Of a message, not yet read.
    rest: Bytes,
    /// Frames wait for the socket, so no more are made.
    is_blocked: bool,
    is_closing: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream<S> {
    fn new(socket: S, ahead: Bytes, config: WebSocketConfig) -> Self {
        let frames = WebSocketContext::new(Role::Server, Some(config));
        Self { socket, frames, ahead, rest: Bytes::new(), is_blocked: false, is_closing: false }
    }

    /// The next message; `scratch` is for what the socket gives.
    fn receive(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Result<Message, Error> {
        let mut wire = Wire { socket: &mut self.socket, context, ahead: &mut self.ahead, scratch, fresh: 0..0 };
        let message = self.frames.read(&mut wire);
        let Wire { scratch, fresh, .. } = wire;
        if !fresh.is_empty() {
            self.ahead = Bytes::copy_from_slice(&scratch[fresh]);
        }
        message
    }

    /// Sends what there is to send, and what `say` adds.
    fn send(
        &mut self,
        context: &mut Context<'_>,
        say: impl FnOnce(&mut WebSocketContext, &mut Wire<'_, '_, S>) -> Result<(), Error>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, frames, ahead, .. } = self;
        match say(frames, &mut Wire { socket, context, ahead, scratch: &mut [], fresh: 0..0 }) {
            Ok(()) | Err(Error::ConnectionClosed) => Poll::Ready(Ok(())),
            Err(error) if would_block(&error) => Poll::Pending,
            Err(error) => Poll::Ready(Err(io::Error::other(error))),
        }
    }

    fn poll_frames(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.send(context, |frames, wire| frames.flush(wire));
        self.is_blocked = sent.is_pending();
        sent
    }

    fn start_close(&mut self, context: &mut Context<'_>, code: CloseCode, reason: &'static str) {
        if !std::mem::replace(&mut self.is_closing, true) {
            let frame = CloseFrame { code, reason: reason.into() };
            // A socket that takes nothing more is as closed as it gets.
            let _ = self.send(context, |frames, wire| frames.close(wire, Some(frame)));
        }
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// With which code a connection is closed whose reader met this, RFC 6455 §7.4.1.
fn close_code(error: &Error) -> CloseCode {
    match error {
        Error::Capacity(_) => CloseCode::Size,
        Error::Utf8(_) => CloseCode::Invalid,
        _ => CloseCode::Protocol,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            // What is read into it becomes messages before they are put in its place.
            let scratch = buffer.initialize_unfilled_to(buffer.remaining().min(READ_AT_ONCE));
            match self.receive(context, scratch) {
                Ok(Message::Binary(bytes)) => self.rest = bytes,
                Ok(Message::Text(_)) => {
                    // MQTT-6.0.0-1.
                    self.start_close(context, CloseCode::Unsupported, "MQTT packets come in binary messages");
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a text message")));
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return Poll::Ready(Ok(()));
                }
                Err(error) if would_block(&error) => return Poll::Pending,
                Err(error) => {
                    self.start_close(context, close_code(&error), "");
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_blocked {
            ready!(self.poll_frames(context))?;
        }
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        // Where the socket does not take it, it is kept, and goes out with the next flush.
        let sent = self.send(context, |frames, wire| frames.write(wire, message));
        self.is_blocked = sent.is_pending();
        match sent {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_frames(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.start_close(context, CloseCode::Normal, "");
        // An error is that the other side closed first.
        self.poll_frames(context).map(|_| Ok(()))
    }
}

/// The socket as tungstenite wants it, for one call: what has to wait is an error, and the task is woken.
struct Wire<'a, 'b, S> {
    socket: &'a mut S,
    context: &'a mut Context<'b>,
    ahead: &'a mut Bytes,
    scratch: &'a mut [u8],
    /// What the socket gave, of `scratch`, not yet taken; nothing, while there is something ahead of it.
    fresh: Range<usize>,
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: AsyncRead + Unpin> Read for Wire<'_, '_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(into.len());
            self.ahead.copy_to_slice(&mut into[..length]);
            return Ok(length);
        }
        if self.fresh.is_empty() {
            let mut buffer = ReadBuf::new(self.scratch);
            or_would_block(Pin::new(&mut *self.socket).poll_read(self.context, &mut buffer))?;
            self.fresh = 0..buffer.filled().len();
        }
        let length = self.fresh.len().min(into.len());
        into[..length].copy_from_slice(&self.scratch[self.fresh.start..][..length]);
        self.fresh.start += length;
        Ok(length)
    }
}

impl<S: AsyncWrite + Unpin> Write for Wire<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.socket).poll_write(self.context, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_would_block(Pin::new(&mut *self.socket).poll_flush(self.context))
    }
}
