//! Scenarios: what is heard, and what is to be done.

use super::*;
use serde_json::{Value, json};

/// One line of a scenario: what happens, and what is to be done, in short.
fn run(answers: bool, steps: &[(&str, &str)]) -> Viewing {
    let mut viewing = Viewing::new(answers);
    for (number, (happens, expected)) in steps.iter().enumerate() {
        let acts: Vec<String> = step(&mut viewing, happens).iter().map(short).collect();
        assert_eq!(acts.join(" "), *expected, "step {number}, {happens}");
    }
    viewing
}

fn step(viewing: &mut Viewing, happens: &str) -> Vec<Act> {
    let (what, detail) = happens.split_once(' ').unwrap_or((happens, ""));
    let said = |value: Value| serde_json::from_value::<Said>(value).unwrap();
    let (peer, resumed) = (detail.trim_end_matches(" resumed"), detail.ends_with("resumed"));
    let (v, me) = (1, "cam");
    let others = json!({"id": peer});
    match what {
        "created" if peer.is_empty() || peer == "resumed" => {
            viewing.agent(&said(json!({"type":"created","v":v,"room":"r","you":me,"ice_servers":[],"resumed":resumed})))
        }
        "created" => viewing.agent(&said(
            json!({"type":"created","v":v,"room":"r","you":me,"peer":others,"ice_servers":[],"resumed":resumed}),
        )),
        "joined" => viewing.agent(&said(
            json!({"type":"joined","v":v,"room":"r","you":me,"peer":others,"ice_servers":[],"resumed":resumed}),
        )),
        "arrived" => viewing.agent(&said(json!({"type":"arrived","peer":others}))),
        "left" | "lost" | "removed" => {
            viewing.agent(&said(json!({"type":"left","peer":viewing.viewer().unwrap(),"reason":what})))
        }
        "closed" => viewing.agent(&said(json!({"type":"closed","reason":"room-closed"}))),
        "ready" => viewing.viewer_says(Signal::Ready),
        "bye" => viewing.viewer_says(Signal::Bye),
        "ring" => viewing.viewer_says(Signal::Other),
        "offer" => viewing.viewer_says(Signal::Offer { sdp: format!("v=0\r\na=fingerprint:sha-256 {detail}\r\n") }),
        "answer" => viewing.viewer_says(Signal::Answer { sdp: format!("v=0\r\na=fingerprint:sha-256 {detail}\r\n") }),
        "candidate" => viewing.viewer_says(Signal::Candidate { candidate: None }),
        "connected" => viewing.call_is(Connection::Connected),
        "disconnected" => viewing.call_is(Connection::Disconnected),
        "restart" => viewing.call_says(Signal::Offer { sdp: String::new() }),
        "failed" => viewing.call_ended(false),
        "hopeless" => viewing.call_ended(true),
        other => panic!("unknown step {other}"),
    }
}

fn short(act: &Act) -> String {
    match act {
        Act::Say(to, signal) => format!("say-{signal:?}-{to}"),
        Act::Offer => "OFFER".into(),
        Act::Answer(_) => "ANSWER".into(),
        Act::Give(signal) => format!("give-{signal:?}"),
        Act::End => "END".into(),
    }
}

#[test]
fn who_is_there_first_offers_when_the_viewer_is_ready() {
    run(
        false,
        &[
            ("created", ""),
            ("arrived bob", ""),
            ("ready", "OFFER"),
            ("candidate", "give-candidate"),
            ("answer B", "give-answer"),
            ("connected", ""),
            ("left", "END"),
            ("arrived carol", ""),
            ("ready", "OFFER"),
        ],
    );
}

#[test]
fn who_would_rather_answer_asks_for_the_offer_and_never_twice() {
    run(
        true,
        &[
            ("created", ""),
            ("arrived bob", ""),
            ("ready", "say-ready-bob"),
            ("offer B", "ANSWER"),
            ("connected", ""),
            ("left", "END"),
            ("arrived carol", ""),
            ("ready", "say-ready-carol"),
            ("ready", "OFFER"),
        ],
    );
}

#[test]
fn who_comes_second_asks_for_the_offer() {
    for answers in [false, true] {
        run(answers, &[("joined bob", "say-ready-bob"), ("offer B", "ANSWER"), ("connected", "")]);
    }
}

#[test]
fn candidates_that_come_before_their_offer_are_kept() {
    run(
        true,
        &[
            ("created", ""),
            ("arrived bob", ""),
            ("candidate", ""),
            ("candidate", ""),
            ("offer B", "ANSWER give-candidate give-candidate"),
        ],
    );
}

#[test]
fn of_two_offers_at_once_the_polite_one_gives_way() {
    let clash = |first: &str, wins: &str| {
        run(
            false,
            &[(first, if first == "created" { "" } else { "say-ready-bob" }), ("ready", "OFFER"), ("offer B", wins)],
        );
    };
    run(
        false,
        &[("created", ""), ("arrived bob", ""), ("ready", "OFFER"), ("offer B", ""), ("answer B", "give-answer")],
    );
    clash("joined bob", "ANSWER");
}

#[test]
fn an_offer_of_the_same_connection_goes_to_the_call_and_one_of_another_begins_anew() {
    run(
        true,
        &[
            ("created", ""),
            ("arrived bob", ""),
            ("offer B", "ANSWER"),
            ("connected", ""),
            ("offer B", "give-offer"),
            ("offer C", "ANSWER"),
        ],
    );
}

#[test]
fn an_answer_of_another_connection_is_answered_by_a_new_offer() {
    run(
        false,
        &[
            ("created", ""),
            ("arrived bob", ""),
            ("ready", "OFFER"),
            ("answer B", "give-answer"),
            ("connected", ""),
            ("answer B", ""),
            ("restart", "say-offer-bob"),
            ("answer C", "OFFER"),
        ],
    );
}

#[test]
fn a_picture_that_flows_goes_on_though_the_broker_was_away() {
    let talk =
        [("created", ""), ("arrived bob", ""), ("ready", "OFFER"), ("answer B", "give-answer"), ("connected", "")];
    for after in [
        // Resumed within the grace time.
        &[("created bob resumed", ""), ("left", "END")][..],
        // The broker has forgotten everything: the camera comes back first, or the viewer does.
        &[("created", ""), ("arrived bob", ""), ("left", "END")],
        &[("joined bob", ""), ("left", "END")],
        // The viewer's seat is lost, and it comes back.
        &[("lost", ""), ("arrived bob", ""), ("left", "END")],
        // It does not, and then its picture stops.
        &[("lost", ""), ("disconnected", "END"), ("arrived carol", ""), ("ready", "OFFER")],
        // Another comes in its place.
        &[("lost", ""), ("arrived carol", "END"), ("ready", "OFFER")],
    ] {
        run(false, &[&talk[..], after].concat());
    }
}

#[test]
fn a_call_that_was_only_beginning_when_the_broker_went_begins_anew() {
    let begun = [("created", ""), ("arrived bob", ""), ("ready", "OFFER")];
    run(false, &[&begun[..], &[("created bob resumed", "END say-ready-bob"), ("offer B", "ANSWER")]].concat());
    run(false, &[&begun[..], &[("created", "END"), ("arrived bob", ""), ("ready", "OFFER")]].concat());
    run(false, &[&begun[..], &[("lost", "END")]].concat());
}

#[test]
fn a_viewer_that_cannot_be_shown_anything_is_told_goodbye() {
    run(true, &[("created", ""), ("arrived bob", ""), ("offer B", "ANSWER"), ("hopeless", "say-bye-bob")]);
    run(true, &[("created", ""), ("arrived bob", ""), ("offer B", "ANSWER"), ("failed", ""), ("offer B", "ANSWER")]);
}

#[test]
fn after_goodbye_both_stay_and_may_begin_again() {
    run(
        false,
        &[("created", ""), ("arrived bob", ""), ("ready", "OFFER"), ("bye", "END"), ("ring", ""), ("ready", "OFFER")],
    );
}

#[test]
fn a_closed_room_ends_the_call() {
    let viewing = run(false, &[("created", ""), ("arrived bob", ""), ("ready", "OFFER"), ("closed", "END")]);
    assert_eq!(viewing.viewer(), None);
}
