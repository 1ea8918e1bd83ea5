//! How many bits a second an encoder is to make. Pure: it is asked once a picture.
//!
//! A change costs a key frame, so it follows what paths carry in steps: down at once, but not with every step of an
//! estimate that falls; up when more has been carried for a while.

/// Below that there is no picture to speak of, and one viewer's path shall not take it from the others.
const LEAST: u32 = 40_000;
/// A path that widens is believed when it has carried more for this long: what probes find does not always last.
const WIDER_AFTER_SECONDS: u32 = 8;

/// The bitrate of an encoder, in bits a second.
#[derive(Debug, Clone)]
pub(super) struct Bitrate {
    most: u32,
    present: u32,
    /// Pictures since more than the present bitrate has been carried.
    wider: u32,
    /// Pictures since it was changed.
    kept: u32,
}

impl Bitrate {
    /// Begins with the most that it may ever be.
    pub(super) fn new(most: u32) -> Self {
        Self { most, present: most, wider: 0, kept: u32::MAX }
    }

    /// The most that it may ever be.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// What paths carry now, if that is known, at `rate` pictures a second; the new bitrate, if it is to change.
    pub(super) fn follow(&mut self, carried: Option<u32>, rate: u32) -> Option<u32> {
        let wanted = carried.map_or(self.most, |carried| carried.clamp(LEAST.min(self.most), self.most));
        self.wider = if wanted > self.present { self.wider + 1 } else { 0 };
        self.kept = self.kept.saturating_add(1);
        let narrower = wanted < self.present / 2 || (wanted < self.present / 8 * 7 && self.kept > rate);
        let worth_it = wanted > self.present / 4 * 5 || wanted == self.most;
        let wider = worth_it && self.wider >= rate * WIDER_AFTER_SECONDS;
        if !(narrower || wider) {
            return None;
        }
        (self.present, self.wider, self.kept) = (wanted, 0, 0);
        Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bitrate becomes while paths carry this, for so many pictures each.
    fn followed(carried: &[(Option<u32>, u32)]) -> Vec<u32> {
        let mut bitrate = Bitrate::new(1_000_000);
        let pictures = carried.iter().flat_map(|&(carried, times)| (0..times).map(move |_| carried));
        pictures.filter_map(|carried| bitrate.follow(carried, 30)).collect()
    }

    #[test]
    fn it_goes_down_at_once_and_up_after_a_while() {
        let (narrow, wide) = (Some(300_000), Some(900_000));
        assert_eq!(followed(&[(None, 300), (narrow, 300)]), [300_000]);
        assert_eq!(followed(&[(narrow, 1), (wide, 239)]), [300_000]);
        assert_eq!(followed(&[(narrow, 1), (wide, 240)]), [300_000, 900_000]);
        assert_eq!(followed(&[(narrow, 1), (wide, 239), (narrow, 1), (wide, 239)]), [300_000], "it has to last");
        assert_eq!(followed(&[(narrow, 1), (None, 240)]), [300_000, 1_000_000], "as when the slow viewer leaves");
    }

    #[test]
    fn an_estimate_that_falls_step_by_step_is_followed_in_few() {
        let falling: Vec<_> = (0..45).map(|at| (Some(900_000 - at * 10_000), 1)).collect();
        assert_eq!(followed(&falling), [870_000, 560_000]);
        assert_eq!(followed(&[(Some(800_000), 1), (Some(300_000), 1)]), [800_000, 300_000], "far down at once");
    }

    #[test]
    fn it_keeps_within_its_bounds_and_does_not_follow_every_breath() {
        assert_eq!(followed(&[(Some(5_000), 300)]), [LEAST]);
        assert_eq!(followed(&[(Some(50_000_000), 300)]), [0; 0]);
        assert_eq!(followed(&[(Some(900_000), 300), (Some(880_000), 300)]), [0; 0]);
        assert_eq!(followed(&[(Some(400_000), 1), (Some(450_000), 300)]), [400_000]);
        assert_eq!(Bitrate::new(LEAST - 1).follow(Some(10_000), 30), None, "a cap below the least stays");
    }
}
