//! MQTT 3.1.1 and 5.0 as a general broker speaks them, through the front door, clause by clause; the table that
//! says which test stands for which clause is docs/conformance.md, and [`table`] keeps it in step.

#[path = "../support/mod.rs"]
mod support;

mod acknowledging;
mod connecting;
mod delivery;
mod malformed;
mod shared;
mod subscribing;
mod table;
mod topics;
mod wills;
mod wire;

use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{Property, Qos, SessionExpiryInterval, SubOpts};
use support::Broker;
use support::client::{Client, Hello, V5};

/// Every topic outside of rooms is open to everybody.
const OPEN: &str = "[[access.topics]]\nfilter = \"#\"\n";

/// A broker as a general one.
fn open() -> Broker {
    Broker::with(&[], OPEN)
}

/// A CONNECT whose session outlives its connection by a minute.
fn lasting(version: Version, id: &str) -> Hello {
    let mut hello = Hello::new(version, id);
    hello.clean = false;
    if version == V5 {
        hello.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(60).unwrap())];
    }
    hello
}

/// Connects with it, and forgets what an earlier test round has left.
fn lasting_client(broker: &Broker, version: Version, id: &str) -> Client {
    let mut hello = lasting(version, id);
    hello.clean = true;
    hello.properties.clear();
    Client::hello(broker, &hello).0.disconnect();
    let (client, code) = Client::hello(broker, &lasting(version, id));
    assert_eq!((code, client.session_present), (Some(0), false));
    client
}

fn options(qos: u8) -> SubOpts {
    SubOpts::new().set_qos(Qos::try_from(qos).unwrap())
}
