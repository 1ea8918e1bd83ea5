//! HTTP and HTTPS: the page, MQTT over WebSocket at `/mqtt`, and what operators and probes ask for.

mod guard;
pub(super) mod origin;
mod page;
mod status;

use super::tls::{Protocol, Tls};
use super::websocket::{self, First};
use super::{Acceptor, Arrival, Transport};
use crate::audit::Refused;
use crate::hub::Hub;
use crate::limits::pace::{Clock, Meter, Rate};
use crate::session;
use axum::Router;
use axum::middleware;
use axum::routing::{any, get};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
pub use origin::Origin;
use parking_lot::Mutex;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

/// The most of a request, headers and all: hyper's buffer, at its least.
pub(super) const MAX_BUFFER: usize = 8 * 1024;
/// The most headers of a request, as hyper has it.
pub(super) const MAX_HEADERS: usize = 100;
/// Requests of one connection; those beyond wait. A browser loads the page with a few, over several connections.
const REQUESTS: Rate = Rate::per_second(10, 16);

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The page, and MQTT over WebSocket.
    Page,
    /// The way to the page over HTTPS, which is at this port.
    Redirect(u16),
    /// Figures for those who can reach the address.
    Admin,
}

/// What all HTTP listeners share.
pub struct Site {
    /// The broker.
    pub hub: Arc<Hub>,
    /// Whose pages may open a WebSocket, besides the listener's own.
    pub origins: Vec<Origin>,
    /// Whether being on this machine is all it takes to be let in.
    pub is_private: bool,
    /// For how long browsers shall ask for this host over HTTPS only (RFC 6797); zero says nothing.
    pub hsts: Duration,
}

/// Accepts for ever; each connection runs in its own task, and must send the headers of each request in the time
/// that a CONNECT has.
pub async fn serve(listener: TcpListener, site: Arc<Site>, face: Face, tls: Option<Arc<Tls>>) {
    let routes = routes(site.clone(), face);
    let mut acceptor = Acceptor::new(listener, site.hub.clone());
    loop {
        match tls.clone() {
            None => {
                let (stream, arrival) = acceptor.accept(Transport::Ws).await;
                let begin = Box::pin(begin(stream, arrival, routes.clone(), site.clone(), face));
                // What begins a connection is gone while it lasts.
                drop(tokio::spawn(async {
                    if let Some(served) = begin.await {
                        served.await;
                    }
                }));
            }
            Some(tls) => {
                let (stream, arrival) = acceptor.accept(Transport::Wss).await;
                drop(tokio::spawn(encrypt(stream, arrival, tls, routes.clone(), site.hub.clone())));
            }
        }
    }
}

/// A connection as it is served to its end.
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits for the first request. Most that come to the page's port are for a WebSocket.
async fn begin(stream: TcpStream, arrival: Arrival, routes: Router, site: Arc<Site>, face: Face) -> Option<Served> {
    let hub = site.hub.clone();
    if !matches!(face, Face::Page) {
        return Some(Box::pin(converse(stream, arrival, routes, hub)));
    }
    let opened = {
        let open = websocket::open_at_once(stream, &site);
        let open = pin!(tokio::time::timeout_at(deadline(&arrival, &hub), open));
        arrival.place.as_ref()?.hold(open).await
    };
    match opened {
        Some(Ok(Ok(First::WebSocket(stream)))) => return Some(Box::pin(session::serve(stream, arrival, hub))),
        Some(Ok(Ok(First::Other(stream)))) => return Some(Box::pin(converse(stream, arrival, routes, hub))),
        Some(Ok(Err(error))) => debug!(%error, "HTTP connection ends"),
        Some(Err(_)) => debug!("HTTP connection ends without a request"),
        None => site.hub.audit(Refused::gave_way(arrival.address)),
    }
    None
}

/// When the headers of the first request must be there.
fn deadline(arrival: &Arrival, hub: &Hub) -> tokio::time::Instant {
    (arrival.since + hub.limits.connect_timeout).into()
}

async fn encrypt(stream: TcpStream, mut arrival: Arrival, tls: Arc<Tls>, routes: Router, hub: Arc<Hub>) {
    if let Some(client) = crate::listen::handshake(stream, &arrival, &tls, Protocol::Http, &hub).await {
        arrival.certificate = client.certificate;
        converse(client.stream, arrival, routes, hub).await;
    }
}

async fn converse<S>(stream: S, arrival: Arrival, routes: Router, hub: Arc<Hub>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (address, Some(place)) = (arrival.address, arrival.place.clone()) else { return };
    let service = TowerToHyperService::new(routes);
    let deadline = deadline(&arrival, &hub);
    let is_first = &AtomicBool::new(true);
    let is_exempt = hub.limits.exempt.source(address.ip()).is_none();
    let (clock, meter) = (Clock::new(arrival.since), Mutex::new(Meter::default()));
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let mut arrival = arrival.clone();
        let now = Instant::now();
        let owed = meter.lock().take(1, &REQUESTS, clock.nanos(now)).filter(|_| !is_exempt);
        // Of a connection that is kept alive, a later request has its own time.
        let is_first = is_first.swap(false, Ordering::Relaxed);
        if !is_first {
            arrival.since = now;
        }
        request.extensions_mut().insert(arrival);
        let answer = service.call(request);
        async move {
            match owed {
                Some(owed) => tokio::time::sleep(owed).await,
                // One request in a turn: hyper itself goes on with as many as have come.
                None if !is_first => tokio::task::yield_now().await,
                None => {}
            }
            answer.await
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(hub.limits.connect_timeout)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // hyper counts from when it has the connection, whatever time is gone by then.
    let nothing_came = async {
        tokio::time::sleep_until(deadline).await;
        if !is_first.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    };
    let conversation = async {
        tokio::select! {
            ended = connection => Some(ended),
            () = nothing_came => None,
        }
    };
    match place.hold(pin!(conversation)).await {
        Some(Some(Ok(()))) => {}
        Some(Some(Err(error))) => debug!(%error, "HTTP connection ends"),
        Some(None) => debug!("HTTP connection ends without a request"),
        None => hub.audit(Refused::gave_way(address)),
    }
}

fn routes(site: Arc<Site>, face: Face) -> Router {
    let routes = Router::new().route("/healthz", get(status::healthz)).route("/readyz", get(status::readyz));
    let routes = match face {
        Face::Page => routes
            .route("/mqtt", get(websocket::upgrade))
            .route("/metrics", get(status::metrics_for_operators))
            .route("/api/rooms", get(status::rooms))
            .fallback(page::page),
        Face::Redirect(port) => routes
            .route("/mqtt", any(move |request| guard::no_plain_websocket(port, request)))
            .fallback(move |request| guard::redirect(port, request)),
        Face::Admin => routes
            .route("/metrics", get(status::metrics))
            .route("/api/rooms", get(status::rooms))
            .fallback(status::nothing_here),
    };
    routes.layer(middleware::from_fn_with_state(site.clone(), guard::headers)).with_state(site)
}
