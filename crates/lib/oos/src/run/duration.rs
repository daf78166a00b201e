//! Durations as templates write them: ISO 8601, where `PT` may be left out.

/// The longest wait: an execution is not for ever.
const MAX_SECONDS: u64 = 366 * 24 * 3600;

/// The seconds of a duration: `PT15M`, `1M` (a minute), `3s`, `1H2M`, `P1DT2H`.
///
/// # Errors
///
/// What is wrong with it; nothing and more than a year is wrong, too.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let refused =
        || format!("`{text}` is no duration; write PT30S, PT15M, PT2H or P1D, at least a second");
    let upper = text.trim().to_ascii_uppercase();
    let (days, times) = match upper.strip_prefix('P') {
        Some(rest) => match rest.split_once('T') {
            Some((days, times)) => (days, times),
            None => (rest, ""),
        },
        None => match upper.split_once('D') {
            Some(_) => return Err(refused()),
            None => ("", upper.as_str()),
        },
    };
    let mut seconds = 0_u64;
    for (part, units) in
        [(days, &[('D', 86_400)][..]), (times, &[('H', 3600), ('M', 60), ('S', 1)][..])]
    {
        let mut units = units.iter();
        let mut number = String::new();
        for letter in part.chars() {
            if letter.is_ascii_digit() {
                number.push(letter);
                continue;
            }
            // Units come in order, none twice: `1S1M` is a slip of the pen.
            let (_, each) = units.find(|(unit, _)| *unit == letter).ok_or_else(refused)?;
            let count: u64 = number.parse().map_err(|_| refused())?;
            number.clear();
            seconds = count
                .checked_mul(*each)
                .and_then(|more| seconds.checked_add(more))
                .ok_or_else(refused)?;
        }
        if !number.is_empty() {
            return Err(refused());
        }
    }
    match seconds {
        0 => Err(refused()),
        seconds if seconds > MAX_SECONDS => Err(format!("`{text}` is longer than a year")),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_all_spellings() {
        for (text, seconds) in [
            ("PT15M", 900),
            ("1M", 60),
            ("3s", 3),
            ("1H2M", 3720),
            ("P1D", 86_400),
            ("p1dt2h", 93_600),
            (" PT1S ", 1),
        ] {
            assert_eq!(parse_duration(text), Ok(seconds), "{text}");
        }
        for text in ["", "PT", "0S", "PT0M", "1", "1X", "1S1M", "1M1M", "-1M", "1.5M", "1D", "P1M"]
        {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains("is no duration"), "{text}: {error}");
        }
        assert_eq!(parse_duration("P367D"), Err("`P367D` is longer than a year".to_owned()));
        assert!(parse_duration("PT99999999999999999999S").is_err());
    }
}
