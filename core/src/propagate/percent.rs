//! Percent-encoded UTF-8 in header values.

use std::borrow::Cow;

/// Appends `text`; bytes that are not `plain`, and `%`, are encoded.
pub(super) fn encode(text: &str, plain: fn(u8) -> bool, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if plain(byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// The text that `encoded` stands for. A `%` without two digits stands for itself; what is not
/// UTF-8 becomes U+FFFD.
pub(super) fn decode(encoded: &str) -> Cow<'_, str> {
    if !encoded.contains('%') {
        return Cow::Borrowed(encoded);
    }
    let bytes = encoded.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| Some((hex(pair[0])?, hex(pair[1])?)));
        match pair {
            Some((high, low)) if bytes[at] == b'%' => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut out = String::new();
        encode("a%é\u{1F600} =", |byte| byte.is_ascii_alphanumeric(), &mut out);
        assert_eq!(out, "a%25%C3%A9%F0%9F%98%80%20%3D");
        assert_eq!(decode(&out), "a%é\u{1F600} =");
        assert_eq!(decode("%c3%A9%4"), "é%4");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%ff"), "%zz\u{FFFD}");
        assert_eq!(decode("%+1"), "%+1");
    }
}
