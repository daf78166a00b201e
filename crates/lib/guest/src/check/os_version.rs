//! `GUESTOS.OSVersion`: name and version of the operating system, with its minor version where a
//! file tells it.

use super::{Check, Finding, Outcome, platform};
use crate::{Inspection, OsInfo, Result};

pub(super) static OS_VERSION: Check =
    Check { name: "OSVersion", summary: "the version of the operating system is known", run };

fn run(inspection: &Inspection) -> Result<Outcome> {
    let guest = match super::system(inspection) {
        Ok(guest) => guest,
        Err(outcome) => return Ok(*outcome),
    };
    Ok(judge(&guest.os).noting(platform::os_evidence(&guest.os)))
}

/// Systems that have no versions: each day's packages are the newest.
const ROLLING: &[&str] = &["arch", "manjaro", "gentoo", "void", "opensuse-tumbleweed", "kali"];

fn judge(os: &OsInfo) -> Outcome {
    if let Some(display) = &os.display {
        return Outcome::value(display);
    }
    let name = os.pretty_name.as_deref().or(os.id.as_deref());
    if os.id.as_deref().is_some_and(|id| ROLLING.contains(&id)) {
        return Outcome::value(name.unwrap_or_default());
    }
    if let Some(why) = os.why_unread() {
        return Outcome::unknown(None, why);
    }
    // Debian testing and unstable name no version either, and are told by their pretty name.
    let message = match name {
        Some(name) => format!("{name} does not say which version it is"),
        None => "no file says which system it is".to_owned(),
    };
    Outcome {
        findings: vec![Finding::medium("OSVersion.Unknown", message)],
        ..Outcome::value(name.unwrap_or("Unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_version_is_told_unless_it_has_none() {
        let mut os = OsInfo { id: Some("foo".into()), ..OsInfo::default() };
        let outcome = judge(&os);
        let worst = outcome.worst().unwrap();
        assert_eq!(worst.code, "OSVersion.Unknown");
        assert_eq!(worst.message, "foo does not say which version it is");
        os.display = Some("foo 1".into());
        assert_eq!(judge(&os), Outcome::value("foo 1"));
        let arch = OsInfo { id: Some("arch".into()), ..OsInfo::default() };
        assert_eq!(judge(&arch).findings, []);
    }
}
