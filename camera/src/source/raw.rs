//! Pictures that another program gives as they are, to be encoded here: then a key frame comes when it is asked for, and
//! the bitrate follows what paths carry.

use super::encoder::Encoder;
use super::{Format, Picture, Pictures, SourceError};
use openh264::formats::YUVSource;
use std::io::Read;

/// Pictures in YUV 4:2:0, plane after plane (I420), one after another.
pub(super) struct Raw {
    name: String,
    bytes: Box<dyn Read + Send>,
    encoder: Encoder,
    planes: Planes,
    /// The first has been read to see that there is one, and not been shown.
    unseen: bool,
}

struct Planes {
    width: usize,
    height: usize,
    /// Bytes of a row of luma, and of one of each colour difference.
    rows: (usize, usize),
    bytes: Vec<u8>,
}

impl Planes {
    fn new(format: Format, row_alignment: usize) -> Self {
        let (width, height) = (usize::from(format.width), usize::from(format.height));
        let rows = (width.next_multiple_of(row_alignment), (width / 2).next_multiple_of(row_alignment));
        Self { width, height, rows, bytes: vec![0; (rows.0 + rows.1) * height] }
    }
}

impl Raw {
    /// Waits for the first picture, which has the width and height of `format`.
    pub(super) fn open(
        name: String,
        bytes: Box<dyn Read + Send>,
        format: Format,
        row_alignment: usize,
    ) -> Result<Self, SourceError> {
        let planes = Planes::new(format, row_alignment);
        let mut raw = Self { name, bytes, encoder: Encoder::new(format)?, planes, unseen: false };
        raw.read()?;
        raw.unseen = true;
        Ok(raw)
    }

    fn read(&mut self) -> Result<(), SourceError> {
        self.bytes.read_exact(&mut self.planes.bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => SourceError::Ended { source_name: self.name.clone() },
            _ => SourceError::Io { source_name: self.name.clone(), error },
        })
    }
}

impl Pictures for Raw {
    fn next(&mut self, key: bool, carried: Option<u32>) -> Result<Picture, SourceError> {
        loop {
            if !std::mem::take(&mut self.unseen) {
                self.read()?;
            }
            if let Some(encoded) = self.encoder.encode(&self.planes, key, carried)? {
                return Ok(Picture { data: encoded.data, key: encoded.key, after: None });
            }
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn read_away(&mut self) -> Result<(), SourceError> {
        self.unseen = false;
        self.read()
    }

    fn adapts_from(&self) -> Option<u32> {
        Some(self.encoder.most())
    }
}

impl YUVSource for Planes {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.rows.0, self.rows.1, self.rows.1)
    }

    fn y(&self) -> &[u8] {
        &self.bytes[..self.rows.0 * self.height]
    }

    fn u(&self) -> &[u8] {
        let begin = self.rows.0 * self.height;
        &self.bytes[begin..begin + self.rows.1 * self.height / 2]
    }

    fn v(&self) -> &[u8] {
        &self.bytes[self.rows.0 * self.height + self.rows.1 * self.height / 2..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_encoded_one_by_one_until_there_are_no_more() {
        let format = Format { width: 320, height: 240, ..Format::default() };
        let one = 320 * 240 * 3 / 2;
        let bytes: Vec<u8> = (0..one * 5 + one / 2).map(|at| (at / 977 % 200) as u8).collect();
        let mut raw = Raw::open("cam".into(), Box::new(std::io::Cursor::new(bytes)), format, 1).unwrap();
        let keys: Vec<bool> = (0..4).map(|at| raw.next(at == 2, None).unwrap().key).collect();
        assert_eq!(keys, [true, false, true, false]);
        raw.read_away().unwrap();
        let ended = raw.next(false, None).unwrap_err();
        assert!(matches!(ended, SourceError::Ended { .. }), "{ended}");
    }

    #[test]
    fn what_gives_no_whole_picture_gives_none() {
        let none = Raw::open("cam".into(), Box::new(std::io::Cursor::new(vec![0; 1000])), Format::default(), 1);
        assert!(matches!(none, Err(SourceError::Ended { .. })));
    }

    #[test]
    fn rows_may_be_longer_than_a_picture_is_wide() {
        let format = Format { width: 86, height: 64, ..Format::default() };
        let planes = Planes::new(format, 4);
        assert_eq!(planes.strides(), (88, 44, 44));
        assert_eq!([planes.y().len(), planes.u().len(), planes.v().len()], [88 * 64, 44 * 32, 44 * 32]);
        assert_eq!(planes.bytes.len(), 88 * 64 * 3 / 2);
    }
}
