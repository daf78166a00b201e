//! `SecurityCenterAgent`: the agent of the security centre is there and starts.
//!
//! An enrolled agent carries the identity of its machine; an image should have it unenrolled. One
//! whose installer runs at the first start, as repair `aegis` leaves it, is in the best state an image
//! can be in, and passes without being called installed.

use kiln_volume::{Result, Tree};

use super::agent::{self, Agent};
use super::{Check, Evidence, Outcome};
use crate::{Inspection, services};

pub(crate) static SECURITY_CENTER_AGENT: Check = Check {
    name: "SecurityCenterAgent",
    summary: "the Security Center agent is installed and starts at boot",
    run: check,
};

const AGENT: Agent = Agent {
    title: "the Security Center agent",
    not_installed: "SecurityCenterAgent.NotInstalled",
    disabled: "SecurityCenterAgent.Disabled",
    wrong_arch: "SecurityCenterAgent.WrongArch",
    services: &["aegis"],
    install: "install the Security Center agent, or choose security hardening when instances are made",
};

/// What runs the installer at the first start.
pub(crate) const INSTALL_SERVICE: &str = "kiln-aegis";
/// The installer.
pub(crate) const INSTALLER: &str = "/usr/local/lib/kiln/aegis/install.sh";

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let judged = agent::judge(guest, &AGENT, program(&guest.tree)?)?;
    let is_absent = judged.worst().is_some_and(|finding| finding.code != AGENT.disabled);
    if is_absent && guest.tree.is_file(INSTALLER)? {
        let by = services::first_enabled(&guest.tree, &[INSTALL_SERVICE])?;
        if let Some((_, by)) = by {
            return Ok(Outcome::value("NotInstalled")
                .noting([Evidence::file(by, "installs the agent at the first start")]));
        }
    }
    Ok(judged)
}

fn program(tree: &Tree) -> Result<Option<String>> {
    for version in agent::versions(tree, "/usr/local/aegis/aegis_client", "aegis_")? {
        let path = format!("{version}/AliYunDun");
        if agent::is_program(tree, &path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use crate::check::Level;
    use crate::check::sound::{Sound, codes, elf, item};

    const PROGRAM: &str = "/usr/local/aegis/aegis_client/aegis_12_34/AliYunDun";

    fn installed() -> Sound {
        let mut sound = Sound::debian();
        sound.fs.executable(PROGRAM, elf(62));
        sound.enabled("aegis.service");
        assert_eq!(codes(&item("SecurityCenterAgent", &sound.build())), []);
        sound
    }

    #[test]
    fn row_102_unit_masked() {
        let mut sound = installed();
        sound.mask("aegis.service");
        let found = item("SecurityCenterAgent", &sound.build());
        assert_eq!(codes(&found), [("SecurityCenterAgent.Disabled", Level::Medium)]);
        assert_eq!(
            found.findings[0].message,
            "the Security Center agent is installed, and no service starts it"
        );
    }

    #[test]
    fn row_156_agent_absent() {
        let found = item("SecurityCenterAgent", &Sound::debian().build());
        assert_eq!(codes(&found), [("SecurityCenterAgent.NotInstalled", Level::Medium)]);
    }

    #[test]
    fn an_installer_that_runs_at_the_first_start_passes() {
        let mut sound = Sound::debian();
        sound.fs.file(super::INSTALLER, "#!/bin/sh\n");
        let found = item("SecurityCenterAgent", &sound.build());
        assert_eq!(codes(&found), [("SecurityCenterAgent.NotInstalled", Level::Medium)]);
        sound.enabled("kiln-aegis.service");
        let found = item("SecurityCenterAgent", &sound.build());
        assert_eq!((codes(&found), found.value.as_str()), (Vec::new(), "NotInstalled"));
    }

    #[test]
    fn arm64_program_on_x86_64() {
        let mut sound = installed();
        sound.fs.executable(PROGRAM, elf(183));
        let found = item("SecurityCenterAgent", &sound.build());
        assert_eq!(codes(&found), [("SecurityCenterAgent.WrongArch", Level::Medium)]);
    }
}
