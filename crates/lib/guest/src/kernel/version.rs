//! The order of kernel versions: RPM's, which GRUB, kernel-install and people use alike.

use std::cmp::Ordering;

/// Compare as `rpmvercmp` does: runs of digits as numbers, runs of letters as text, digits above
/// letters, `~` below everything, `^` above the end, what separates them without weight.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (separated(a), separated(b));
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() != y.is_ascii_digit() => {
                return x.is_ascii_digit().cmp(&y.is_ascii_digit());
            }
            _ => {}
        }
        let (run_a, rest_a) = run(a);
        let (run_b, rest_b) = run(b);
        let order = if run_a.first().is_some_and(u8::is_ascii_digit) {
            let (x, y) = (without_zeroes(run_a), without_zeroes(run_b));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            run_a.cmp(run_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn separated(text: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'~' && *byte != b'^';
    let n = text.iter().take_while(|byte| is_separator(byte)).count();
    &text[n..]
}

fn run(text: &[u8]) -> (&[u8], &[u8]) {
    let is_digits = text.first().is_some_and(u8::is_ascii_digit);
    let same =
        |byte: &&u8| if is_digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
    let n = text.iter().take_while(same).count();
    text.split_at(n)
}

fn without_zeroes(digits: &[u8]) -> &[u8] {
    let n = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[n..]
}

/// The first `N` numbers of a version (`2.6.18-398.el5` is `[2, 6, 18, 398]`); absent ones are 0.
pub(crate) fn numbers<const N: usize>(version: &str) -> [u64; N] {
    let mut numbers = [0; N];
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    for number in &mut numbers {
        *number = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_kernels_are_greater() {
        let rising = [
            "2.6.18-398.el5",
            "2.6.32-754.el6.x86_64",
            "3.10.0-9.el7",
            "3.10.0-1160.el7",
            "5.14.0~rc1",
            "5.14.0",
            "5.14.0-70.el9",
            "6.1.0-9-amd64",
            "6.1.0-40-amd64",
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        for (a, b) in [("1.0", "1_0"), ("1.01", "1.1"), ("a", "a"), ("", "-")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
        assert_eq!(compare("1.a", "1.1"), Ordering::Less, "digits are above letters");
    }

    #[test]
    fn numbers_of_a_version() {
        assert_eq!(numbers::<4>("2.6.18-398.el5"), [2, 6, 18, 398]);
        assert_eq!(numbers::<3>("7"), [7, 0, 0]);
    }
}
