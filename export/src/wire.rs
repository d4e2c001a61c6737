//! The protobuf wire format, as far as it is needed here: writing, and reading answers.

/// Appends a number in base 128.
#[inline(always)]
pub fn varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x4000 => out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]),
        _ => long_varint(value, out),
    }
}

#[inline(never)]
fn long_varint(mut value: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; 10];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// Bytes that [`varint`] takes.
#[inline(always)]
pub fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// A signed number with its sign in the lowest bit.
pub fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

/// The same for wider numbers.
pub fn zigzag_wide(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Appends tag and length of a field of bytes; `tag` is the whole key, wire type included.
#[inline(always)]
pub fn head(tag: u8, len: usize, out: &mut Vec<u8>) {
    out.push(tag);
    varint(len as u64, out);
}

/// Appends a field of bytes.
#[inline(always)]
pub fn bytes(tag: u8, value: &[u8], out: &mut Vec<u8>) {
    head(tag, value.len(), out);
    out.extend_from_slice(value);
}

/// Appends a field of a 64-bit number.
#[inline(always)]
pub fn fixed64(tag: u8, value: u64, out: &mut Vec<u8>) {
    let mut field = [tag; 9];
    field[1..].copy_from_slice(&value.to_le_bytes());
    out.extend_from_slice(&field);
}

/// Appends a field of a number in base 128, unless it is zero.
#[inline(always)]
pub fn number(tag: u8, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(tag);
        varint(value, out);
    }
}

/// Appends a message whose length is known only once `write` has written it.
#[inline(always)]
pub fn message(tag: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    // Room for a length under 16384; others are moved.
    out.extend_from_slice(&[tag, 0, 0]);
    let begin = out.len();
    write(out);
    let len = out.len() - begin;
    if (0x80..0x4000).contains(&len) {
        out[begin - 2] = len as u8 | 0x80;
        out[begin - 1] = (len >> 7) as u8;
    } else {
        move_message(out, begin, len);
    }
}

/// The same for a message that most likely is shorter than 128 bytes.
#[inline(always)]
pub fn short_message(tag: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[tag, 0]);
    let begin = out.len();
    write(out);
    let len = out.len() - begin;
    if len < 0x80 {
        out[begin - 1] = len as u8;
    } else {
        lengthen(out, begin, len);
    }
}

#[cold]
#[inline(never)]
fn lengthen(out: &mut Vec<u8>, begin: usize, len: usize) {
    let wide = varint_len(len as u64);
    out.extend_from_slice(&[0; 10][..wide - 1]);
    out.copy_within(begin..begin + len, begin + wide - 1);
    write_len(&mut out[begin - 1..begin - 1 + wide], len);
}

/// Fills `place` with `len`.
fn write_len(place: &mut [u8], len: usize) {
    let last = place.len() - 1;
    for (i, byte) in place.iter_mut().enumerate() {
        *byte = (len >> (7 * i)) as u8 & 0x7f | if i < last { 0x80 } else { 0 };
    }
}

#[cold]
#[inline(never)]
fn move_message(out: &mut Vec<u8>, begin: usize, len: usize) {
    if len < 0x80 {
        out.copy_within(begin.., begin - 1);
        out.pop();
        out[begin - 2] = len as u8;
        return;
    }
    let wide = varint_len(len as u64);
    out.extend_from_slice(&[0; 10][..wide - 2]);
    out.copy_within(begin..begin + len, begin + wide - 2);
    write_len(&mut out[begin - 2..begin - 2 + wide], len);
}

/// A field of a message that is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field<'a> {
    /// Of any number.
    Number(u64),
    /// Of bytes, a text or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers; ends at the first byte that is none.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub fn of(message: &'a [u8]) -> Self {
        Self { bytes: message }
    }

    /// Whether all that was left has been read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn part(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.part(1)?[0];
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = *self;
        let key = rest.varint()?;
        let field = match key & 7 {
            0 => Field::Number(rest.varint()?),
            1 => Field::Number(u64::from_le_bytes(rest.part(8)?.try_into().ok()?)),
            2 => {
                let len = usize::try_from(rest.varint()?).ok()?;
                Field::Bytes(rest.part(len)?)
            }
            5 => Field::Number(u32::from_le_bytes(rest.part(4)?.try_into().ok()?).into()),
            _ => return None,
        };
        *self = rest;
        Some((u32::try_from(key >> 3).ok()?, field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            varint(value, &mut out);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(Fields::of(&out).varint(), Some(value));
        }
        assert_eq!([0, -1, 1, -2, i32::MIN].map(zigzag), [0, 1, 2, 3, u64::from(u32::MAX)]);
        assert_eq!(
            [0, -1, 1, i64::MAX, i64::MIN].map(zigzag_wide),
            [0, 1, 2, u64::MAX - 1, u64::MAX]
        );
    }

    #[test]
    fn a_message_of_any_length_has_the_shortest_length_prefix() {
        for len in [0, 1, 127, 128, 16383, 16384, 2_097_151, 2_097_152] {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut out = vec![7];
            message(0x12, &mut out, |out| out.extend_from_slice(&body));
            assert_eq!(out.len(), 2 + varint_len(len as u64) + len);
            assert_eq!(Fields::of(&out[1..]).next(), Some((2, Field::Bytes(&body))));
            let mut short = vec![7];
            short_message(0x12, &mut short, |out| out.extend_from_slice(&body));
            assert_eq!(short, out);
        }
    }

    #[test]
    fn broken_messages_end_the_reading() {
        for broken in [&[0x12, 5, 1][..], &[0x0b], &[0xff; 11], &[0x09, 1]] {
            let mut fields = Fields::of(broken);
            assert_eq!(fields.next(), None);
            assert!(!fields.is_empty());
        }
    }
}
