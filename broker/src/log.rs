//! What the broker logs unless told otherwise of the crates that it is made of; how it is written, [`agent::log`] knows.

use agent::log::Log;
use std::io;
use tracing_subscriber::EnvFilter;

/// Begins to log what `filter` lets through, in the notation of [`EnvFilter`].
///
/// # Errors
/// If there is no thread to be had.
pub fn begin(filter: &str) -> io::Result<Log> {
    let mut filter = filter.to_owned();
    for (module, level) in [
        ("rumqttd", "off"),      // it opens a span for every message, at level error
        ("tungstenite", "info"), // it writes out every frame, and passwords with them
    ] {
        if !filter.contains(module) {
            filter.push_str(&format!(",{module}={level}"));
        }
    }
    Log::begin(EnvFilter::new(filter))
}
