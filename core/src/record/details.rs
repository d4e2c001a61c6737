//! What OpenTelemetry says of a log record and coati's lines do not have.

use super::Tag;
use super::read;
use super::value::{Key, Value};
use super::write::Encoder;
use crate::intern::{Id, reserved};

/// Severity, name and times as they were given. It stands before a log line's other fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Details<'a> {
    /// `SeverityNumber`, 0 for none.
    pub severity: u8,
    /// The severity's name, where it is not the level's own.
    pub text: Option<&'a str>,
    /// The event's name.
    pub event: Option<&'a str>,
    /// When it happened, in nanoseconds since the epoch; 0: when it was recorded.
    pub time: u64,
    /// When it was observed, in nanoseconds since the epoch; 0: when it was recorded.
    pub observed: u64,
}

const UNNAMED: Key<'static> = Key::Id(Id(0));

impl<'a> Details<'a> {
    /// Writes them as one field; `false` where there is no room.
    pub fn encode(&self, encoder: &mut Encoder<'_>) -> bool {
        encoder.nested(Key::Id(reserved::DETAILS), Tag::List, |encoder| {
            for number in [self.severity.into(), self.time, self.observed] {
                encoder.field((UNNAMED, Value::U64(number)));
            }
            for text in [self.text, self.event] {
                encoder.field((UNNAMED, text.map_or(Value::Null, Value::Str)));
            }
        })
    }

    /// When it happened and was observed, of a line recorded at `time`.
    pub fn times(&self, time: u64) -> (u64, u64) {
        let or = |given| if given == 0 { time } else { given };
        (or(self.time), or(self.observed))
    }

    /// Number and text, of a level that has these by itself.
    pub fn severity(&self, number: u8, text: &'a str) -> (u8, &'a str) {
        let own = if self.severity == number { text } else { "" };
        (self.severity, self.text.unwrap_or(own))
    }

    /// Reads what [`Details::encode`] wrote.
    pub fn read(mut list: read::List<'a>) -> Option<Self> {
        let mut number = || match list.next()? {
            read::Value::U64(number) => Some(number),
            _ => None,
        };
        let [severity, time, observed] = [number()?, number()?, number()?];
        let mut text = || match list.next() {
            Some(read::Value::Str(text, _)) => Some(text),
            _ => None,
        };
        let (text, event) = (text(), text());
        Some(Self { severity: severity as u8, text, event, time, observed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::read::Fields;
    use crate::record::words::Words;

    #[test]
    fn what_is_written_is_read() {
        for (text, event) in [(None, None), (Some("careful"), None), (None, Some("a.b"))] {
            let details = Details { severity: 24, text, event, time: 7, observed: u64::MAX };
            let mut words = Words::default();
            assert_eq!(words.append(1024, 1024, |encoder| details.encode(encoder)), Some(true));
            let (key, value) = Fields::over(words.bytes(), 1).next().unwrap();
            let (Key::Id(reserved::DETAILS), read::Value::List(list)) = (key, value) else {
                panic!("{key:?} {value:?}")
            };
            assert_eq!(Details::read(list), Some(details));
        }
    }

    #[test]
    fn what_is_not_given_is_the_line_s_own() {
        let bare = Details { severity: 13, text: None, event: None, time: 0, observed: 0 };
        assert_eq!((bare.times(5), bare.severity(13, "WARN")), ((5, 5), (13, "WARN")));
        let full = Details { severity: 14, text: Some("W"), time: 1, observed: 2, ..bare };
        assert_eq!((full.times(5), full.severity(13, "WARN")), ((1, 2), (14, "W")));
        assert_eq!(Details { severity: 14, ..bare }.severity(13, "WARN"), (14, ""));
    }
}
