//! `standardizedtimezone`: the guest reads the hardware clock as UTC, as the platform runs it.
//!
//! The time zone itself is the owner's taste and stays.

use super::{Draft, Repair, Stop};
use crate::check::rtc_time_mode::local_clock;

pub(super) static STANDARDIZED_TIME_ZONE: Repair = Repair {
    name: "standardizedtimezone",
    items: &["RtcTimeMode"],
    summary: "let the guest read the hardware clock as UTC",
    plan,
};

const REASON: &str = "the platform's clock runs in UTC";

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    // One file shadows the next: after the first is mended, another one may say LOCAL.
    while let Some((path, line)) = local_clock(draft.guest()?)? {
        let changed = draft.rewrite(&path, REASON, |text| in_utc(text, line))?;
        if !changed {
            break;
        }
    }
    Ok(())
}

/// `text` with line number `line` saying UTC in the words of its file.
fn in_utc(text: &str, line: u32) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    if let Some(found) = lines.get_mut(index) {
        let ending = if found.ends_with('\r') { "\r" } else { "" };
        let value = match found.split_once('=').map(|(name, _)| name.trim()) {
            None => "UTC".to_owned(),
            Some("UTC") if found.to_ascii_lowercase().contains("no") => "UTC=yes".to_owned(),
            Some("UTC") => "UTC=true".to_owned(),
            Some("HWCLOCK") => "HWCLOCK=\"-u\"".to_owned(),
            Some(name) => format!("{name}=\"UTC\""),
        };
        *found = format!("{value}{ending}");
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::in_utc;

    #[test]
    fn each_file_is_told_in_its_own_words() {
        for (before, line, after) in [
            ("0.0 0 0.0\n0\nLOCAL\n", 3, "0.0 0 0.0\n0\nUTC\n"),
            ("0.0 0 0.0\n0\nLOCAL", 3, "0.0 0 0.0\n0\nUTC"),
            ("ZONE=x\nUTC=false\n", 2, "ZONE=x\nUTC=true\n"),
            ("UTC=no\r\n", 1, "UTC=yes\r\n"),
            ("HWCLOCK=\"--localtime\"\n", 1, "HWCLOCK=\"-u\"\n"),
            ("clock=\"local\"\n", 1, "clock=\"UTC\"\n"),
        ] {
            assert_eq!(in_utc(before, line), after);
        }
    }
}
