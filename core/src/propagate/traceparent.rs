//! The W3C `traceparent` header: `version-traceid-spanid-flags`, all lower-case hexadecimal.

use super::trimmed;
use crate::ids::{SpanId, TraceId};
use crate::span::{SAMPLED, SpanContext};

/// Length of the header in version 00, the one that is written.
pub const LEN: usize = 55;
/// The flags of version 00 and of level 2: sampled, and a random trace id.
pub(super) const KNOWN_FLAGS: u8 = SAMPLED | 2;

/// Parses a header, white space around it aside; `None` for anything malformed. A higher version may say more behind a dash.
pub fn parse(header: &[u8]) -> Option<SpanContext> {
    let header = trimmed(header);
    let (fixed, rest) = header.split_at_checked(LEN)?;
    let dashes = [2, 35, 52].into_iter().all(|at| fixed[at] == b'-');
    let version = byte(&fixed[..2])?;
    let rest_fits = if version == 0 { rest.is_empty() } else { matches!(rest, [] | [b'-', ..]) };
    if !dashes || version == 0xff || !rest_fits {
        return None;
    }
    Some(SpanContext {
        trace_id: TraceId::from_hex(&fixed[3..35])?,
        span_id: SpanId::from_hex(&fixed[36..52])?,
        trace_flags: byte(&fixed[53..])? & KNOWN_FLAGS,
        remote: true,
    })
}

/// Writes the header; `None` for a context without ids.
pub fn format(context: &SpanContext) -> Option<[u8; LEN]> {
    if !context.is_valid() {
        return None;
    }
    let mut header = *b"00-................................-................-00";
    header[3..35].copy_from_slice(&context.trace_id.hex());
    header[36..52].copy_from_slice(&context.span_id.hex());
    header[54] = b'0' + (context.trace_flags & KNOWN_FLAGS);
    Some(header)
}

fn byte(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    Some(digit(digits[0])? << 4 | digit(digits[1])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn there_and_back() {
        let context = parse(HEADER).unwrap();
        assert!(context.remote && context.is_sampled());
        assert_eq!(format(&context).unwrap(), HEADER);
        assert_eq!(format(&SpanContext::default()), None);
        let spaced = [b" ", HEADER, b"\t"].concat();
        assert_eq!(parse(&spaced), Some(context));
    }

    #[test]
    fn later_versions_may_say_more() {
        let with = |version: &[u8], rest: &[u8]| parse(&[version, &HEADER[2..], rest].concat());
        assert!(with(b"cc", b"").is_some());
        assert!(with(b"cc", b"-what-the-future-will-be-like").is_some());
        assert!(with(b"cc", b".what-the-future").is_none());
        assert!(with(b"00", b"-more").is_none());
        assert!(with(b"ff", b"").is_none());
    }

    #[test]
    fn anything_else_is_refused() {
        for at in 0..LEN {
            for wrong in [b'-', b'0', b'G', b'A', 0x80] {
                let mut header = HEADER.to_vec();
                let right = if matches!(at, 2 | 35 | 52) { b'-' } else { b'0' };
                header[at] = wrong;
                assert_eq!(parse(&header).is_some(), wrong == right, "{at} {wrong}");
            }
            assert_eq!(parse(&HEADER[..at]), None);
        }
        assert_eq!(parse(&[&HEADER[..3], &[b'0'; 32], &HEADER[35..]].concat()), None);
        assert_eq!(parse(&[&HEADER[..36], &[b'0'; 16], &HEADER[52..]].concat()), None);
    }
}
