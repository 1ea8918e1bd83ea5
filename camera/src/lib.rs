//! A device that shows a picture to whoever comes into its room.
//!
//! Three parts, each of use without the others:
//!
//! - [`device`]: the signaling. A [`Device`] joins rooms and tells what happens there, again and again, whatever
//!   becomes of the connection to the broker.
//! - [`call`]: one viewer. A [`Call`] carries a picture to one other peer over WebRTC.
//! - [`source`]: where the picture comes from, encoded once for all viewers.
//!
//! [`Camera`] puts them together. A device that has its own idea of a call needs the first part only:
//!
//! ```no_run
//! use camera::{Device, Event, Options, Signal};
//! use protocol::Said;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let mut device = Device::connect(Options::new("mqtt://127.0.0.1:1883".parse()?, "doorbell".parse()?))?;
//! device.join(&"front-door".parse()?, None);
//! while let Some(event) = device.next().await {
//!     match event? {
//!         Event::Agent { room, said: Said::Arrived { peer } } => device.send(&room, &peer.id, &Signal::Bye),
//!         event => println!("{event:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

#![warn(clippy::unwrap_used, clippy::expect_used)]

pub mod call;
mod camera;
pub mod device;
pub mod signal;
pub mod source;
mod viewing;

pub use call::Call;
pub use camera::{Camera, CameraError, Settings};
pub use device::{Device, DeviceError, Event, Options};
pub use signal::Signal;
pub use source::Source;
