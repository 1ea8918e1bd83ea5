//! MQTT over WebSocket (MQTT 6): binary messages as one stream of bytes, however they are cut. Here is how one begins.

mod frames;
mod stream;

use super::Arrival;
use super::http::{MAX_BUFFER, MAX_HEADERS, Site, origin};
use crate::audit::{Refused, What};
use crate::session;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{self, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, ready};
use stream::ByteStream;
use tokio::io::{AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{create_response_with_body, write_response};

/// The subprotocol that a client must offer (MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";
/// An answer that opens one.
const LARGEST_ANSWER: usize = 256;

/// Why a request opens no WebSocket.
enum Refusal {
    /// In words: the page that asks must not.
    Origin(String),
    NoHandshake,
    NoSubprotocol,
}

/// Answers a request for `/mqtt`.
pub(super) async fn upgrade(
    State(site): State<Arc<Site>>,
    Extension(arrival): Extension<Arrival>,
    mut request: Request,
) -> Response {
    let answer = match accept(&request, &site) {
        Ok(answer) => answer,
        Err(refusal) => return refuse(refusal, &arrival, &site),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // Who goes before it has its answer needs none.
        let Ok(upgraded) = upgraded.await else { return };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => {
                let ahead = Bytes::copy_from_slice(&read_buf); // hyper's buffer would stay with it
                open(io.into_inner(), ahead, arrival, &site);
            }
            Err(encrypted) => open(TokioIo::new(encrypted), Bytes::new(), arrival, &site),
        }
    });
    answer.map(|()| Body::empty())
}

/// What the first request on a connection is for.
pub(super) enum First {
    /// Opened, all that there was in it.
    WebSocket(ByteStream<TcpStream>),
    /// Anything else; the connection is untouched.
    Other(TcpStream),
}

/// Opens a WebSocket if that is all that the first request on a connection asks for and all of it is there. A
/// WebSocket has no request after its own, and what HTTP does for pages is half of what it takes to open one.
pub(super) async fn open_at_once(mut stream: TcpStream, site: &Site) -> io::Result<First> {
    let asked = poll_fn(|context| {
        session::with_scratch(|scratch| {
            let mut buffer = ReadBuf::new(&mut scratch[..MAX_BUFFER]);
            ready!(stream.poll_peek(context, &mut buffer))?;
            Poll::Ready(io::Result::Ok(request_of(buffer.filled())))
        })
    });
    let Some((request, length)) = asked.await? else { return Ok(First::Other(stream)) };
    let Ok(answer) = accept(&request, site) else { return Ok(First::Other(stream)) };
    // It is there, and now it is taken.
    session::with_scratch(|scratch| stream.try_read(&mut scratch[..length]))?;
    let mut head = Vec::with_capacity(LARGEST_ANSWER);
    write_response(&mut head, &answer).map_err(io::Error::other)?;
    stream.write_all(&head).await?;
    Ok(First::WebSocket(ByteStream::new(stream, Bytes::new(), site.hub.limits.max_packet())))
}

/// The request for a WebSocket that `bytes` begin with, and its length.
fn request_of(bytes: &[u8]) -> Option<(http::Request<()>, usize)> {
    if !bytes.starts_with(b"GET /mqtt HTTP/1.1\r\n") {
        return None;
    }
    let (length, request) = http::Request::try_parse(bytes).ok()??;
    (request.headers().len() <= MAX_HEADERS).then_some((request, length))
}

/// The answer to a request that opens a WebSocket.
fn accept<T>(request: &http::Request<T>, site: &Site) -> Result<http::Response<()>, Refusal> {
    let headers = request.headers();
    let origin: Option<Vec<&str>> = headers.get_all(header::ORIGIN).iter().map(|value| value.to_str().ok()).collect();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // What is no text is no origin.
    origin::judge(&origin.unwrap_or_else(|| vec![""]), host, site.is_private, &site.origins)
        .map_err(Refusal::Origin)?;
    let mut answer = create_response_with_body(request, || ()).map_err(|_| Refusal::NoHandshake)?;
    if !offers_mqtt(headers) {
        return Err(Refusal::NoSubprotocol);
    }
    answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(answer)
}

fn refuse(refusal: Refusal, arrival: &Arrival, site: &Site) -> Response {
    match refusal {
        Refusal::Origin(why) => {
            let address = Some(arrival.address);
            site.hub.audit(Refused { what: What::Http, why: &why, client: None, user: None, address });
            (StatusCode::FORBIDDEN, why + "\n").into_response()
        }
        Refusal::NoHandshake => {
            let help = "this is MQTT over WebSocket: connect with an MQTT client and the subprotocol mqtt\n";
            // RFC 9110 §15.5.22 and RFC 6455 §4.4 want these said.
            let headers = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
            (StatusCode::UPGRADE_REQUIRED, headers, help).into_response()
        }
        Refusal::NoSubprotocol => {
            let help = "offer the WebSocket subprotocol mqtt (Sec-WebSocket-Protocol: mqtt)\n";
            (StatusCode::BAD_REQUEST, help).into_response()
        }
    }
}

/// Begins a session, in a task of its own: the one that was for HTTP would keep room for that for as long as it runs.
fn open<S: session::Transport + 'static>(socket: S, ahead: Bytes, arrival: Arrival, site: &Site) {
    let stream = ByteStream::new(socket, ahead, site.hub.limits.max_packet());
    drop(tokio::spawn(session::serve(stream, arrival, site.hub.clone())));
}

fn offers_mqtt(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).any(|offered| offered.trim() == SUBPROTOCOL)
}
