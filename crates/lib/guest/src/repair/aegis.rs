//! `aegis`: the Security Center agent is there and starts, or is installed at the first start.
//!
//! The agent enrols over the network when it is installed, and carries from then on the identity of
//! its machine. So it is not installed into an image: the installer out of the bundle runs at the
//! first start of the instance, at each start until it succeeded.

use super::edit::{Attributes, Content};
use super::refusal::{Refusal, codes};
use super::service::{self, Run, Service};
use super::{Draft, Repair, Stop, units};
use crate::check::security_center_agent::{INSTALL_SERVICE, INSTALLER, SECURITY_CENTER_AGENT};

pub(super) static AEGIS: Repair = Repair {
    name: "aegis",
    items: &["SecurityCenterAgent"],
    summary: "enable the Security Center agent, or install it at the first start",
    plan,
};

const REASON: &str = "instances are watched by the Security Center agent";
/// Runs the installer and notes that it succeeded.
const RUNNER: &str = "/usr/local/lib/kiln/aegis/run.sh";
const DONE: &str = "/var/lib/kiln/aegis-installed";

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    let outcome = (SECURITY_CENTER_AGENT.run)(draft.inspection())?;
    match outcome.worst().map(|finding| finding.code) {
        None => Ok(()),
        Some("SecurityCenterAgent.Disabled") if units::enable(draft, "aegis", REASON)? => Ok(()),
        Some(_) => install_at_first_start(draft),
    }
}

fn install_at_first_start(draft: &mut Draft) -> Result<(), Stop> {
    let guest = draft.guest()?;
    let architecture = guest.os.architecture.clone().unwrap_or_default();
    let mut scripts = draft.bundle().files_of_agent("aegis", &architecture);
    let Some((file, script)) = scripts.find(|(path, _)| path.ends_with(".sh")) else {
        let reason = "the Security Center agent is installed and enrolled over the network, when an \
                      instance starts";
        return Err(Refusal::new(codes::AEGIS_NEEDS_NETWORK, reason)
            .hint(format!(
                "put the vendor's installer into aegis/{architecture}/ of a directory and give it as \
                 --bundle, or choose security hardening when instances are made"
            ))
            .into());
    };
    let installer = Content::sharing(script.clone()).from_source(file);
    // It may hold the key by which instances enrol.
    draft.install_file(INSTALLER, installer, Attributes::root(0o700), REASON)?;
    let runner = format!(
        "#!/bin/sh\n# Runs at each start until it succeeded once.\nset -e\n/bin/sh {INSTALLER}\n\
         mkdir -p /var/lib/kiln\ntouch {DONE}\n"
    );
    draft.write_with_mode(RUNNER, runner, 0o755, REASON)?;
    let once = Service {
        name: INSTALL_SERVICE,
        description: "Install the Security Center agent",
        command: &format!("/bin/sh {RUNNER}"),
        run: Run::Until(DONE),
    };
    Ok(service::add(draft, &once, REASON)?)
}
