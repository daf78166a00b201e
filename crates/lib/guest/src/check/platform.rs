//! `GUESTOS.Platform`: which operating system it is, as the import API names it.
//!
//! The platform decides which drivers and agents an import adds, so a wrong declaration costs more
//! than none. A system that nobody knows is told, and still boots as `Others Linux`.

use super::{Check, Evidence, Finding, Outcome};
use crate::inspect::platform::is_same_platform;
use crate::{Inspection, OsInfo, Result};

pub(super) static PLATFORM: Check = Check {
    name: "Platform",
    summary: "the operating system is one that the platform knows, and the declared one",
    run,
};

fn run(inspection: &Inspection) -> Result<Outcome> {
    let guest = match super::system(inspection) {
        Ok(guest) => guest,
        Err(outcome) => return Ok(*outcome),
    };
    let outcome = judge(&guest.os, inspection.declared.platform.as_deref());
    Ok(outcome.noting(os_evidence(&guest.os)))
}

/// The files that told who it is.
pub(super) fn os_evidence(os: &OsInfo) -> Vec<Evidence> {
    os.sources.iter().map(|(path, text)| Evidence::file(path, text)).collect()
}

fn judge(os: &OsInfo, declared: Option<&str>) -> Outcome {
    if os.id.is_none()
        && let Some(why) = os.why_unread()
    {
        return Outcome::unknown(None, why);
    }
    let mut findings = Vec::new();
    let value = os.platform.as_deref().unwrap_or("Others Linux");
    if os.platform.is_none() {
        let id = os.id.as_deref().unwrap_or("nothing");
        let message = format!("the system calls itself {id:?}, which no platform is known for");
        findings.push(Finding::medium("Platform.Unrecognized", message).suggest(
            "import it as \"Others Linux\", or correct ID and ID_LIKE in /etc/os-release",
        ));
    }
    // "Others Linux" and "Customized Linux" say that the caller does not care.
    let declared = declared.filter(|name| {
        !is_same_platform(name, "Others Linux") && !is_same_platform(name, "Customized Linux")
    });
    if let Some(declared) = declared
        && !is_same_platform(declared, value)
    {
        let message = format!("declared as {declared}, and the image holds {value}");
        findings.push(
            Finding::medium("Platform.Mismatch", message)
                .suggest(format!("declare the platform as \"{value}\"")),
        );
    }
    Outcome { findings, ..Outcome::value(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;

    fn os(id: &str, platform: Option<&str>) -> OsInfo {
        OsInfo { id: Some(id.into()), platform: platform.map(String::from), ..OsInfo::default() }
    }

    #[test]
    fn a_platform_that_nobody_knows_is_told() {
        let outcome = judge(&os("foo", None), None);
        let worst = outcome.worst().unwrap();
        assert_eq!(worst.code, "Platform.Unrecognized");
        assert_eq!(
            worst.message,
            "the system calls itself \"foo\", which no platform is known for"
        );
        assert_eq!(outcome.value, "Others Linux");
        assert_eq!(judge(&os("ol", Some("Others Linux")), None).status(), Status::Pass);
    }

    #[test]
    fn another_platform_than_declared_is_told() {
        let outcome = judge(&os("debian", Some("Debian")), Some("CentOS"));
        let worst = outcome.worst().unwrap();
        assert_eq!(worst.code, "Platform.Mismatch");
        assert_eq!(worst.message, "declared as CentOS, and the image holds Debian");
        for declared in ["Debian", "Others Linux"] {
            assert_eq!(judge(&os("debian", Some("Debian")), Some(declared)).findings, []);
        }
        assert_eq!(judge(&os("rhel", Some("RedHat")), Some("Red Hat")).findings, []);
    }
}
