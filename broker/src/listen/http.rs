//! HTTP on one port: the page, MQTT over WebSocket at `/mqtt`, `/healthz` and `/metrics`.

use super::{Arrival, Transport, websocket};
use crate::hub::Hub;
use crate::sys;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::net::TcpListener;
use tracing::debug;

/// What hyper buffers of a request; its least.
const MAX_BUFFER: usize = 8 * 1024;

/// Accepts for ever; each connection runs in its own task, and must send its headers in the time
/// that a CONNECT has.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>) {
    let service = routes(hub.clone());
    loop {
        let (stream, address) = super::accept(&listener).await;
        hub.counters.sockets.add(1);
        let arrival = Arrival { address, transport: Transport::Ws, certificate: None };
        // Each request carries where it comes from.
        let service = TowerToHyperService::new(service.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(arrival.clone());
            service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(hub.limits.connect_timeout)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "HTTP connection ends");
            }
        });
    }
}

fn routes(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/mqtt", get(websocket::upgrade))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .fallback(page)
        .layer(middleware::from_fn(guard))
        .with_state(hub)
}

/// Headers that every answer has.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, web::CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), geolocation=()";
    headers.insert("permissions-policy", HeaderValue::from_static(policy));
    response
}

async fn page(method: Method, request: HeaderMap, uri: axum::http::Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD are answered here\n").into_response();
    }
    let Some(asset) = web::asset(uri.path()) else {
        return (StatusCode::NOT_FOUND, "there is nothing here; the page is at /\n").into_response();
    };
    let caching = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers =
        [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, caching), (header::ETAG, asset.etag)];
    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == asset.etag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    // Scripts of other origins may import `/duet.js`, which a browser lets them only with this
    // (Fetch, CORS protocol). Nothing here depends on who asks.
    let shared = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (shared, headers, asset.bytes).into_response()
}

async fn healthz(State(hub): State<Arc<Hub>>) -> Response {
    if hub.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    "ok\n".into_response()
}

async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    let census = hub.switchboard.lock().census();
    let text = sys::prometheus(&hub.counters, &hub.audit, census, hub.started.elapsed());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
