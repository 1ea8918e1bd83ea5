//! Which style says what: five meanings, three palettes, three depths of colour.
//!
//! Colour only ever repeats what a character, a word or bold says already: with [`Depth::None`] every screen can
//! be read as well, and nobody has to tell red from green.

use crate::diagnosis::Severity;
use ratatui::style::{Color, Modifier, Style};
use std::str::FromStr;

/// A choice of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Palette {
    /// For light text on a dark ground.
    #[default]
    Dark,
    /// For dark text on a light ground.
    Light,
    /// Blue, yellow and orange, which people who confuse red and green tell apart.
    ColourBlind,
}

impl Palette {
    /// Every palette, in the order in which the key walks through them.
    pub const ALL: [Palette; 3] = [Palette::Dark, Palette::Light, Palette::ColourBlind];

    /// Its name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Palette::Dark => "dark",
            Palette::Light => "light",
            Palette::ColourBlind => "colour-blind",
        }
    }

    /// The one after it, round and round.
    pub fn next(self) -> Self {
        match self {
            Palette::Dark => Palette::Light,
            Palette::Light => Palette::ColourBlind,
            Palette::ColourBlind => Palette::Dark,
        }
    }
}

/// A palette that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no theme {0:?}; known are dark, light and colour-blind")]
pub struct UnknownPalette(String);

impl FromStr for Palette {
    type Err = UnknownPalette;
    fn from_str(name: &str) -> Result<Self, UnknownPalette> {
        Palette::ALL.into_iter().find(|palette| palette.name() == name).ok_or_else(|| UnknownPalette(name.to_owned()))
    }
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// None, or none wanted (`NO_COLOR`): bold, dim, reverse and underline only.
    None,
    /// The sixteen that every terminal names.
    Sixteen,
    /// The 256 of xterm.
    #[default]
    Many,
}

/// The styles of one palette at one depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Which palette it is.
    pub palette: Palette,
    /// How many colours it uses.
    pub depth: Depth,
    /// What matters less: times, rules, what is not there.
    pub dim: Style,
    /// Headings.
    pub heading: Style,
    /// What can be acted on, and names.
    pub accent: Style,
    /// The row that keys act on.
    pub selected: Style,
    /// What is well.
    pub good: Style,
    /// What may become a fault.
    pub warning: Style,
    /// What is broken.
    pub fault: Style,
    /// A strip across the screen that must not be overlooked.
    pub alarm: Style,
    /// What was added, in a difference.
    pub added: Style,
    /// What was taken away, in a difference.
    pub removed: Style,
}

/// The colours of a palette: (of 16, of 256).
struct Colours {
    dim: (Color, u8),
    accent: (Color, u8),
    good: (Color, u8),
    warning: (Color, u8),
    fault: (Color, u8),
    /// Ground of the selected row, of 256; with fewer colours the row is reversed.
    ground: u8,
}

impl Theme {
    /// The styles of `palette` with as many colours as `depth` allows.
    pub fn new(palette: Palette, depth: Depth) -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        if depth == Depth::None {
            return Self {
                palette,
                depth,
                dim: plain.add_modifier(Modifier::DIM),
                heading: bold,
                accent: bold,
                selected: plain.add_modifier(Modifier::REVERSED),
                good: plain,
                warning: bold,
                fault: bold,
                alarm: bold.add_modifier(Modifier::REVERSED),
                added: bold,
                removed: plain.add_modifier(Modifier::DIM),
            };
        }
        let colours = match palette {
            Palette::Dark => Colours {
                dim: (Color::DarkGray, 246),
                accent: (Color::LightCyan, 117),
                good: (Color::LightGreen, 114),
                warning: (Color::LightYellow, 221),
                fault: (Color::LightRed, 210),
                ground: 238,
            },
            Palette::Light => Colours {
                dim: (Color::DarkGray, 241),
                accent: (Color::Blue, 25),
                good: (Color::Green, 28),
                warning: (Color::Magenta, 130),
                fault: (Color::Red, 124),
                ground: 254,
            },
            Palette::ColourBlind => Colours {
                dim: (Color::DarkGray, 246),
                accent: (Color::LightCyan, 153),
                good: (Color::LightBlue, 75),
                warning: (Color::LightYellow, 227),
                fault: (Color::LightMagenta, 208),
                ground: 238,
            },
        };
        let ink =
            |(sixteen, many): (Color, u8)| plain.fg(if depth == Depth::Many { Color::Indexed(many) } else { sixteen });
        Self {
            palette,
            depth,
            dim: ink(colours.dim),
            heading: bold,
            accent: ink(colours.accent),
            selected: match depth {
                Depth::Many => bold.bg(Color::Indexed(colours.ground)),
                _ => plain.add_modifier(Modifier::REVERSED),
            },
            good: ink(colours.good),
            warning: ink(colours.warning),
            fault: ink(colours.fault).add_modifier(Modifier::BOLD),
            alarm: ink(colours.fault).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            added: ink(colours.good).add_modifier(Modifier::BOLD),
            removed: ink(colours.warning),
        }
    }

    /// How a finding of this weight is written.
    pub fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Error => self.fault,
            Severity::Warning => self.warning,
            Severity::Note => self.accent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_there_is_not_one() {
        for palette in Palette::ALL {
            let theme = Theme::new(palette, Depth::None);
            for style in [theme.dim, theme.accent, theme.selected, theme.good, theme.warning, theme.fault, theme.alarm]
            {
                assert_eq!((style.fg, style.bg), (None, None), "{palette:?}");
            }
            assert!(theme.selected.add_modifier.contains(Modifier::REVERSED));
        }
    }

    #[test]
    fn sixteen_colours_never_ask_for_a_256th() {
        for palette in Palette::ALL {
            let theme = Theme::new(palette, Depth::Sixteen);
            for style in [theme.dim, theme.accent, theme.selected, theme.good, theme.warning, theme.fault, theme.alarm]
            {
                assert!(!matches!(style.fg, Some(Color::Indexed(_) | Color::Rgb(..))), "{palette:?}");
                assert_eq!(style.bg, None, "{palette:?}: a selected row is reversed, which every terminal can");
            }
        }
    }

    #[test]
    fn palettes_are_read_by_the_names_they_are_written_with() {
        for palette in Palette::ALL {
            assert_eq!(palette.name().parse(), Ok(palette));
        }
        assert_eq!(
            "drak".parse::<Palette>().unwrap_err().to_string(),
            "there is no theme \"drak\"; known are dark, light and colour-blind"
        );
    }
}
