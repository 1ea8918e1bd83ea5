//! The test picture: colour bars, something that moves, a clock, the room and the device. Pure: the time is given.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};
use openh264::formats::YUVSource;
use protocol::Timestamp;

/// One picture in YUV 4:2:0 (BT.601, limited range), to be drawn again and again.
#[derive(Debug)]
pub(super) struct Picture {
    width: usize,
    height: usize,
    lines: [String; 2],
    /// Bars without anything on them.
    bars: Planes,
    shown: Planes,
}

#[derive(Debug, Clone)]
struct Planes {
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

/// White, yellow, cyan, green, magenta, red, blue at 75 % (SMPTE EG 1), as Y, Cb, Cr.
const BARS: [[u8; 3]; 7] =
    [[180, 128, 128], [162, 44, 142], [131, 156, 44], [112, 72, 58], [84, 184, 198], [65, 100, 212], [35, 212, 114]];
const WHITE: [u8; 3] = [235, 128, 128];
const BLACK: [u8; 3] = [16, 128, 128];

impl Picture {
    /// Both sides are even and at least 64.
    pub(super) fn new(width: usize, height: usize, room: &str, device: &str) -> Self {
        let (half, quarter) = (width * height, width * height / 4);
        let mut bars = Planes { y: vec![0; half], u: vec![0; quarter], v: vec![0; quarter] };
        for (at, colour) in BARS.into_iter().enumerate() {
            // Even borders, so that no pixel of the chroma planes lies on one.
            let border = |at: usize| (at * width / BARS.len()) & !1;
            bars.fill(width, border(at)..border(at + 1), 0..height, colour);
        }
        let lines = [room.to_owned(), device.to_owned()];
        Self { width, height, lines, shown: bars.clone(), bars }
    }

    /// Draws the picture with number `number` of those that are shown `rate` times a second.
    pub(super) fn draw(&mut self, number: u64, rate: u32, now: Timestamp) {
        let Self { width, height, .. } = *self;
        self.shown.y.copy_from_slice(&self.bars.y);
        self.shown.u.copy_from_slice(&self.bars.u);
        self.shown.v.copy_from_slice(&self.bars.v);

        // A bar across the lower edge in four seconds, with a box that jumps on it.
        let (period, size) = (u64::from(rate) * 4, (height.min(width) / 6) & !1);
        let way = (number % period) as usize * (width - size) / period as usize;
        let bounce = (number % u64::from(rate)) as i64 * 2 - i64::from(rate);
        let jump = (height / 4) as i64 * (i64::from(rate).pow(2) - bounce.pow(2)) / i64::from(rate).pow(2);
        let floor = height - height / 12;
        let top = floor.saturating_sub(size + jump.unsigned_abs() as usize) & !1;
        self.shown.fill(width, 0..width, floor & !1..height & !1, BLACK);
        self.shown.fill(width, way & !1..(way & !1) + size, top..top + size, WHITE);

        let scale = (width / 200).max(1);
        let clock = now.to_string();
        let lines = [self.lines[0].clone(), self.lines[1].clone(), clock];
        for (at, line) in lines.iter().enumerate() {
            self.write(line, scale * 8, (scale * 8 + at * scale * 11) & !1, scale);
        }
    }

    /// Writes on a dark ground; what does not fit is cut off, what the font has not is shown as `?`.
    fn write(&mut self, text: &str, left: usize, top: usize, scale: usize) {
        let step = 8 * scale;
        let fits = self.width.saturating_sub(left + scale) / step;
        let glyphs: Vec<[u8; 8]> = text.chars().take(fits).map(glyph).collect();
        let right = (left + glyphs.len() * step + scale).min(self.width);
        let ground = (left.saturating_sub(scale) & !1)..(right & !1);
        let bottom = (top + step + scale).min(self.height);
        self.shown.fill(self.width, ground, (top.saturating_sub(scale) & !1)..(bottom & !1), BLACK);
        for (at, rows) in glyphs.into_iter().enumerate() {
            for (row, bits) in rows.into_iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    let (x, y) = (left + at * step + column * scale, top + row * scale);
                    for line in y..(y + scale).min(self.height) {
                        self.shown.y[line * self.width..][x..x + scale].fill(WHITE[0]);
                    }
                }
            }
        }
    }
}

fn glyph(character: char) -> [u8; 8] {
    let known = BASIC_FONTS.get(character).or_else(|| LATIN_FONTS.get(character));
    known.or_else(|| BASIC_FONTS.get('?')).unwrap_or_default()
}

impl Planes {
    fn fill(&mut self, width: usize, x: std::ops::Range<usize>, y: std::ops::Range<usize>, [luma, u, v]: [u8; 3]) {
        for line in y.clone() {
            self.y[line * width..][x.clone()].fill(luma);
        }
        for line in y.start / 2..y.end / 2 {
            let half = x.start / 2..x.end / 2;
            self.u[line * width / 2..][half.clone()].fill(u);
            self.v[line * width / 2..][half].fill(v);
        }
    }
}

impl YUVSource for Picture {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.shown.y
    }

    fn u(&self) -> &[u8] {
        &self.shown.u
    }

    fn v(&self) -> &[u8] {
        &self.shown.v
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    fn at(seconds: u64) -> Timestamp {
        (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into()
    }

    fn drawn(number: u64, seconds: u64, room: &str) -> Picture {
        let mut picture = Picture::new(640, 360, room, "cam");
        picture.draw(number, 30, at(seconds));
        picture
    }

    #[test]
    fn the_picture_moves_and_its_clock_goes() {
        let first = drawn(0, 0, "lobby");
        assert_eq!(first.y(), drawn(0, 0, "lobby").y());
        assert_ne!(first.y(), drawn(3, 0, "lobby").y(), "the box");
        assert_ne!(first.y(), drawn(0, 1, "lobby").y(), "the clock");
        assert_ne!(first.y(), drawn(0, 0, "porch").y(), "the room");
    }

    #[test]
    fn the_bars_are_the_usual_ones() {
        let picture = drawn(0, 0, "lobby");
        for (at, [luma, u, v]) in BARS.into_iter().enumerate() {
            let x = (2 * at + 1) * 640 / 14;
            assert_eq!(picture.y()[160 * 640 + x], luma);
            assert_eq!((picture.u()[80 * 320 + x / 2], picture.v()[80 * 320 + x / 2]), (u, v));
        }
    }

    proptest! {
        #[test]
        fn any_size_number_and_name_can_be_drawn(
            width in 32usize..400, height in 32usize..400, number: u64, rate in 1u32..121, room in ".{0,200}",
        ) {
            let mut picture = Picture::new(width * 2, height * 2, &room, "cam");
            picture.draw(number, rate, at(1));
        }
    }
}
