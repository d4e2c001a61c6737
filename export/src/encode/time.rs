//! Nanoseconds since the epoch to RFC 3339 in UTC.

use coati_core::clock::Timeline;

use super::line::Line;
use super::number::nine;

/// Turns recorded times into wall time.
#[derive(Debug)]
pub struct Clock<'a> {
    /// What knows the ticks.
    pub timeline: &'a Timeline,
}

impl Clock<'_> {
    /// Wall time of an event or span, given in ticks or marked as wall time.
    pub fn wall_ns(&self, time: u64) -> u64 {
        if time & coati_core::record::WALL_TIME == 0 {
            self.timeline.wall_ns(time)
        } else {
            time & !coati_core::record::WALL_TIME
        }
    }
}

/// Appends `2026-01-31T23:59:59.123456789Z`.
pub fn rfc3339(wall_ns: u64, out: &mut Vec<u8>) {
    let (seconds, nanos) = (wall_ns / 1_000_000_000, wall_ns % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    pair(&mut text, 0, year / 100);
    pair(&mut text, 2, year % 100);
    pair(&mut text, 5, month);
    pair(&mut text, 8, day);
    pair(&mut text, 11, second / 3600);
    pair(&mut text, 14, second / 60 % 60);
    pair(&mut text, 17, second % 60);
    text[20] = b'0' + (nanos / 100_000_000) as u8;
    pair(&mut text, 21, nanos / 1_000_000 % 100);
    pair(&mut text, 23, nanos / 10_000 % 100);
    pair(&mut text, 25, nanos / 100 % 100);
    pair(&mut text, 27, nanos % 100);
    out.extend_from_slice(&text);
}

const SECOND: u64 = 1_000_000_000;

/// Writes times as [`rfc3339`] does, and keeps the text of the last second.
#[derive(Debug)]
pub struct Seconds {
    /// When it began.
    begin: u64,
    /// `2026-01-31T23:59:59.`
    text: [u8; 20],
}

impl Default for Seconds {
    fn default() -> Self {
        Self { begin: 0, text: *b"1970-01-01T00:00:00." }
    }
}

impl Seconds {
    /// Appends the time and a quote.
    #[inline(always)]
    pub fn put(&mut self, wall_ns: u64, line: &mut Line<'_>) {
        let mut nanos = wall_ns.wrapping_sub(self.begin);
        if nanos >= SECOND {
            nanos = self.turn(wall_ns);
        }
        line.put(&self.text);
        nine(nanos, line);
        line.put(b"Z\"");
    }

    #[cold]
    #[inline(never)]
    fn turn(&mut self, wall_ns: u64) -> u64 {
        let mut text = Vec::with_capacity(30);
        rfc3339(wall_ns, &mut text);
        self.text.copy_from_slice(&text[..20]);
        let nanos = wall_ns % SECOND;
        self.begin = wall_ns - nanos;
        nanos
    }
}

/// Two digits at once: no division waits for the one before it.
#[inline(always)]
fn pair(text: &mut [u8; 30], at: usize, number: u64) {
    text[at] = b'0' + (number / 10 % 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, `civil_from_days`).
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(wall_ns: u64) -> String {
        let mut out = Vec::new();
        rfc3339(wall_ns, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_kept_second_writes_the_same() {
        let mut seconds = Seconds::default();
        let begin = 1_709_251_199 * SECOND;
        let near = [0, 1, 7, SECOND - 1, SECOND, SECOND + 123_456_789, 3 * SECOND, 5, u64::MAX];
        for wall_ns in near.into_iter().flat_map(|after| [begin.saturating_add(after), after]) {
            let mut out = Vec::new();
            let mut line = Line::new(&mut out);
            seconds.put(wall_ns, &mut line);
            line.finish();
            assert_eq!(String::from_utf8(out).unwrap(), text(wall_ns) + "\"");
        }
    }

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(text(1_709_251_199_999_999_999), "2024-02-29T23:59:59.999999999Z");
        assert_eq!(text(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000000000Z");
    }
}
