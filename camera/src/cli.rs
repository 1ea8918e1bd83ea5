//! What the program is told: flags and environment, read and judged before anything connects or is opened.

use agent::service::{BrokerUrl, Login};
use anyhow::{Context, bail};
use camera::call::local_addresses;
use camera::source::{Caption, Codec, Format};
use camera::{Options, source};
use clap::{Parser, ValueEnum};
use protocol::{Info, PeerId, RoomId};
use serde_json::json;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Where the password is looked for when no file is named. Never a flag: every list of processes shows those.
const PASSWORD: &str = "DUET_CAMERA_PASSWORD";

const EXAMPLES: &str = "\
Examples:
  camera --room front-door                               a test picture, seen at /?room=front-door&view
  camera --room front-door --rooms 4                     four viewers at once, seen at /?camera=front-door
  camera --room front-door --source v4l2:/dev/video0     a camera of this machine, by ffmpeg or GStreamer
  camera --room front-door --source rtsp://cam.local/1   a camera in the network, not encoded again
  ffmpeg … -f h264 - | camera --room front-door --source -

Exit codes: 0 ended when asked to, 1 failed, 2 wrong command line, 3 the broker refuses the camera,
4 the source gives no picture.";

/// Shows a picture to whoever comes into its room.
///
/// It waits in the room, sends its picture to one viewer after another, and keeps doing so whatever
/// becomes of the viewer, the network or the broker.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
struct Flags {
    /// The broker: mqtt://host[:1883], mqtts://host[:8883], ws://host[:80]/path or wss://host[:443]/path
    #[arg(long, value_name = "URL", env = "DUET_CAMERA_BROKER", default_value = "mqtt://127.0.0.1:1883")]
    broker: BrokerUrl,

    /// The room to wait in
    #[arg(long, value_name = "NAME", env = "DUET_CAMERA_ROOM")]
    room: RoomId,

    /// How many viewers may look at once: as many rooms are held, NAME, NAME~2, NAME~3 and so on
    #[arg(long, value_name = "N", env = "DUET_CAMERA_ROOMS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    rooms: u8,

    /// Where the picture comes from: test, a file (H.264 in Annex B format, or VP8 in IVF), - for the same
    /// on standard input, v4l2:/dev/video0, or rtsp://host/path
    #[arg(long, value_name = "SOURCE", env = "DUET_CAMERA_SOURCE", default_value = "test", help_heading = "Picture")]
    source: source::Spec,

    /// The codec, where the source leaves a choice [default: h264, which every browser takes]
    #[arg(long, value_enum, value_name = "CODEC", help_heading = "Picture")]
    codec: Option<CodecName>,

    /// Most bits a second that are encoded, as 800k or 2M
    #[arg(long, value_name = "BITS", default_value = "1M", value_parser = bitrate, help_heading = "Picture")]
    bitrate: u32,

    /// Width and height of what is encoded, in pixels
    #[arg(long, value_name = "WxH", default_value = "640x360", value_parser = size, help_heading = "Picture")]
    size: (u16, u16),

    /// Pictures a second [default: what the source says, else 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=120), help_heading = "Picture")]
    fps: Option<u32>,

    /// Ask viewers for an offer instead of making one
    #[arg(long, help_heading = "Call")]
    answer: bool,

    /// End when the first viewer has gone
    #[arg(long, help_heading = "Call")]
    once: bool,

    /// Say every five seconds how each call is going
    #[arg(long, help_heading = "Call")]
    stats: bool,

    /// An address of this machine at which viewers reach it; may be said several times [default: all of
    /// them, and the loopback address if the broker is on this machine]
    #[arg(long, value_name = "IP", help_heading = "Call")]
    address: Vec<IpAddr>,

    /// Send over a relay only, one of those that the broker names; viewers then see no address of this machine
    #[arg(long, help_heading = "Call")]
    relay: bool,

    /// The camera's MQTT client identifier, its own and the same at every start
    /// [default: camera- and eight digits made of the names of machine and room; with a user, its name, a colon
    /// and the digits]
    #[arg(long, value_name = "ID", env = "DUET_CAMERA_ID", help_heading = "Broker")]
    id: Option<PeerId>,

    /// What viewers are told it is called [default: its identifier]
    #[arg(long, value_name = "TEXT", env = "DUET_CAMERA_NAME", help_heading = "Broker")]
    name: Option<String>,

    /// The camera's user at the broker
    #[arg(long, value_name = "NAME", env = "DUET_CAMERA_USERNAME", help_heading = "Broker")]
    username: Option<String>,

    /// A file that holds the user's password, and nothing else; without it the password is taken from
    /// the environment variable DUET_CAMERA_PASSWORD
    #[arg(long, value_name = "FILE", requires = "username", help_heading = "Broker")]
    password_file: Option<PathBuf>,

    /// Certificates to trust instead of the system's, as PEM; for mqtts and wss
    #[arg(long, value_name = "FILE", env = "DUET_CAMERA_CA_FILE", help_heading = "Broker")]
    ca_file: Option<PathBuf>,

    /// What to log on stderr: error, warn, info, debug or trace, or a filter as camera=debug,str0m=warn
    #[arg(long, value_name = "FILTER", env = "DUET_LOG", default_value = DEFAULT_LOG, hide_default_value = true)]
    #[arg(value_parser = log_filter)]
    log: String,
}

/// The WebRTC stack tells much that only its makers need.
const DEFAULT_LOG: &str = "info,str0m=warn,is=warn";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CodecName {
    H264,
    Vp8,
}

/// What the flags mean.
pub(crate) struct Settings {
    pub(crate) device: Options,
    pub(crate) camera: camera::Settings,
    pub(crate) source: source::Spec,
    pub(crate) format: Format,
    pub(crate) caption: Caption,
    pub(crate) log: EnvFilter,
}

impl Settings {
    /// From the command line and the environment; ends the process where clap does.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Flags::parse().settings(std::env::var(PASSWORD).ok())
    }
}

impl Flags {
    fn settings(self, password: Option<String>) -> anyhow::Result<Settings> {
        let rooms = rooms(&self.room, self.rooms)?;
        let id = match self.id {
            Some(id) => id,
            None => default_id(&self.room, self.username.as_deref()).context("--id")?,
        };
        let password = match &self.password_file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("--password-file {}", path.display()))?;
                text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).unwrap_or(&text).to_owned()
            }
            None => password.unwrap_or_default(),
        };
        let codec = self.codec.map(|name| match name {
            CodecName::H264 => Codec::H264,
            CodecName::Vp8 => Codec::Vp8,
        });
        let name = self.name.unwrap_or_else(|| id.to_string());
        let serde_json::Value::Object(info) = json!({"kind": "camera", "name": name}) else {
            bail!("--name: it cannot be written as JSON");
        };
        let addresses = if self.address.is_empty() {
            let host = self.broker.host();
            let is_here = host == "localhost"
                || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
            local_addresses(is_here).context("the addresses of this machine; name one with --address")?
        } else {
            self.address
        };
        let login = self.username.map(|username| Login { username, password });
        let (width, height) = self.size;
        Ok(Settings {
            device: Options { broker: self.broker, id: id.clone(), login, ca_file: self.ca_file },
            camera: camera::Settings {
                rooms,
                info: Info::new(info).context("--name")?,
                answers: self.answer,
                once: self.once,
                stats: self.stats,
                addresses,
                relay_only: self.relay,
            },
            source: self.source,
            format: Format { codec, width, height, rate: self.fps, bitrate: self.bitrate },
            caption: Caption { room: self.room.to_string(), device: name },
            log: EnvFilter::try_new(&self.log).context("--log")?,
        })
    }
}

/// The rooms for `count` viewers at once.
fn rooms(first: &RoomId, count: u8) -> anyhow::Result<Vec<RoomId>> {
    let others = (2..=count).map(|number| {
        RoomId::new(&format!("{first}~{number}")).with_context(|| format!("--rooms {count}: the name of room {number}"))
    });
    std::iter::once(Ok(first.clone())).chain(others).collect()
}

/// The same at every start, and another for every machine and room. Who has a user may only have ids that begin with
/// the user's name and a colon, or are that name.
fn default_id(room: &RoomId, username: Option<&str>) -> anyhow::Result<PeerId> {
    let mut hasher = DefaultHasher::new();
    (rustix::system::uname().nodename().to_bytes(), room.as_str()).hash(&mut hasher);
    let number = hasher.finish() >> 32;
    let id = username.map_or_else(|| format!("camera-{number:08x}"), |username| format!("{username}:{number:08x}"));
    PeerId::new(&id).with_context(|| format!("{id:?} is no client identifier; give one"))
}

fn bitrate(text: &str) -> Result<u32, String> {
    let right = "right is a number of bits a second from 50k to 50M, as 800k or 2M";
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    let bits = number.parse::<f64>().map_err(|error| format!("{error}; {right}"))? * unit;
    if (50e3..=50e6).contains(&bits) { Ok(bits as u32) } else { Err(right.into()) }
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let right = "right is a width and a height from 64 to 3840 pixels, both even, as 640x360";
    let (width, height) = text.split_once('x').ok_or(right)?;
    let side = |text: &str| text.parse().ok().filter(|side| (64..=3840).contains(side) && side % 2 == 0).ok_or(right);
    Ok((side(width)?, side(height)?))
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map_err(|e| format!("{e}; right is info, debug or a filter as camera=debug"))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Flags, clap::Error> {
        Flags::try_parse_from([&["camera"], args].concat())
    }

    fn settings(args: &[&str]) -> anyhow::Result<Settings> {
        parse(&[&["--room", "front-door"], args].concat()).unwrap().settings(None)
    }

    #[test]
    fn a_room_is_enough() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.device.broker.to_string(), "mqtt://127.0.0.1:1883");
        assert_eq!(settings.source, source::Spec::Test);
        assert_eq!(settings.camera.rooms.len(), 1);
        assert!(settings.camera.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "the broker is on this machine");
        let name = &settings.camera.info.as_map()["name"];
        assert_eq!(name.as_str(), Some(settings.device.id.as_str()));
    }

    #[test]
    fn a_camera_has_the_same_id_at_every_start_and_another_in_another_room() {
        let id = |room: &str| parse(&["--room", room]).unwrap().settings(None).unwrap().device.id;
        assert_eq!(id("lobby"), id("lobby"));
        assert_ne!(id("lobby"), id("porch"));
        let of_user = |user: &str| parse(&["--room", "lobby", "--username", user]).unwrap().settings(None);
        let digits = id("lobby").as_str().trim_start_matches("camera-").to_owned();
        assert_eq!(of_user("door").unwrap().device.id.as_str(), format!("door:{digits}"));
        assert!(format!("{:#}", of_user("my door").err().unwrap()).contains("--id"));
    }

    #[test]
    fn there_is_a_room_for_each_viewer() {
        let rooms: Vec<String> =
            settings(&["--rooms", "3"]).unwrap().camera.rooms.iter().map(ToString::to_string).collect();
        assert_eq!(rooms, ["front-door", "front-door~2", "front-door~3"]);
        let long = "r".repeat(127);
        let error = parse(&["--room", &long, "--rooms", "2"]).unwrap().settings(None).err().unwrap();
        assert!(format!("{error:#}").contains("--rooms 2"), "{error:#}");
    }

    #[test]
    fn no_loopback_address_is_offered_to_viewers_of_a_broker_elsewhere() {
        let settings = settings(&["--broker", "mqtt://broker.example.org"]).unwrap();
        assert!(settings.camera.addresses.iter().all(|address| !address.is_loopback()));
    }

    #[test]
    fn bad_values_name_their_flag_and_what_would_be_right() {
        for (args, right) in [
            (["--broker", "http://127.0.0.1"], "known are mqtt, mqtts, ws and wss"),
            (["--room", "a/b"], "/"),
            (["--rooms", "0"], "1..=32"),
            (["--rooms", "33"], "1..=32"),
            (["--source", "http://h/x"], "v4l2:/dev/video0"),
            (["--codec", "av1"], "h264, vp8"),
            (["--bitrate", "fast"], "as 800k"),
            (["--bitrate", "1k"], "from 50k"),
            (["--size", "641x360"], "both even"),
            (["--size", "640"], "640x360"),
            (["--fps", "0"], "1..=120"),
            (["--address", "here"], "invalid IP address"),
            (["--id", "agent"], "reserved"),
            (["--password-file", "x"], "--username"),
            (["--log", "camera=loud"], "right is info"),
        ] {
            let room = if args[0] == "--room" { &[][..] } else { &["--room", "front-door"] };
            let error = parse(&[room, &args].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains(args[0]) && text.contains(right), "{text}");
        }
    }

    #[test]
    fn bitrates_and_sizes_are_read() {
        assert_eq!([bitrate("800k"), bitrate("1.5M"), bitrate("64000")], [Ok(800_000), Ok(1_500_000), Ok(64_000)]);
        assert_eq!(size("1280x720"), Ok((1280, 720)));
    }
}
