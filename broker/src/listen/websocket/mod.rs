//! MQTT over WebSocket (MQTT 6): binary messages as one stream of bytes, however they are cut. Here is how one begins.

mod frames;
mod stream;

use super::Arrival;
use super::http::{Site, origin};
use crate::audit::{Refused, What};
use crate::session;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use stream::ByteStream;
use tokio::net::TcpStream;
use tungstenite::handshake::server::create_response_with_body;

/// The subprotocol that a client must offer (MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";

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
    let max = hub.limits.max_packet();
    tokio::spawn(async move {
        // Who goes before it has its answer needs none.
        let Ok(upgraded) = upgraded.await else { return };
        // Tasks of their own: this one would keep room for either for as long as it runs.
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => {
                let ahead = Bytes::copy_from_slice(&read_buf); // hyper's buffer would stay with it
                drop(tokio::spawn(session::serve(ByteStream::new(io.into_inner(), ahead, max), arrival, hub)));
            }
            Err(encrypted) => {
                let stream = ByteStream::new(TokioIo::new(encrypted), Bytes::new(), max);
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
