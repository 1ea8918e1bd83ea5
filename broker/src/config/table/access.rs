//! Settings of `[access]`: who may come in. The filters of `[[access.topics]]` have a shape of their own.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[];
