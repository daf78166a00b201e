//! The `Range` header, as OSS reads it.
//!
//! One range of bytes. A header that is malformed, of another unit or of several ranges is ignored
//! and the whole object answered, status 200: an image's download must not fail for a header that
//! HTTP lets a server ignore. Only a well-formed range that no byte lies in is refused, status 416.

/// What to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The whole object, status 200.
    Whole,
    /// A part of it, status 206.
    Part(Part),
    /// Nothing, status 416 and code `InvalidRange`; `Content-Range` is [`unsatisfied`].
    Unsatisfiable,
}

/// A part of an object: never empty, never past its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first byte's offset.
    pub first: u64,
    /// The last byte's offset, itself part of it.
    pub last: u64,
}

impl Part {
    /// The part's length in bytes; at least one.
    pub fn size_bytes(self) -> u64 {
        // `last` is below an object's size, so this does not overflow.
        self.last - self.first + 1
    }

    /// The value of `Content-Range` for an object of `size_bytes`.
    pub fn content_range(self, size_bytes: u64) -> String {
        format!("bytes {}-{}/{size_bytes}", self.first, self.last)
    }
}

/// The value of `Content-Range` beside status 416.
pub fn unsatisfied(size_bytes: u64) -> String {
    format!("bytes */{size_bytes}")
}

/// What the header `range`, where there is one, asks of an object of `size_bytes`.
pub fn answer(range: Option<&str>, size_bytes: u64) -> Answer {
    let Some((first, last)) = range.and_then(one_range) else {
        return Answer::Whole;
    };
    let part = match (first, last) {
        (Some(first), Some(last)) if first > last => return Answer::Whole,
        (Some(first), last) => size_bytes
            .checked_sub(1)
            .filter(|&end| first <= end)
            .map(|end| Part { first, last: last.unwrap_or(end).min(end) }),
        (None, Some(suffix)) => size_bytes
            .checked_sub(1)
            .filter(|_| suffix > 0)
            .map(|end| Part { first: size_bytes.saturating_sub(suffix), last: end }),
        (None, None) => return Answer::Whole,
    };
    part.map_or(Answer::Unsatisfiable, Answer::Part)
}

/// The two numbers of `bytes=a-b`; `None` where the header is to be ignored.
fn one_range(range: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = range.trim().split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    Some((number(first)?, number(last)?))
}

/// `Some(None)` where there is none. A number too large for any object is past its end, which is
/// a fact about the object and no fault of the header.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten(range: &str) -> Answer {
        answer(Some(range), 10)
    }

    #[test]
    fn the_three_kinds_of_range() {
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=2-5", 2, 5),
            ("bytes=2-", 2, 9),
            ("bytes=9-9", 9, 9),
            ("bytes=-3", 7, 9),
            ("bytes=-10", 0, 9),
            ("bytes=-11", 0, 9),
            ("bytes=5-10", 5, 9),
            ("bytes=5-99999999999999999999999", 5, 9),
            ("Bytes=1-2", 1, 2),
        ] {
            let part = Part { first, last };
            assert_eq!(ten(range), Answer::Part(part), "{range}");
            assert_eq!(part.content_range(10), format!("bytes {first}-{last}/10"));
            assert_eq!(part.size_bytes(), last - first + 1);
        }
    }

    #[test]
    fn what_no_byte_lies_in_is_refused() {
        for range in ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(ten(range), Answer::Unsatisfiable, "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(answer(Some(range), 0), Answer::Unsatisfiable, "{range} of an empty object");
        }
        assert_eq!(unsatisfied(10), "bytes */10");
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5",
            "bytes=5-2",
            "bytes=+1-2",
            "bytes=1-2,4-5",
            "bytes=a-b",
            "bytes=1 -2",
            "lines=1-2",
            "bytes=1--2",
            "bytes=１-2",
        ] {
            assert_eq!(ten(range), Answer::Whole, "{range}");
        }
        assert_eq!(answer(None, 10), Answer::Whole);
        let all = Answer::Part(Part { first: 0, last: u64::MAX - 1 });
        assert_eq!(answer(Some("bytes=0-"), u64::MAX), all);
    }
}
