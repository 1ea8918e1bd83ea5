//! Settings of `[ice]`: what peers are given to find a way to each other.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[];
