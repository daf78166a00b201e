//! `Selinux`: SELinux does not stop what the platform writes into the image.
//!
//! Files that are written offline have no label. With SELinux enforcing, a service that may not read
//! its own configuration fails; with no labels at all, not even init starts.

use kiln_volume::Result;

use super::{Check, Evidence, Finding, Outcome};
use crate::syntax::assignments::{self, value_of};
use crate::{Guest, Inspection};

pub(super) static SELINUX: Check = Check {
    name: "Selinux",
    summary: "SELinux is off or permissive, or the files have their labels",
    run: check,
};

pub(crate) const CONFIG: &str = "/etc/selinux/config";

/// What SELinux will do, and what says so.
#[derive(Debug)]
struct Mode {
    name: &'static str,
    policy_type: String,
    evidence: Vec<Evidence>,
}

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let mut mode = mode(guest)?;
    if mode.name == "Disabled" || mode.name == "Permissive" {
        return Ok(Outcome::value(mode.name).noting(mode.evidence));
    }
    let finding = match unlabeled(guest, &mode.policy_type)? {
        Some(why) => Finding::high("Selinux.Unlabeled", why).suggest(format!(
            "set SELINUX=disabled in {CONFIG}, or create /.autorelabel so that the next start \
             labels all files"
        )),
        None => Finding::medium(
            "Selinux.Enforcing",
            "SELinux is enforcing, and files that the platform writes offline have no label",
        )
        .suggest(format!("set SELINUX=disabled (or permissive) in {CONFIG}")),
    };
    let evidence = std::mem::take(&mut mode.evidence);
    let finding = evidence.into_iter().fold(finding, Finding::seen);
    Ok(Outcome::judged(vec![finding], "Disabled", "Enforcing"))
}

/// The kernel's command line wins over the file.
fn mode(guest: &Guest) -> Result<Mode> {
    let text = guest.tree.read_text(CONFIG)?;
    let found = assignments::parse(text.as_deref().unwrap_or_default());
    let policy_type =
        value_of(&found, "SELINUXTYPE").map_or("targeted", |a| a.value.trim()).to_owned();
    let mut evidence = Vec::new();
    let mut name = "Disabled";
    if let Some(assignment) = value_of(&found, "SELINUX") {
        name = match assignment.value.trim().to_ascii_lowercase().as_str() {
            "enforcing" => "Enforcing",
            "permissive" => "Permissive",
            _ => "Disabled",
        };
        let text = format!("SELINUX={}", assignment.value);
        evidence.push(Evidence::line(CONFIG, assignment.line, text));
    }
    let Some(entry) = guest.boot.default_entry() else {
        return Ok(Mode { name, policy_type, evidence });
    };
    let mut say = |text: String| {
        let text = format!("on the command line: {text}");
        evidence.push(Evidence::line(&entry.source, entry.line, text));
    };
    match entry.arg("enforcing") {
        Some("0") if name == "Enforcing" => {
            name = "Permissive";
            say("enforcing=0".into());
        }
        Some("1") if name == "Permissive" => {
            name = "Enforcing";
            say("enforcing=1".into());
        }
        _ => {}
    }
    let other = |list: &str| !list.split(',').any(|module| module == "selinux");
    if entry.arg("selinux") == Some("0") {
        name = "Disabled";
        say("selinux=0".into());
    } else if let Some(list) = entry.arg("lsm").or(entry.arg("security")).filter(|l| other(l)) {
        name = "Disabled";
        say(format!("only {list}, without selinux"));
    }
    Ok(Mode { name, policy_type, evidence })
}

/// Why the system cannot run with SELinux enforcing.
fn unlabeled(guest: &Guest, policy_type: &str) -> Result<Option<String>> {
    let tree = &guest.tree;
    if tree.exists("/.autorelabel")? {
        return Ok(None);
    }
    let dir = format!("/etc/selinux/{policy_type}/policy");
    let has_policy = tree.list(&dir)?.iter().any(|entry| entry.name.starts_with(b"policy."));
    if !has_policy {
        return Ok(Some(format!("SELinux is enforcing and {dir} holds no policy")));
    }
    for path in ["/etc/passwd", "/sbin/init"] {
        if tree.exists(path)? && tree.xattr(path, "security.selinux")?.is_none() {
            return Ok(Some(format!("SELinux is enforcing and {path} has no label")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::check::sound::{Sound, codes, item};

    fn enforcing() -> Sound {
        let mut sound = Sound::el9();
        sound.fs.file(
            CONFIG,
            "# SELINUX=disabled\nSELINUX=disabled\nSELINUX=enforcing  \nSELINUXTYPE=targeted\n",
        );
        sound.fs.file("/etc/selinux/targeted/policy/policy.33", "x");
        for path in ["/etc/passwd", "/usr/lib/systemd/systemd"] {
            sound.fs.xattr(path, "security.selinux", b"system_u:object_r:etc_t:s0\0");
        }
        sound
    }

    #[test]
    fn row_88_enforcing() {
        let found = item("Selinux", &enforcing().build());
        assert_eq!(codes(&found), [("Selinux.Enforcing", Level::Medium)]);
        assert_eq!(found.value, "Enforcing");
        assert_eq!(found.findings[0].evidence[0].line, Some(3), "the last assignment wins");
    }

    #[test]
    fn row_89_enforcing_without_labels() {
        let mut sound = enforcing();
        sound.fs.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
        let found = item("Selinux", &sound.build());
        assert_eq!(codes(&found), [("Selinux.Unlabeled", Level::High)]);
        assert_eq!(found.findings[0].message, "SELinux is enforcing and /etc/passwd has no label");
        sound.fs.file("/.autorelabel", "");
        assert_eq!(codes(&item("Selinux", &sound.build())), [("Selinux.Enforcing", Level::Medium)]);

        let mut sound = enforcing();
        sound.fs.remove("/etc/selinux/targeted");
        let found = item("Selinux", &sound.build());
        assert_eq!(codes(&found), [("Selinux.Unlabeled", Level::High)]);
    }

    #[test]
    fn the_command_line_wins_and_permissive_passes() {
        for (cmdline, value) in [
            ("selinux=0", "Disabled"),
            ("enforcing=0", "Permissive"),
            ("security=apparmor", "Disabled"),
            ("lsm=lockdown,yama", "Disabled"),
        ] {
            let mut sound = enforcing();
            sound.cmdline.push_str(&format!(" {cmdline}"));
            let found = item("Selinux", &sound.build());
            assert_eq!((found.value.as_str(), codes(&found)), (value, vec![]), "{cmdline}");
        }
        let mut sound = enforcing();
        sound.fs.file(CONFIG, "SELINUX=permissive\n");
        assert_eq!(item("Selinux", &sound.build()).value, "Permissive");
        assert_eq!(item("Selinux", &Sound::debian().build()).value, "Disabled");
    }
}
