//! What operators and probes ask for: whether the broker lives, its figures, its rooms.

use super::Site;
use crate::audit::{Refused, What};
use crate::hub::Hub;
use crate::limits::memory::Level;
use crate::listen::Arrival;
use agent::access::Role;
use agent::access::authenticate::{Claim, OPERATOR};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::sync::Arc;

/// Whether the process answers at all.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether newcomers should be sent here.
pub(super) async fn readyz(State(site): State<Arc<Site>>) -> Response {
    if site.hub.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if site.hub.memory.level() != Level::Ample {
        return (StatusCode::SERVICE_UNAVAILABLE, "short of memory\n").into_response();
    }
    "ok\n".into_response()
}

pub(super) async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let text = crate::metrics::text(&site.hub);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// On a port that everybody can reach.
pub(super) async fn metrics_for_operators(
    site: State<Arc<Site>>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
) -> Response {
    if !is_operator(&headers, &site.hub, &arrival).await {
        return operators_only();
    }
    metrics(site).await
}

/// The states of all rooms, or of the one that `?room=NAME` names, as operators read them on `rooms/{room}`.
pub(super) async fn rooms(
    State(site): State<Arc<Site>>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if !is_operator(&headers, &site.hub, &arrival).await {
        return operators_only();
    }
    let mut wanted = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let wanted = wanted.find(|(name, _)| name == "room").map(|(_, room)| room);
    let rooms = site.hub.rooms.read();
    let states: Vec<_> = match wanted {
        Some(room) => rooms.state(&room).into_iter().collect(),
        None => rooms.states().collect(),
    };
    drop(rooms);
    ([(header::CACHE_CONTROL, "no-store")], Json(states)).into_response()
}

pub(super) async fn nothing_here() -> Response {
    let help = "there is nothing here but /metrics, /healthz, /readyz and /api/rooms\n";
    (StatusCode::NOT_FOUND, help).into_response()
}

fn operators_only() -> Response {
    let asks = [(header::WWW_AUTHENTICATE, "Basic realm=\"Duet operators\", charset=\"UTF-8\"")];
    let help =
        "this is for operators: send an operator's user name and password (Basic), or the token alone (Bearer)\n";
    (StatusCode::UNAUTHORIZED, asks, help).into_response()
}

/// Whether a request carries an operator's credentials: user name and password (RFC 7617), or a signed token, or the
/// password of the user that exists from the start, alone (RFC 6750).
async fn is_operator(headers: &HeaderMap, hub: &Hub, arrival: &Arrival) -> bool {
    let Some((user, password)) = credentials(headers) else { return false };
    let claim = Claim { user: Some(&user), password: Some(&password), certificate: None };
    let why = match hub.login.recognise(claim, arrival.address.ip()).await {
        Ok(person) if person.role() == Role::Operator => return true,
        Ok(_) => "not an operator".into(),
        Err(error) => error.to_string(),
    };
    let (user, address) = (claim.user_to_show(), Some(arrival.address));
    hub.audit(Refused { what: What::Http, why: &why, client: None, user, address });
    false
}

fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((OPERATOR.into(), rest.as_bytes().to_vec()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut decoded = BASE64_STANDARD.decode(rest).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let password = decoded.split_off(colon + 1);
    decoded.pop();
    Some((String::from_utf8(decoded).ok()?, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_as_basic_or_bearer() {
        for (header, expected) in [
            ("Basic b3BlcmF0b3I6czNjcmV0", Some(("operator", "s3cret"))),
            ("basic  YTpiOmM=", Some(("a", "b:c"))),
            ("Basic Og==", Some(("", ""))),
            ("Bearer s3cret", Some(("operator", "s3cret"))),
            ("Bearer", None),
            ("Basic b3BlcmF0b3I=", None),
            ("Basic !", None),
            ("Basic //8=", None),
            ("Digest a", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, header.parse().unwrap())]);
            let found = credentials(&headers);
            let found = found.as_ref().map(|(user, password)| (&**user, std::str::from_utf8(password).unwrap()));
            assert_eq!(found, expected, "{header}");
        }
        assert_eq!(credentials(&HeaderMap::new()), None);
    }
}
