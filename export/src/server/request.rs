//! What a client asks.

/// A GET or HEAD request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Whether only the head of the answer is wanted.
    pub head_only: bool,
    /// The path, without its query.
    pub path: String,
    /// The `Accept` header, several of them joined; empty for none.
    pub accept: String,
    /// The `Accept-Encoding` header, likewise.
    pub accept_encoding: String,
    /// The `Authorization` header.
    pub(super) authorization: Vec<u8>,
}

const MOST_HEADERS: usize = 64;

impl Request {
    /// The request once its head is complete; the status to answer if it is a bad one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, u16> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Partial) => return Ok(None),
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(431),
            Err(_) => return Err(400),
        }
        let head_only = match request.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Err(405),
        };
        let path = path_of(request.path.unwrap_or_default()).ok_or(400u16)?.to_owned();
        let mut whole = Self { head_only, path, ..Self::default() };
        for header in request.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let join = |all: &mut String| {
                if !all.is_empty() {
                    all.push(',');
                }
                all.push_str(&String::from_utf8_lossy(header.value));
            };
            if is("accept") {
                join(&mut whole.accept);
            } else if is("accept-encoding") {
                join(&mut whole.accept_encoding);
            } else if is("authorization") {
                whole.authorization = header.value.to_vec();
            }
        }
        Ok(Some(whole))
    }

    /// Whether the client takes gzip.
    pub(super) fn takes_gzip(&self) -> bool {
        let mut any = false;
        for range in self.accept_encoding.split(',') {
            let (coding, rest) = range.split_once(';').unwrap_or((range, ""));
            let given = rest.split(';').find_map(|part| part.trim().strip_prefix("q="));
            let wanted = given.is_none_or(|given| weight(given) > 0);
            match coding.trim() {
                coding if coding.eq_ignore_ascii_case("gzip") => return wanted,
                "*" => any = wanted,
                _ => {}
            }
        }
        any
    }
}

/// Thousandths of a weight from 0 to 1; anything else counts as 0.
pub fn weight(text: &str) -> u32 {
    match text.trim().parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0).round() as u32,
        _ => 0,
    }
}

/// The path of a request target, which may be a whole URL, without its query.
fn path_of(target: &str) -> Option<&str> {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let path = path.split(['?', '#']).next()?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_name_are_joined() {
        let bytes = b"GET /a?b HTTP/1.1\r\nACCEPT: x\r\nx: y\r\nAccept: z;q=0.1\r\n\
                      accept-encoding: gzip\r\nAuthorization: Basic x\r\n\r\n";
        let request = Request::parse(bytes).unwrap().unwrap();
        assert_eq!((&*request.path, &*request.accept), ("/a", "x,z;q=0.1"));
        assert!(request.takes_gzip() && request.authorization == b"Basic x");
    }

    #[test]
    fn gzip_only_for_those_who_take_it() {
        let takes = |header: &str| {
            Request { accept_encoding: header.into(), ..Request::default() }.takes_gzip()
        };
        let takers = ["gzip", "deflate, GZIP;q=0.5", "*", "br;q=1, *;q=0.1", "gzip, *;q=0"];
        let others = ["", "identity", "gzip;q=0", "gzip;q=0, *", "*;q=0", "gzipped", "gzip;q=x"];
        assert!(takers.into_iter().all(takes));
        assert!(!others.into_iter().any(takes));
    }
}
