//! What goes wrong in the world, done to the real binary: networks, peers, clocks, disks, memory, and the broker itself.
//! Each test says what the others see of it, and measures how long it takes until all is well again against what
//! `faults.json` promises; `make faults` makes RELIABILITY.md's table of them. Those of the agent beside another broker
//! are in `agent/tests/faults.rs`, those of pages in `web/e2e`.

mod clock;
mod fleet;
mod half_open;
mod log;
mod memory;
mod network;
mod peers;
mod restart;
mod slow;
mod start;
#[path = "../support/mod.rs"]
mod support;
