//! A start without a network, and without DNS.

use super::support::client::{Client, Hello, V5};
use super::support::isolated::Isolated;
use super::support::{Broker, Way, promise, scratch_folder};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn an_address_that_is_not_there_yet_is_said_and_the_exit_code_is_for_whoever_starts_it_again() {
    let folder = scratch_folder();
    let output = Command::new(env!("CARGO_BIN_EXE_broker"))
        .args(["--mqtt", "203.0.113.7:1883", "--http", "127.0.0.1:0", "--allow-anonymous", "--state-dir"])
        .arg(&folder)
        .env_remove("DUET_FAULTS")
        .env_remove("DUET_BROKER")
        .env_remove("DUET_CAMERA")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("error: cannot listen on 203.0.113.7:1883: Cannot assign requested address"), "{text}");
    assert!(text.contains("; give an address of this machine, or 0.0.0.0"), "and what would be right: {text}");
}

#[test]
fn without_dns_and_network_it_starts_and_serves_when_the_network_is_there() {
    let name = "start::without_dns_and_network_it_starts_and_serves_when_the_network_is_there";
    let Some(isolated) = Isolated::enter(name, &scratch_folder()) else { return };
    isolated.link(false);
    let everywhere = Some(Ipv4Addr::UNSPECIFIED.into());
    let flags = ["--allow-anonymous", "--stun=stun:stun.example.org:3478"];
    let broker = Broker::launch(scratch_folder(), Way { address: everywhere, ..Way::flags(&flags) });
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, broker.mqtt.port()));
    assert!(TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_err(), "there is no network");
    isolated.link(true);
    let there = Instant::now();
    let (mut alice, code) = Client::over(TcpStream::connect(address).unwrap(), &Hello::new(V5, "alice"));
    assert_eq!(code, Some(0));
    alice.subscribe("rooms/+/alice/+", 1);
    let answer = alice.join("lobby");
    promise::kept("start-without-network", there.elapsed());
    // Names of relays are for peers to look up.
    assert_eq!(answer["ice_servers"][0]["urls"][0], "stun:stun.example.org:3478", "{answer}");
}
