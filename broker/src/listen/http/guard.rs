//! What holds for every answer to a browser: headers, and the way from HTTP to HTTPS.

use super::Site;
use crate::listen::Arrival;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), geolocation=()";
const HTTPS: u16 = 443;

/// Adds what every answer has.
pub(super) async fn headers(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let is_encrypted = request.extensions().get::<Arrival>().is_some_and(|arrival| arrival.transport.is_encrypted());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, web::CONTENT_SECURITY_POLICY),
        // For browsers that do not know frame-ancestors.
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        // Keeps windows that others have opened, and pages of others, out of the page's process.
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Over plain HTTP it means nothing (RFC 6797 §7.2).
    if is_encrypted
        && !site.hsts.is_zero()
        && let Ok(value) = HeaderValue::from_str(&format!("max-age={}", site.hsts.as_secs()))
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// Leads to the same path over HTTPS.
pub(super) async fn redirect(port: u16, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = authority(&request, port).and_then(|to| HeaderValue::from_str(&format!("https://{to}{path}")).ok());
    match location {
        Some(location) => {
            let help = "this is at https:// now\n";
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)], help).into_response()
        }
        None => (StatusCode::BAD_REQUEST, "say the host's name (Host: name), to be led to https://\n").into_response(),
    }
}

/// A WebSocket cannot be redirected: browsers do not follow.
pub(super) async fn no_plain_websocket(port: u16, request: Request) -> Response {
    let to = authority(&request, port).unwrap_or_else(|| format!("this host, port {port}"));
    let help = format!("MQTT over WebSocket is encrypted here: connect to wss://{to}/mqtt\n");
    (StatusCode::FORBIDDEN, help).into_response()
}

/// The host that was asked for, with another port.
fn authority(request: &Request, port: u16) -> Option<String> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    let authority: Authority = host.parse().ok()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    let host = authority.host();
    Some(if port == HTTPS { host.to_owned() } else { format!("{host}:{port}") })
}
