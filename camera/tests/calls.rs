//! Calls with viewers that do not fit, or mean no good.

#![allow(clippy::disallowed_methods, reason = "tests wait in real time")]

use camera::call::{Begin, Ended, Happened, Options};
use camera::source::{Caption, Format};
use camera::{Call, Signal, Source, source};
use std::time::{Duration, Instant};
use str0m::Rtc;
use str0m::change::SdpOffer;
use str0m::media::{Direction, MediaKind};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

async fn options() -> (Source, Options) {
    let source = Source::open(source::Spec::Test, Format::default(), Caption::default()).await.unwrap();
    let options = Options {
        feed: source.feed(),
        ice_servers: Vec::new(),
        addresses: vec!["127.0.0.1".parse().unwrap()],
        relay_only: false,
    };
    (source, options)
}

/// A call with a viewer that begins like this; the first thing that happens besides its state.
async fn first(begin: Begin, then: Vec<Signal>) -> Happened {
    let (_source, options) = options().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let call = Call::begin(options, begin, move |happened| drop(tell.send(happened)));
    for signal in then {
        call.give(signal);
    }
    let news = async {
        loop {
            match told.recv().await.expect("it tells of its end") {
                Happened::State(_) | Happened::Say(Signal::Offer { .. }) => {}
                happened => return happened,
            }
        }
    };
    tokio::time::timeout(PATIENCE, news).await.expect("something happens")
}

fn offer(vp8: bool, kind: MediaKind) -> SdpOffer {
    let config = Rtc::builder().clear_codecs().enable_opus(true, false);
    let mut rtc = if vp8 { config.enable_vp8(true) } else { config.enable_h264(true) }.build(Instant::now());
    let mut change = rtc.sdp_api();
    change.add_media(kind, Direction::RecvOnly, None, None, None);
    change.apply().unwrap().0
}

fn unusable(happened: &Happened) -> &str {
    match happened {
        Happened::Ended(Ended::Unusable(why)) => why,
        other => panic!("the call goes on: {other:?}"),
    }
}

#[tokio::test]
async fn a_viewer_that_can_be_shown_the_picture_is_answered() {
    let begin = Begin::Answer(offer(false, MediaKind::Video).to_sdp_string());
    let Happened::Say(Signal::Answer { sdp }) = first(begin, Vec::new()).await else { panic!("no answer") };
    assert!(sdp.contains("H264/90000") && sdp.contains("a=sendonly"), "{sdp}");
}

#[tokio::test]
async fn a_viewer_without_the_codec_is_told_so() {
    let begin = Begin::Answer(offer(true, MediaKind::Video).to_sdp_string());
    let happened = first(begin, Vec::new()).await;
    assert_eq!(unusable(&happened), "it does not take H264, which this picture is encoded as");
}

#[tokio::test]
async fn a_viewer_that_only_listens_is_told_so() {
    let begin = Begin::Answer(offer(false, MediaKind::Audio).to_sdp_string());
    let happened = first(begin, Vec::new()).await;
    assert!(unusable(&happened).contains("no place for a picture"), "{happened:?}");
}

#[tokio::test]
async fn a_viewer_that_sends_a_picture_is_answered_that_nobody_takes_it() {
    let sdp = offer(false, MediaKind::Video).to_sdp_string().replace("a=recvonly", "a=sendrecv");
    let Happened::Say(Signal::Answer { sdp }) = first(Begin::Answer(sdp), Vec::new()).await else {
        panic!("no answer")
    };
    assert!(sdp.contains("a=sendonly") && !sdp.contains("a=sendrecv"), "{sdp}");
}

#[tokio::test]
async fn a_description_that_is_none_ends_the_call_and_nothing_else() {
    let whole = offer(false, MediaKind::Video).to_sdp_string();
    let without = |start: &str| {
        let kept = whole.lines().filter(|line| !line.starts_with(start));
        kept.map(|line| format!("{line}\r\n")).collect::<String>()
    };
    let broken = [
        String::new(),
        "v=0\r\n".into(),
        "\u{0}\u{7f}".into(),
        whole[..whole.len() / 2].into(),
        without("a=fingerprint"),
        without("m="),
        "a=".repeat(20_000),
    ];
    for sdp in broken {
        let happened = first(Begin::Answer(sdp.clone()), Vec::new()).await;
        assert!(!unusable(&happened).is_empty(), "{sdp}");
        let happened = first(Begin::Offer, vec![Signal::Answer { sdp: sdp.clone() }]).await;
        assert!(!unusable(&happened).is_empty(), "{sdp}");
    }
}
