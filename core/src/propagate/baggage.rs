//! The W3C `baggage` header: names and values that a program passes on to whom it calls.

use super::percent::{decode, encode};
use super::trimmed_str;

/// Members that are read and sent. At least 64 must be (W3C).
pub const MAX_MEMBERS: usize = 180;
/// Bytes that are read and sent. At least as many must be (W3C).
pub const MAX_BYTES: usize = 8192;

/// Members in their order, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baggage(Vec<Member>);

/// A name, its value, and what was said behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// A token.
    pub name: Box<str>,
    /// Any text.
    pub value: Box<str>,
    /// What follows the first `;`, passed on as it is.
    pub properties: Box<str>,
}

impl Baggage {
    /// Parses a header, or several joined by commas. Malformed members are left out, as are whole
    /// ones beyond the limits; of equal names the last counts.
    pub fn parse(header: &str) -> Self {
        let mut baggage = Self::default();
        let mut bytes = 0;
        for text in header.split(',').map(trimmed_str) {
            let Some(member) = Member::parse(text) else { continue };
            bytes += text.len() + usize::from(bytes > 0);
            if bytes > MAX_BYTES || baggage.0.len() == MAX_MEMBERS {
                break;
            }
            baggage.put(member);
        }
        baggage
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its members.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|member| &*member.name == name).map(|member| &*member.value)
    }

    /// Sets a value and what follows it; `false`, and nothing happens, where `name` is no token or
    /// `properties` cannot stand in a header.
    pub fn set(&mut self, name: &str, value: &str, properties: &str) -> bool {
        let properties = trimmed_str(properties);
        let fits = is_token(name) && are_properties(properties);
        if fits {
            let (name, value, properties) = (name.into(), value.into(), properties.into());
            self.put(Member { name, value, properties });
        }
        fits
    }

    /// Removes a name; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|member| &*member.name != name);
        self.0.len() < before
    }

    /// Sets all members of `other`.
    pub fn extend(&mut self, other: &Self) {
        other.iter().for_each(|member| self.put(member.clone()));
    }

    fn put(&mut self, member: Member) {
        match self.0.iter_mut().find(|other| other.name == member.name) {
            Some(other) => *other = member,
            None => self.0.push(member),
        }
    }

    /// What is passed on; `None` where there is nothing. Members beyond the limits are left out.
    pub fn header(&self) -> Option<String> {
        let mut header = String::new();
        for member in self.0.iter().take(MAX_MEMBERS) {
            let before = header.len();
            if before > 0 {
                header.push(',');
            }
            header.push_str(&member.name);
            header.push('=');
            encode(&member.value, is_octet, &mut header);
            if !member.properties.is_empty() {
                header.push(';');
                header.push_str(&member.properties);
            }
            if header.len() > MAX_BYTES {
                header.truncate(before);
                break;
            }
        }
        (!header.is_empty()).then_some(header)
    }
}

impl Member {
    fn parse(text: &str) -> Option<Self> {
        let (pair, properties) = text.split_once(';').unwrap_or((text, ""));
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (trimmed_str(name), trimmed_str(value));
        let properties = trimmed_str(properties);
        let sound = is_token(name) && value.bytes().all(is_octet) && are_properties(properties);
        sound.then(|| Self {
            name: name.into(),
            value: decode(value).into(),
            properties: properties.into(),
        })
    }
}

/// A token of HTTP (RFC 7230).
pub fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c))
}

/// What a value is made of: visible ASCII without quotes, commas, semicolons and backslashes.
fn is_octet(c: u8) -> bool {
    c.is_ascii_graphic() && !b"\",;\\".contains(&c)
}

/// Opaque, but nothing that would end the member or the header.
fn are_properties(text: &str) -> bool {
    text.bytes().all(|c| (c.is_ascii_graphic() || c == b' ' || c == b'\t') && c != b',')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_read_by_the_letter() {
        let read = Baggage::parse("a = 1 ; p ; q = 2, b=x=y=,c=%C3%A9%20, =1,d,e=\"1\",a b=1,a=2");
        let all: Vec<_> =
            read.iter().map(|m| (&*m.name, &*m.value, &*m.properties)).collect::<Vec<_>>();
        assert_eq!(all, [("a", "2", ""), ("b", "x=y=", ""), ("c", "é ", "")]);
        assert_eq!(read.header().unwrap(), "a=2,b=x=y=,c=%C3%A9%20");
        assert_eq!(Baggage::parse("k=v ; p1 ;p2=x").header().unwrap(), "k=v;p1 ;p2=x");
        assert_eq!(Baggage::parse("k=").get("k"), Some(""));
        assert_eq!(Baggage::parse("").header(), None);
    }

    #[test]
    fn limits_leave_whole_members_out() {
        let header = |count: usize, bytes: usize| {
            let member = |i| format!("k{i:03}={}", "v".repeat(bytes - 5));
            (0..count).map(member).collect::<Vec<_>>().join(",")
        };
        for (count, bytes, kept) in [(64, 127, 64), (180, 10, 180), (181, 10, 180), (65, 200, 40)] {
            let read = Baggage::parse(&header(count, bytes));
            assert_eq!(read.iter().count(), kept, "{count} of {bytes}");
            assert_eq!(read.header().unwrap(), header(kept, bytes));
        }
        let mut large = Baggage::default();
        assert!(large.set("small", "1", "") && large.set("large", &"é".repeat(2000), ""));
        assert_eq!(large.header().unwrap(), "small=1");
        assert!(
            !large.set("no token", "1", "") && !large.set("a", "1", "x,y") && !large.remove("a")
        );
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "Miri takes minutes to read a pattern")]
        fn any_text_comes_back(
            members in prop::collection::vec(("[a-zA-Z0-9!#$&'*+.^_`|~-]{1,8}", ".{0,20}"), 0..20),
        ) {
            let mut baggage = Baggage::default();
            for (name, value) in &members {
                prop_assert!(baggage.set(name, value, "p;q=1"));
            }
            let header = baggage.header().unwrap_or_default();
            prop_assert!(header.bytes().all(|c| c.is_ascii_graphic()));
            prop_assert_eq!(Baggage::parse(&header), baggage);
        }

        #[test]
        #[cfg_attr(miri, ignore = "Miri takes minutes to read a pattern")]
        fn nothing_breaks_it(header in "[a-c=;, \t%0-9\u{0}-\u{ff}]{0,80}") {
            let read = Baggage::parse(&header);
            let again = Baggage::parse(&read.header().unwrap_or_default());
            prop_assert_eq!(again, read);
        }
    }
}
