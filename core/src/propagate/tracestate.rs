//! The W3C `tracestate` header: what vendors have to say of a trace, the latest one first.

use std::borrow::Cow;

use super::trimmed_str;

/// Members that a list may have.
pub const MAX_MEMBERS: usize = 32;
/// As many characters are passed on whatever they are.
const SENT: usize = 512;
/// Members longer than this are the first to go.
const LONG: usize = 128;
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 256;

/// A list of at least one member, in its normal form: `key=value,key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(Box<str>);

impl TraceState {
    /// Parses a header, or several joined by commas. `None` where nothing is said, and where
    /// anything is malformed: a list is passed on as it is or not at all.
    pub fn parse(header: &str) -> Option<Self> {
        let members = || header.split(',').map(trimmed_str).filter(|member| !member.is_empty());
        let mut keys = [""; MAX_MEMBERS];
        let mut count = 0;
        for member in members() {
            let (key, value) = member.split_once('=')?;
            if count == MAX_MEMBERS || !is_key(key) || !is_value(value) {
                return None;
            }
            if keys[..count].contains(&key) {
                return None;
            }
            keys[count] = key;
            count += 1;
        }
        if count == 0 {
            return None;
        }
        let mut text = String::with_capacity(header.len());
        for member in members() {
            push(&mut text, member);
        }
        Some(Self(text.into()))
    }

    /// The whole list.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Keys and values, the latest first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(',').filter_map(|member| member.split_once('='))
    }

    /// The value of one key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The list with a member set, which then is the first one; `None` for a bad key or value. Of
    /// too many members the last one goes.
    pub fn with(state: Option<&Self>, key: &str, value: &str) -> Option<Self> {
        if !is_key(key) || !is_value(value) {
            return None;
        }
        let mut text = format!("{key}={value}");
        let others = state.iter().flat_map(|state| state.0.split(','));
        let others = others.filter(|member| key_of(member) != key);
        others.take(MAX_MEMBERS - 1).for_each(|member| push(&mut text, member));
        Some(Self(text.into()))
    }

    /// The list without a member; `None` where none is left.
    pub fn without(&self, key: &str) -> Option<Self> {
        let mut text = String::with_capacity(self.0.len());
        let others = self.0.split(',').filter(|member| key_of(member) != key);
        others.for_each(|member| push(&mut text, member));
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// What is passed on. Of a long list whole members are left out, long ones first and then from
    /// the right, as long as 512 characters remain.
    pub fn header(&self) -> Cow<'_, str> {
        if self.0.len() <= SENT {
            return Cow::Borrowed(&self.0);
        }
        let mut members: Vec<&str> = self.0.split(',').collect();
        let mut length = self.0.len();
        while length > SENT {
            let long = members.iter().rposition(|member| member.len() > LONG);
            let next = long.unwrap_or(members.len() - 1);
            let left = length.saturating_sub(members[next].len() + 1);
            if left < SENT {
                break;
            }
            length = left;
            members.remove(next);
        }
        Cow::Owned(members.join(","))
    }
}

fn push(text: &mut String, member: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(member);
}

fn key_of(member: &str) -> &str {
    member.split_once('=').map_or(member, |(key, _)| key)
}

fn is_key(key: &str) -> bool {
    let begins = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    key.len() <= MAX_KEY
        && key.as_bytes().first().is_some_and(begins)
        && key.bytes().all(|c| begins(&c) || b"_-*/@".contains(&c))
}

fn is_value(value: &str) -> bool {
    (1..=MAX_VALUE).contains(&value.len())
        && !value.ends_with(' ')
        && value.bytes().all(|c| matches!(c, b' '..=b'~') && c != b',' && c != b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> TraceState {
        TraceState::parse(text).unwrap()
    }

    #[test]
    fn a_member_that_is_set_moves_to_the_left() {
        let state = parsed("a=1, b=2 ,\t,c=3,");
        assert_eq!(state.as_str(), "a=1,b=2,c=3");
        assert_eq!(TraceState::with(Some(&state), "b", "x y").unwrap().as_str(), "b=x y,a=1,c=3");
        assert_eq!(TraceState::with(Some(&state), "d", "4").unwrap().as_str(), "d=4,a=1,b=2,c=3");
        assert_eq!(TraceState::with(None, "d", "4").unwrap().as_str(), "d=4");
        for (key, value) in [("D", "1"), ("d", "a,b"), ("d", ""), ("d", "x "), ("", "1")] {
            assert_eq!(TraceState::with(None, key, value), None, "{key}={value}");
        }
        assert_eq!(state.without("a").unwrap().as_str(), "b=2,c=3");
        assert_eq!(parsed("a=1").without("a"), None);
        assert_eq!(state.get("c"), Some("3"));
    }

    #[test]
    fn one_member_more_pushes_the_last_one_out() {
        let full: Vec<String> = (0..MAX_MEMBERS).map(|i| format!("k{i}=v")).collect();
        let state = parsed(&full.join(","));
        let more = TraceState::with(Some(&state), "new", "1").unwrap();
        assert_eq!(more.iter().count(), MAX_MEMBERS);
        assert_eq!(more.get("k31"), None);
        assert_eq!(TraceState::parse(&format!("{},x=1", full.join(","))), None);
    }

    #[test]
    fn of_a_long_list_long_members_go_first_and_then_the_last() {
        let long = |key: &str| format!("{key}={}", "v".repeat(200));
        let short: Vec<String> = (0..20).map(|i| format!("k{i:02}={}", "v".repeat(26))).collect();
        let list = parsed(&format!("{},{},{}", long("x"), short.join(","), long("y")));
        let sent = list.header();
        // 20 members of 30 characters are 619; without three of them 526 would be left.
        assert_eq!(sent, short[..17].join(","));
        let two = parsed(&format!("a={},b={}", "v".repeat(250), "v".repeat(250)));
        assert_eq!(two.header(), two.as_str());
        let three = parsed(&format!("a={0},b={0},c={0}", "v".repeat(256)));
        assert_eq!(three.header(), format!("a={0},b={0}", "v".repeat(256)));
    }

    fn member() -> impl Strategy<Value = (String, String)> {
        let chars = |from: &'static str, at_most: usize| {
            let one = prop::sample::select(from.chars().collect::<Vec<_>>());
            prop::collection::vec(one, 1..at_most).prop_map(|all| all.into_iter().collect())
        };
        let value = chars(" !azAZ09~;:%\"\\", 60);
        (chars("az09", 30), value.prop_map(|value: String| format!("{value}.")))
    }

    proptest! {
        #[test]
        fn what_is_set_is_found_after_it_was_sent(
            members in prop::collection::vec(member(), 1..if cfg!(miri) { 4 } else { 40 }),
        ) {
            let mut state = None;
            for (key, value) in &members {
                state = TraceState::with(state.as_ref(), key, value);
            }
            let state = state.unwrap();
            prop_assert_eq!(state.get(&members.last().unwrap().0), Some(&*members.last().unwrap().1));
            let again = parsed(state.as_str());
            prop_assert_eq!(&again, &state);
            let sent = state.header().into_owned();
            let again = parsed(&sent);
            prop_assert_eq!(again.header(), &*sent);
            prop_assert!(sent.len() >= state.as_str().len().min(SENT));
            prop_assert!(sent.split(',').all(|member| state.as_str().contains(member)));
        }

        #[test]
        #[cfg_attr(miri, ignore = "Miri takes minutes to read a pattern")]
        fn nothing_breaks_it(header in "[a-c0-9=, \t\"*@/~\u{0}-\u{ff}]{0,80}") {
            if let Some(state) = TraceState::parse(&header) {
                prop_assert_eq!(TraceState::parse(state.as_str()), Some(state));
            }
        }
    }
}
