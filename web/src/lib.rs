//! The browser page of Duet and its signaling module `duet.js`, embedded.
//!
//! `build.rs` builds them from the TypeScript beside this file. This crate only looks them up: serving them,
//! and saying [`CONTENT_SECURITY_POLICY`] with them, is for whoever speaks HTTP.

use include_dir::{Dir, include_dir};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

/// The policy that the page is made for: everything from its own origin, nothing inline, no frames. The page's
/// WebSocket is at its own origin too, which `connect-src 'self'` covers (CSP 3, 6.7.2.8).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

/// One file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// The file as it is.
    pub bytes: &'static [u8],
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// Whether the name changes with the content, so that it may be cached for ever; otherwise a cache must ask
    /// with `etag` each time.
    pub immutable: bool,
    /// For `ETag`, with its quotation marks (RFC 9110 §8.8.3).
    pub etag: &'static str,
}

/// The file at the path of a URL; `/` is the page.
///
/// Nothing if there is none: the path is looked up as it is, so `..` and escapes lead nowhere.
pub fn asset(path: &str) -> Option<Asset> {
    let path = if path == "/" { "/index.html" } else { path };
    ASSETS.get(path).copied()
}

static DIST: Dir<'_> = include_dir!("$OUT_DIR/dist");

static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let mut assets = HashMap::new();
    let mut folders = vec![&DIST];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            let path = file.path().to_string_lossy().replace('\\', "/");
            let asset = Asset {
                bytes: file.contents(),
                content_type: content_type(&path),
                immutable: path.starts_with("assets/"),
                etag: etag(file.contents()).leak(),
            };
            assets.insert(format!("/{path}"), asset);
        }
    }
    assets
});

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn etag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        let asset = asset(path).unwrap_or_else(|| panic!("there is no {path}"));
        String::from_utf8(asset.bytes.to_vec()).unwrap()
    }

    /// The values of every attribute `name` in `html`.
    fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
        let start = format!(" {name}=\"");
        html.split(start.as_str()).skip(1).filter_map(|rest| rest.split_once('"')).map(|(value, _)| value).collect()
    }

    #[test]
    fn the_page_is_at_the_root_and_must_be_asked_for_again() {
        let page = asset("/").unwrap();
        assert_eq!(Some(page), asset("/index.html"));
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert!(!page.immutable);
        assert!(page.etag.starts_with('"') && page.etag.ends_with('"') && page.etag.len() == 18, "{}", page.etag);
    }

    #[test]
    fn the_page_has_nothing_inline() {
        let html = text("/");
        for script in html.split("<script").skip(1) {
            let (tag, rest) = script.split_once('>').unwrap();
            assert!(tag.contains(" src=\""), "a script without src: {tag}");
            assert!(rest.starts_with("</script>"), "a script with a body: {tag}");
        }
        assert!(!html.contains("<style"), "an inline style sheet");
        assert_eq!(attributes(&html, "style"), [""; 0]);
        let handlers = html.split_whitespace().filter(|word| word.starts_with("on") && word.contains('='));
        assert_eq!(handlers.collect::<Vec<_>>(), [""; 0]);
        assert!(!html.contains("javascript:"));
    }

    #[test]
    fn everything_that_the_page_names_is_there() {
        let html = text("/");
        let named: Vec<&str> = attributes(&html, "src").into_iter().chain(attributes(&html, "href")).collect();
        assert!(named.len() >= 3, "a script, a style sheet and an icon, but {named:?}");
        for path in named {
            let asset = asset(path).unwrap_or_else(|| panic!("the page names {path}, which is not there"));
            assert!(asset.immutable, "{path} is named by its content");
        }
    }

    #[test]
    fn the_module_has_a_fixed_name_and_exports_join() {
        let module = asset("/duet.js").unwrap();
        assert!(!module.immutable);
        assert_eq!(module.content_type, "text/javascript; charset=utf-8");
        let code = text("/duet.js");
        let exported = code.rsplit_once("export").unwrap().1;
        for name in ["join", "Room", "Call", "JoinError", "NameError", "identity", "roomProblem"] {
            assert!(exported.contains(name), "duet.js does not export {name}: {exported}");
        }
        for imported in code.split("from\"./").skip(1).filter_map(|rest| rest.split_once('"')) {
            assert!(asset(&format!("/{}", imported.0)).is_some(), "duet.js imports {}", imported.0);
        }
    }

    #[test]
    fn every_file_has_a_type_and_no_source_map_is_embedded() {
        for (path, asset) in ASSETS.iter() {
            assert_ne!(asset.content_type, "application/octet-stream", "{path}");
            assert!(!asset.bytes.is_empty(), "{path}");
            assert!(!path.ends_with(".map"), "{path}");
        }
    }

    #[test]
    fn paths_lead_nowhere_else() {
        for path in [
            "",
            "//",
            "/..",
            "/../Cargo.toml",
            "/assets/../index.html",
            "/assets",
            "/assets/",
            "index.html",
            "/%2e%2e/index.html",
            "/\0",
        ] {
            assert_eq!(asset(path), None, "{path:?}");
        }
    }

    #[test]
    fn different_contents_have_different_tags() {
        assert_ne!(etag(b"a"), etag(b"b"));
        assert_eq!(etag(b"a"), etag(b"a"));
    }
}
