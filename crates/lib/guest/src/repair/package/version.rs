//! Versions in the order of dpkg and of rpm, and what a package asks of another one's version.
//!
//! Sources: deb-version(7) and lib/dpkg/version.c; rpm rpmio/rpmvercmp.c and lib/rpmds.c.

use std::cmp::Ordering;

use super::Kind;

/// What a package asks for: a name, and perhaps a bound on its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    /// A package, or what one provides.
    pub(crate) name: String,
    /// The bound.
    pub(crate) bound: Option<(Bound, String)>,
}

/// How a version is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Bound {
    /// As Debian and rpm write them. The one-letter forms mean "or equal" in Debian's old packages,
    /// and strictly so in rpm's.
    pub(crate) fn of(text: &str, kind: Kind) -> Option<Self> {
        Some(match (text, kind) {
            ("<<", _) | ("<", Kind::Rpm) => Self::Less,
            ("<=", _) | ("<", Kind::Deb) => Self::LessOrEqual,
            ("=" | "==", _) => Self::Equal,
            (">=", _) | (">", Kind::Deb) => Self::GreaterOrEqual,
            (">>", _) | (">", Kind::Rpm) => Self::Greater,
            _ => return None,
        })
    }

    fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.bound {
            Some((bound, version)) => write!(f, "{} ({} {version})", self.name, bound.sign()),
            None => f.write_str(&self.name),
        }
    }
}

impl Relation {
    /// Whether something of that name and `version` will do. A virtual package of Debian that has
    /// no version meets no bound; one of rpm meets all.
    pub(crate) fn is_met_by(&self, name: &str, version: Option<&str>, kind: Kind) -> bool {
        if self.name != name {
            return false;
        }
        match (&self.bound, version) {
            (None, _) => true,
            (Some(_), None) => kind == Kind::Rpm,
            (Some((bound, wanted)), Some(version)) => {
                bound.admits(compare_to_bound(version, wanted, kind))
            }
        }
    }
}

/// Two versions of one package.
pub(crate) fn compare(a: &str, b: &str, kind: Kind) -> Ordering {
    let ((epoch_a, a), (epoch_b, b)) = (epoch(a), epoch(b));
    let segments = match kind {
        Kind::Deb => debian_segments,
        Kind::Rpm => rpm_segments,
    };
    let ((version_a, release_a), (version_b, release_b)) = (release(a), release(b));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| segments(version_a.as_bytes(), version_b.as_bytes()))
        .then_with(|| segments(release_a.as_bytes(), release_b.as_bytes()))
}

/// rpm compares the release only where the bound has one.
fn compare_to_bound(version: &str, wanted: &str, kind: Kind) -> Ordering {
    let has_release = epoch(wanted).1.contains('-');
    match version.rsplit_once('-') {
        Some((without, _)) if kind == Kind::Rpm && !has_release => compare(without, wanted, kind),
        _ => compare(version, wanted, kind),
    }
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

fn release(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Text and numbers by turns. `~` sorts before the end, the end before letters, letters before the
/// rest.
fn debian_segments(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let is_text = |s: &[u8]| s.first().is_some_and(|byte| !byte.is_ascii_digit());
    while !a.is_empty() || !b.is_empty() {
        while is_text(a) || is_text(b) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order.is_ne() {
                return order;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let order = compare_numbers(&mut a, &mut b);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Runs of letters or digits; all else only separates. `~` sorts before the end, `^` after it and
/// before all else.
fn rpm_segments(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        (a, b) = (skip_separators(a), skip_separators(b));
        for (mark, order) in [(b'~', Ordering::Less), (b'^', Ordering::Less)] {
            let (in_a, in_b) = (a.first() == Some(&mark), b.first() == Some(&mark));
            match (in_a, in_b) {
                (true, true) => {
                    (a, b) = (&a[1..], &b[1..]);
                }
                // Only the end is before a caret.
                (true, false) if mark == b'^' && b.is_empty() => return Ordering::Greater,
                (false, true) if mark == b'^' && a.is_empty() => return Ordering::Less,
                (true, false) => return order,
                (false, true) => return order.reverse(),
                (false, false) => continue,
            }
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let (digits_a, digits_b) = (a[0].is_ascii_digit(), b[0].is_ascii_digit());
        let order = match (digits_a, digits_b) {
            (true, true) => compare_numbers(&mut a, &mut b),
            (false, false) => compare_letters(&mut a, &mut b),
            // Numbers are newer than letters.
            (in_a, _) => return if in_a { Ordering::Greater } else { Ordering::Less },
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
    &text[text.iter().position(is_part).unwrap_or(text.len())..]
}

/// Take a number off each, of any length.
fn compare_numbers(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let (number_a, number_b) =
        (take_while(a, u8::is_ascii_digit), take_while(b, u8::is_ascii_digit));
    let significant = |digits: &'_ [u8]| -> usize {
        digits.iter().position(|&digit| digit != b'0').unwrap_or(digits.len())
    };
    let number_a = &number_a[significant(number_a)..];
    let number_b = &number_b[significant(number_b)..];
    number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b))
}

fn compare_letters(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    take_while(a, u8::is_ascii_alphabetic).cmp(take_while(b, u8::is_ascii_alphabetic))
}

fn take_while<'a>(text: &mut &'a [u8], is_part: fn(&u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let (part, rest) = text.split_at(end);
    *text = rest;
    part
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const VERSIONS: &[&str] = &[
        "1",
        "1.0",
        "1.0-1",
        "1:0.1",
        "1.0~rc1",
        "1.0~rc1-1",
        "1.0a",
        "1.0+b",
        "1.0.1",
        "01.0",
        "2",
        "10",
        "1.0-1~bpo12+1",
        "1.0-1+deb12u4",
        "22.4.2-1",
        "22.4.2-1+deb12u4",
        "0",
        "a",
        "1a1",
        "1..0",
        "99999999999999999999999999",
        "1.el9",
        "1.el9_2",
        "1.10",
        "1.9",
        "5.14.0-70",
        "1.a.2",
    ];

    /// The tool is asked about every pair.
    #[test]
    fn debian_order_is_dpkgs() {
        for a in VERSIONS {
            for b in VERSIONS {
                let says = |relation: &str| {
                    let arguments = ["--compare-versions", a, relation, b];
                    Command::new("dpkg").args(arguments).output().unwrap().status.success()
                };
                let expected = match (says("lt"), says("eq")) {
                    (true, _) => Ordering::Less,
                    (_, true) => Ordering::Equal,
                    _ => Ordering::Greater,
                };
                assert_eq!(compare(a, b, Kind::Deb), expected, "{a} and {b}");
            }
        }
    }

    /// Cases of rpm's own tests (tests/rpmvercmp.at).
    #[test]
    fn rpm_order_is_rpms() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, expected) in [
            ("1.0", "1.0", Equal),
            ("1.0", "2.0", Less),
            ("2.0.1", "2.0", Greater),
            ("2.0.1a", "2.0.1", Greater),
            ("5.5p1", "5.5p10", Less),
            ("10xyz", "10.1xyz", Less),
            ("xyz10", "xyz10.1", Less),
            ("xyz.4", "8", Less),
            ("5.5p2", "5.6p1", Less),
            ("6.0.rc1", "6.0", Greater),
            ("10b2", "10a1", Greater),
            ("1.0aa", "1.0a", Greater),
            ("10.0001", "10.1", Equal),
            ("10.0001", "10.0039", Less),
            ("4.999.9", "5.0", Less),
            ("20101121", "20101122", Less),
            ("2_0", "2.0", Equal),
            ("a", "a+", Equal),
            ("1.0~rc1", "1.0", Less),
            ("1.0~rc1", "1.0~rc2", Less),
            ("1.0~rc1~git123", "1.0~rc1", Less),
            ("1.0^", "1.0", Greater),
            ("1.0^git1", "1.0^git2", Less),
            ("1.0^git1", "1.01", Less),
            ("1.0^20160101", "1.0.1", Less),
            ("1.0~rc1^git1", "1.0~rc1", Greater),
            ("1.0^git1~pre", "1.0^git1", Less),
            ("1:1.0-1", "2.0-1", Greater),
            ("1.0-2", "1.0-10", Less),
        ] {
            assert_eq!(compare(a, b, Kind::Rpm), expected, "{a} and {b}");
            assert_eq!(compare(b, a, Kind::Rpm), expected.reverse(), "{b} and {a}");
        }
    }

    #[test]
    fn bounds_are_met_or_not() {
        let relation = |sign: &str, version: &str, kind| Relation {
            name: "a".into(),
            bound: Bound::of(sign, kind).map(|bound| (bound, version.into())),
        };
        for (sign, wanted, version, kind, expected) in [
            (">=", "1.0", Some("1.0-1"), Kind::Rpm, true),
            ("=", "1.0", Some("1.0-1"), Kind::Rpm, true),
            ("=", "1.0", Some("1.0-1"), Kind::Deb, false),
            ("=", "1.0-2", Some("1.0-1"), Kind::Rpm, false),
            ("<<", "2~", Some("1.9"), Kind::Deb, true),
            ("<<", "2~", Some("2"), Kind::Deb, false),
            (">=", "1", None, Kind::Deb, false),
            (">=", "1", None, Kind::Rpm, true),
        ] {
            let relation = relation(sign, wanted, kind);
            let met = relation.is_met_by("a", version, kind);
            assert_eq!(met, expected, "{relation} by {version:?}");
            assert!(!relation.is_met_by("b", version, kind));
        }
    }
}
