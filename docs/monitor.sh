#!/bin/sh
# Draws docs/monitor.svg again: a recording of two peers at the broker, whose codecs (in Chromium's own descriptions) do
# not meet, as the monitor shows it.
set -eu
cd "$(dirname "$0")/.."
cargo run --quiet -p monitor --example picture -- monitor/fixtures/no-codec-in-common.ndjson 120x27 '<Enter>' > docs/monitor.svg.new
mv docs/monitor.svg.new docs/monitor.svg
