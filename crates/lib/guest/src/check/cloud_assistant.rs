//! `CloudAssistant`: the agent that runs the user's commands in instances is there and starts.
//!
//! kiln's own agent stands in for the vendor's where an image has only that, and the evidence says
//! which of them it is.

use kiln_volume::{Result, Tree};

use super::agent::{self, Agent};
use super::{Check, Evidence, Outcome, Status};
use crate::Inspection;

pub(crate) static CLOUD_ASSISTANT: Check = Check {
    name: "CloudAssistant",
    summary: "the Cloud Assistant agent is installed and starts at boot",
    run: check,
};

const AGENT: Agent = Agent {
    title: "the Cloud Assistant agent",
    not_installed: "CloudAssistant.NotInstalled",
    disabled: "CloudAssistant.Disabled",
    wrong_arch: "CloudAssistant.WrongArch",
    // AssistDaemon.service is the watchdog beside the agent, not what starts it.
    services: &["aliyun.service", "aliyun-service"],
    install: "install the package aliyun_assist (aliyun-assist on Debian and Ubuntu)",
};

/// kiln's own agent.
const OWN: Agent = Agent {
    title: "kiln's own agent",
    services: &[OWN_SERVICE],
    install: "repair the image with `assist`",
    ..AGENT
};
/// Where repair `assist` puts kiln's own agent.
pub(crate) const OWN_PROGRAM: &str = "/usr/local/lib/kiln/kiln-agent";
/// What starts it.
pub(crate) const OWN_SERVICE: &str = "kiln-assist";

/// Where each version has its directory; the second is CoreOS'.
pub(crate) const HOMES: [&str; 2] =
    ["/usr/local/share/aliyun-assist", "/opt/local/share/aliyun-assist"];

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let vendors = agent::judge(guest, &AGENT, program(&guest.tree)?)?;
    if vendors.status() == Status::Pass || !agent::is_program(&guest.tree, OWN_PROGRAM)? {
        return Ok(vendors);
    }
    let own = agent::judge(guest, &OWN, Some(OWN_PROGRAM.to_owned()))?;
    Ok(own.noting([Evidence::note("kiln agent: it stands in for the vendor's")]))
}

/// The highest version that has a program: an uninstalled one leaves its empty directory behind.
fn program(tree: &Tree) -> Result<Option<String>> {
    for home in HOMES {
        for version in agent::versions(tree, home, "")? {
            let path = format!("{version}/aliyun-service");
            if agent::is_program(tree, &path)? {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::sound::{Sound, codes, elf, item};

    const PROGRAM: &str = "/usr/local/share/aliyun-assist/2.2.3.967/aliyun-service";

    fn installed() -> Sound {
        let mut sound = Sound::debian();
        sound.fs.executable(PROGRAM, elf(62));
        sound.fs.dir("/usr/local/share/aliyun-assist/2.2.10.1"); // uninstalled
        sound.enabled("aliyun.service");
        assert_eq!(codes(&item("CloudAssistant", &sound.build())), []);
        sound
    }

    #[test]
    fn row_100_directory_emptied_and_unit_left() {
        let mut sound = installed();
        sound.fs.remove(PROGRAM);
        let found = item("CloudAssistant", &sound.build());
        assert_eq!(codes(&found), [("CloudAssistant.NotInstalled", Level::Medium)]);
        assert_eq!(found.value, "NotInstalled");
    }

    #[test]
    fn row_101_arm64_program_on_x86_64() {
        let mut sound = installed();
        sound.fs.executable(PROGRAM, elf(183));
        let found = item("CloudAssistant", &sound.build());
        assert_eq!(codes(&found), [("CloudAssistant.WrongArch", Level::Medium)]);
        assert_eq!(
            found.findings[0].message,
            format!("{PROGRAM} is a program for arm64 on a system for x86_64")
        );
    }

    #[test]
    fn row_156_unit_disabled() {
        let mut sound = installed();
        sound.fs.remove("/etc/systemd/system/multi-user.target.wants/aliyun.service");
        let found = item("CloudAssistant", &sound.build());
        assert_eq!(codes(&found), [("CloudAssistant.Disabled", Level::Medium)]);
        assert_eq!(found.value, "Installed");
    }

    #[test]
    fn kilns_own_agent_stands_in_and_is_told() {
        let mut sound = Sound::debian();
        sound.fs.executable(super::OWN_PROGRAM, elf(62));
        let found = item("CloudAssistant", &sound.build());
        assert_eq!(codes(&found), [("CloudAssistant.Disabled", Level::Medium)]);
        sound.enabled("kiln-assist.service");
        let found = item("CloudAssistant", &sound.build());
        assert_eq!((codes(&found), found.value.as_str()), (Vec::new(), "Installed"));
        let told = found.evidence.last().unwrap();
        assert_eq!(told.text, "kiln agent: it stands in for the vendor's");
        sound.fs.executable(super::OWN_PROGRAM, elf(183));
        let found = item("CloudAssistant", &sound.build());
        assert_eq!(codes(&found), [("CloudAssistant.WrongArch", Level::Medium)]);
    }

    #[test]
    fn the_highest_version_counts_by_number() {
        let mut sound = installed();
        let newer = "/usr/local/share/aliyun-assist/2.2.3.1000/aliyun-service";
        sound.fs.executable(newer, elf(62));
        assert_eq!(item("CloudAssistant", &sound.build()).evidence[0].path.as_deref(), Some(newer));
    }
}
