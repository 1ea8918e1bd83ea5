//! Shared subscriptions, for programs of operators.

use super::wire::Wire;
use super::{open, options};
use crate::support::Broker;
use crate::support::client::{BOTH, Client, Hello, V3, V5};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{GenericPacket, Property, SessionExpiryInterval, SubscriptionIdentifier};

fn operator(broker: &Broker, version: Version, id: &str) -> Hello {
    Hello { user: Some(("operator".into(), broker.token())), ..Hello::new(version, id) }
}

#[test]
fn each_message_goes_to_one_of_a_group_and_groups_are_apart() {
    let broker = open();
    for version in BOTH {
        let mut programs: Vec<Client> =
            (0..3).map(|n| Client::hello(&broker, &operator(&broker, version, &format!("program-{n}"))).0).collect();
        programs.iter_mut().for_each(|program| assert_eq!(program.subscribe("$share/workers/jobs/+", 1), 1));
        let (mut lonely, _) = Client::hello(&broker, &operator(&broker, version, "lonely"));
        assert_eq!(lonely.subscribe("$share/others/jobs/#", 2), 2);
        let mut plain = Client::connect(&broker, version, "plain");
        plain.subscribe("jobs/+", 0);
        let mut sender = Client::connect(&broker, version, "sender");
        for number in 0..9_u8 {
            sender.publish("jobs/x", [number], 2);
        }
        for number in 0..9 {
            assert_eq!((lonely.message().payload, plain.message().payload), (vec![number], vec![number]));
        }
        let mut found = Vec::new();
        for program in &mut programs {
            for _ in 0..3 {
                let message = program.message();
                assert_eq!(message.qos, 1, "as granted to it");
                found.push(message.payload[0]);
            }
            program.ping();
            assert!(program.is_quiet());
        }
        found.sort_unstable();
        assert_eq!(found, (0..9).collect::<Vec<_>>());
        // Who goes leaves its share to the others.
        assert_eq!(programs[0].unsubscribe("$share/workers/jobs/+"), (version == V5).then_some(0));
        programs.pop().unwrap().disconnect();
        for number in 0..3_u8 {
            sender.publish("jobs/x", [number], 1);
            assert_eq!(programs[1].message().payload, [number]);
        }
        programs.into_iter().chain([lonely, plain, sender]).for_each(Client::disconnect);
    }
}

#[test]
fn rooms_are_read_by_a_group_too() {
    let broker = Broker::start();
    let mut programs: Vec<Client> =
        (0..2).map(|n| Client::hello(&broker, &operator(&broker, V5, &format!("program-{n}"))).0).collect();
    programs.iter_mut().for_each(|program| assert_eq!(program.subscribe("$share/log/rooms/+/events", 1), 1));
    let mut alice = Client::peer(&broker, V5, "alice");
    alice.join("one");
    alice.join("two");
    let mut found: Vec<String> = programs.iter_mut().map(|program| program.message().topic).collect();
    found.sort();
    assert_eq!(found, ["rooms/one/events", "rooms/two/events"]);
}

#[test]
fn a_shared_subscription_is_not_greeted_with_what_is_retained() {
    let broker = open();
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish_with("jobs/x", "kept", 1, true, vec![]);
    sender.nothing();
    let (mut program, _) = Client::hello(&broker, &operator(&broker, V5, "program"));
    let id = Property::SubscriptionIdentifier(SubscriptionIdentifier::new(5).unwrap());
    program.subscribe_with("$share/workers/jobs/+", options(1), vec![id.clone()]);
    program.ping();
    assert!(program.is_quiet());
    sender.publish("jobs/x", "live", 1);
    assert_eq!(program.message().properties, [id]);
}

#[test]
fn a_message_that_was_begun_to_one_is_finished_to_it() {
    let broker = open();
    let mut hello = operator(&broker, V5, "program");
    hello.clean = false;
    hello.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(60).unwrap())];
    let (mut program, _) = Client::hello(&broker, &hello);
    program.subscribe("$share/workers/jobs/+", 2);
    program.acknowledges = false;
    let (mut other, _) = Client::hello(&broker, &operator(&broker, V5, "other"));
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish("jobs/x", "begun", 2);
    assert_eq!(program.message().payload, b"begun");
    other.subscribe("$share/workers/jobs/+", 2);
    program.lose();
    // While it is away the others do its work.
    for _ in 0..2 {
        sender.publish("jobs/x", "next", 2);
        assert_eq!(other.message().payload, b"next");
    }
    let (mut program, _) = Client::hello(&broker, &hello);
    let again = program.message();
    assert!(again.dup && again.payload == b"begun", "{again:?}");
    other.ping();
    assert!(other.is_quiet());
}

#[test]
fn a_message_that_a_member_refuses_goes_to_nobody_else() {
    let broker = open();
    let mut programs: Vec<Client> =
        (0..2).map(|n| Client::hello(&broker, &operator(&broker, V5, &format!("program-{n}"))).0).collect();
    programs.iter_mut().for_each(|program| assert_eq!(program.subscribe("$share/workers/jobs/+", 1), 1));
    programs[0].acknowledges = false;
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish("jobs/x", "x", 1);
    programs[0].message();
    programs[0].tolerant = true;
    programs[0].raw(&[0x40, 3, 0, 1, 0x97]);
    programs.iter_mut().for_each(|program| {
        program.ping();
        assert!(program.is_quiet());
    });
}

#[test]
fn a_group_has_a_name_and_a_filter_and_only_operators_have_groups() {
    let broker = open();
    for version in BOTH {
        for filter in ["$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a", "$share/g/a#"] {
            let mut program = Wire::connect(&broker, &operator(&broker, version, "program"));
            let is_refused = match version {
                V5 => program.try_ask(0x82, 1, &[(filter, 0)]).is_none_or(|codes| codes == [0x8F]),
                _ => program.ask(0x82, 1, &[(filter, 0)]) == [0x80],
            };
            assert!(is_refused, "{filter}");
        }
        let mut peer = Client::connect(&broker, version, "peer");
        assert_eq!(peer.subscribe("$share/g/a", 0), if version == V3 { 0x80 } else { 0x9E });
        peer.disconnect();
    }
    let says_no = |hello: &Hello| match Client::connack(&broker, hello).1 {
        GenericPacket::V5_0Connack(connack) => {
            connack.props().iter().any(|p| matches!(p, Property::SharedSubscriptionAvailable(v) if v.val() == 0))
        }
        other => panic!("{other:?}"),
    };
    assert!(says_no(&Hello::new(V5, "peer")) && !says_no(&operator(&broker, V5, "program")));
}
