//! Cameras of the machine and of the network, through ffmpeg or GStreamer: one of them has to be installed.
//!
//! The program is started again when it ends, as when a camera is unplugged and plugged in again; calls go on
//! meanwhile, and see the last picture.

#![allow(clippy::disallowed_methods, reason = "pauses between attempts")]

use super::raw::Raw;
use super::stream;
use super::{Codec, Format, Picture, Pictures, SourceError, Spec};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{info, warn};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Lines of what the program complains of that are kept for the error.
const COMPLAINTS: usize = 3;

/// A program that encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Ffmpeg,
    GStreamer,
}

impl Tool {
    const ALL: [Tool; 2] = [Tool::Ffmpeg, Tool::GStreamer];

    fn name(self) -> &'static str {
        match self {
            Tool::Ffmpeg => "ffmpeg",
            Tool::GStreamer => "gst-launch-1.0",
        }
    }

    /// A row of a plane takes a multiple of so many bytes.
    fn row_alignment(self) -> usize {
        match self {
            Tool::Ffmpeg => 1,
            Tool::GStreamer => 4,
        }
    }
}

/// Pictures from another program.
pub(super) struct Process {
    spec: Spec,
    format: Format,
    running: Running,
    pause: Duration,
}

struct Running {
    child: Child,
    pictures: Box<dyn Pictures>,
    complaints: Complaints,
    since: Instant,
}

/// What the program says on stderr, its last lines.
struct Complaints {
    lines: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Process {
    pub(super) fn open(spec: &Spec, format: Format) -> Result<(Self, Codec), SourceError> {
        let (running, codec) = start(spec, format)?;
        Ok((Self { spec: spec.clone(), format, running, pause: FIRST_PAUSE }, codec))
    }
}

impl Pictures for Process {
    fn next(&mut self, key: bool, carried: Option<u32>) -> Result<Picture, SourceError> {
        self.keep(|pictures| pictures.next(key, carried))
    }

    fn is_live(&self) -> bool {
        true
    }

    fn read_away(&mut self) -> Result<(), SourceError> {
        self.keep(|pictures| pictures.read_away())
    }

    fn adapts_from(&self) -> Option<u32> {
        self.running.pictures.adapts_from()
    }
}

impl Process {
    /// Starts the program again as often as it ends.
    fn keep<T>(&mut self, mut take: impl FnMut(&mut dyn Pictures) -> Result<T, SourceError>) -> Result<T, SourceError> {
        loop {
            let error = match take(&mut *self.running.pictures) {
                Ok(taken) => return Ok(taken),
                Err(error) => error,
            };
            if self.running.since.elapsed() > LONGEST_PAUSE {
                self.pause = FIRST_PAUSE;
            }
            let why = self.running.complaint().unwrap_or_else(|| error.to_string());
            warn!("{}: {why}; tried again in {:?}", self.spec, self.pause);
            std::thread::sleep(self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            match start(&self.spec, self.format) {
                Ok((running, _)) => {
                    info!("{}: it is back", self.spec);
                    self.running = running;
                }
                Err(error) => warn!("{error}"),
            }
        }
    }
}

impl Running {
    /// Ends the program; what it complained of.
    fn complaint(&mut self) -> Option<String> {
        end(&mut self.child);
        self.complaints.all()
    }
}

impl Complaints {
    fn listen(stderr: ChildStderr, spec: &Spec) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let kept = lines.clone();
        let url = if let Spec::Rtsp(url) = spec { url.as_str().to_owned() } else { String::new() };
        let shown = spec.to_string();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()) {
                // The URL may have a password in it.
                let line = if url.is_empty() { line } else { line.replace(&url, &shown) };
                let mut kept = kept.lock();
                if kept.len() == COMPLAINTS {
                    kept.pop_front();
                }
                kept.push_back(line.chars().take(200).collect());
            }
        });
        Self { lines, listener: Some(listener) }
    }

    /// Of a program that has ended: what it has said last may still be on its way.
    fn all(&mut self) -> Option<String> {
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let lines = self.lines.lock();
        (!lines.is_empty()).then(|| lines.iter().cloned().collect::<Vec<_>>().join("; "))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Starts the program, and waits for its first picture.
fn start(spec: &Spec, format: Format) -> Result<(Running, Codec), SourceError> {
    let failed = |why: String| SourceError::Process { source_name: spec.to_string(), why };
    let installed = |tool: &Tool| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| {
            let path: PathBuf = folder.join(tool.name());
            path.is_file()
        })
    };
    let tool = Tool::ALL.into_iter().find(installed).ok_or_else(|| {
        failed("a camera is read by ffmpeg or GStreamer, and neither ffmpeg nor gst-launch-1.0 is installed".into())
    })?;
    if let Spec::V4l2(device) = spec
        && let Err(error) = std::fs::metadata(device)
    {
        return Err(failed(format!("{error}; `ls /dev/video*` shows which cameras there are")));
    }
    let mut command = Command::new(tool.name());
    command.args(arguments(tool, spec, format)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(format!("{} does not start: {error}", tool.name())))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        end(&mut child);
        return Err(failed(format!("{} has no output", tool.name())));
    };
    let mut complaints = Complaints::listen(stderr, spec);
    let opened = if is_encoded_here(spec, format) {
        let raw = Raw::open(spec.to_string(), Box::new(stdout), format, tool.row_alignment());
        raw.map(|raw| (Box::new(raw) as Box<dyn Pictures>, Codec::H264))
    } else {
        let stream = stream::pipe(spec.to_string(), Box::new(stdout), format, true);
        stream.map(|(stream, codec)| (Box::new(stream) as Box<dyn Pictures>, codec))
    };
    match opened {
        Ok((pictures, codec)) => Ok((Running { child, pictures, complaints, since: Instant::now() }, codec)),
        Err(error) => {
            end(&mut child);
            let why = complaints.all().unwrap_or_else(|| error.to_string());
            Err(failed(format!("{} gives no picture: {why}", tool.name())))
        }
    }
}

/// What a camera of this machine gives is encoded here if it is to be H.264; a camera in the network encodes itself.
fn is_encoded_here(spec: &Spec, format: Format) -> bool {
    matches!(spec, Spec::V4l2(_)) && format.codec != Some(Codec::Vp8)
}

/// What the program is told. No shell reads it.
fn arguments(tool: Tool, spec: &Spec, format: Format) -> Vec<String> {
    let Format { codec, width, height, bitrate, .. } = format;
    let (rate, codec) = (format.rate(), codec.unwrap_or(Codec::H264));
    let raw = is_encoded_here(spec, format);
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match (tool, spec) {
        (Tool::Ffmpeg, _) => {
            let mut all = words("-nostdin -hide_banner -loglevel error -fflags nobuffer".into());
            match spec {
                Spec::Rtsp(url) => {
                    all.extend(words("-rtsp_transport tcp -i".into()));
                    all.push(url.as_str().into());
                }
                _ => {
                    all.extend(words(format!("-f v4l2 -framerate {rate} -video_size {width}x{height} -i")));
                    all.push(spec.to_string());
                }
            }
            all.extend(words(match codec {
                Codec::H264 if raw => {
                    format!("-an -vf fps={rate},scale={width}:{height} -pix_fmt yuv420p -flush_packets 1 -f rawvideo -")
                }
                Codec::H264 => "-an -c:v copy -bsf:v dump_extra=freq=keyframe -f h264 -".into(),
                Codec::Vp8 => format!(
                    "-an -pix_fmt yuv420p -c:v libvpx -deadline realtime -cpu-used 8 -auto-alt-ref 0 -g {rate} \
                     -b:v {bitrate} -flush_packets 1 -f ivf -"
                ),
            }));
            all
        }
        (Tool::GStreamer, _) => {
            let mut all = words("-q".into());
            let decoded = match spec {
                Spec::Rtsp(url) if codec == Codec::H264 => {
                    all.extend(["rtspsrc".into(), format!("location={}", url.as_str())]);
                    all.extend(words("protocols=tcp ! rtph264depay ! h264parse config-interval=-1".into()));
                    String::new()
                }
                Spec::Rtsp(url) => {
                    all.extend(["rtspsrc".into(), format!("location={}", url.as_str())]);
                    all.extend(words("protocols=tcp ! decodebin".into()));
                    "! videoconvert".into()
                }
                _ => {
                    all.extend(["v4l2src".into(), format!("device={spec}")]);
                    format!(
                        "! videoconvert ! videoscale ! videorate ! \
                         video/x-raw,format=I420,width={width},height={height},framerate={rate}/1"
                    )
                }
            };
            all.extend(words(decoded));
            all.extend(words(match codec {
                Codec::H264 if raw => "! fdsink fd=1".into(),
                Codec::H264 => "! video/x-h264,stream-format=byte-stream,alignment=au ! fdsink fd=1".into(),
                Codec::Vp8 => format!(
                    "! vp8enc deadline=1 cpu-used=8 keyframe-max-dist={rate} target-bitrate={bitrate} ! avmux_ivf \
                     ! fdsink fd=1"
                ),
            }));
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tool: Tool, source: &str, codec: Codec) -> String {
        arguments(tool, &source.parse().unwrap(), Format { codec: Some(codec), ..Format::default() }).join(" ")
    }

    #[test]
    fn each_program_is_told_the_source_the_size_and_the_bitrate() {
        for (tool, codec, parts) in [
            (Tool::Ffmpeg, Codec::H264, &["-i /dev/video0", "scale=640:360", "fps=30", "-f rawvideo -"][..]),
            (Tool::Ffmpeg, Codec::Vp8, &["-i /dev/video0", "640x360", "-b:v 1000000", "libvpx", "-f ivf -"]),
            (
                Tool::GStreamer,
                Codec::H264,
                &["device=/dev/video0", "I420,width=640,height=360,framerate=30/1 ! fdsink"],
            ),
            (
                Tool::GStreamer,
                Codec::Vp8,
                &["device=/dev/video0", "width=640,height=360", "target-bitrate=1000000", "avmux_ivf"],
            ),
        ] {
            let told = told(tool, "v4l2:/dev/video0", codec);
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
    }

    #[test]
    fn what_a_network_camera_has_encoded_is_not_encoded_again() {
        for (tool, encoder) in [(Tool::Ffmpeg, "libx264"), (Tool::GStreamer, "x264enc")] {
            let passed = told(tool, "rtsp://u:p@cam.example/1", Codec::H264);
            assert!(!passed.contains(encoder) && passed.contains("rtsp://u:p@cam.example/1"), "{passed}");
        }
        assert!(told(Tool::GStreamer, "rtsp://cam.example/1", Codec::Vp8).contains("vp8enc"));
    }
}
