//! The page's files.

use axum::http::header::{self, HeaderMap};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// Answers a request for a file of the page.
pub(super) async fn page(method: Method, request: HeaderMap, uri: Uri) -> Response {
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
