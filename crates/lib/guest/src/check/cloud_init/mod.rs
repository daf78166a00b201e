//! `CloudInit`: at the first start an instance gets its name, keys, network and disk size from the
//! platform, which takes a cloud-init that is there, starts, and asks the right data source.

mod config;
mod state;
mod version;

use kiln_volume::Result;

use super::{Check, Evidence, Finding, Outcome};
use crate::syntax::yaml::Yaml;
use crate::{Guest, Inspection};

pub(crate) use config::merge;
pub(crate) use state::{CloudInitState, cloud_init_state};

pub(super) static CLOUD_INIT: Check = Check {
    name: "CloudInit",
    summary: "cloud-init is installed, new enough, starts, and asks the platform's data source",
    run: check,
};

fn check(inspection: &Inspection) -> Result<Outcome> {
    let Some(guest) = inspection.guest() else {
        return Ok(Outcome::not_applicable("no operating system found"));
    };
    let state = cloud_init_state(guest)?;
    let Some(program) = &state.program else {
        let finding = Finding::medium("CloudInit.NotInstalled", "cloud-init is not installed")
            .suggest(
                "install the package cloud-init (and cloud-guest-utils or cloud-utils-growpart)",
            );
        return Ok(Outcome::judged(vec![finding], "Installed", "NotInstalled"));
    };
    let mut notes = vec![Evidence::file(program, "the program")];
    match &state.version {
        Some((_, evidence)) => notes.push(evidence.clone()),
        None => notes.push(Evidence::note("its Python package was not found")),
    }
    notes.extend(left_behind(guest)?);
    notes.extend(fw_cfg(guest)?);
    Ok(Outcome { findings: judge(&state), ..Outcome::value("Installed") }.noting(notes))
}

fn judge(state: &CloudInitState) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(interpreter) = &state.missing_interpreter {
        let message = format!("cloud-init needs {interpreter}, which is not there");
        findings.push(
            Finding::medium("CloudInit.NoInterpreter", message)
                .suggest("install the Python that the cloud-init package depends on"),
        );
    }
    if let Some((version, evidence)) = &state.version
        && version::is_too_old(version)
    {
        let message = format!(
            "cloud-init {version} is older than the platform requires (0.7.9, 0.7.6a15 or 19.1.3)"
        );
        findings.push(
            Finding::medium("CloudInit.TooOld", message)
                .seen(evidence.clone())
                .suggest("upgrade cloud-init"),
        );
    }
    if let Some(first) = state.disabled_by.first() {
        let finding = Finding::medium(
            "CloudInit.Disabled",
            format!("cloud-init will not run: {}", tell(first)),
        )
        .suggest(
            "remove what turns it off, and enable its services (systemctl enable \
                    cloud-init-local cloud-init cloud-config cloud-final)",
        );
        findings.push(state.disabled_by.iter().cloned().fold(finding, Finding::seen));
    }
    findings.extend(judge_config(state));
    findings
}

fn judge_config(state: &CloudInitState) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(first) = state.config.broken.first() {
        let message = format!("a configuration file is not valid YAML: {}", tell(first));
        let finding = Finding::medium("CloudInit.ConfigInvalid", message)
            .suggest("correct the file (cloud-init schema --system), or remove it");
        findings.push(state.config.broken.iter().cloned().fold(finding, Finding::seen));
    }
    if let Some(names) = state.datasource_missing() {
        let file = state.config.set_in(&["datasource_list"]).unwrap_or_default();
        let list = names.join(", ");
        let message = format!("the data sources are [{list}], and AliYun is not among them");
        findings.push(
            Finding::medium("CloudInit.DatasourceMissing", message)
                .seen(Evidence::file(file, format!("datasource_list: [{list}]")))
                .suggest(format!("add AliYun to datasource_list in {file}")),
        );
    }
    let keeps_cache = state.config.merged.get("manual_cache_clean").and_then(Yaml::as_bool);
    if keeps_cache == Some(true) {
        let file = state.config.set_in(&["manual_cache_clean"]).unwrap_or_default();
        let message = "manual_cache_clean is set: what the source machine was told will be kept";
        findings.push(
            Finding::medium("CloudInit.ManualCacheClean", message)
                .seen(Evidence::file(file, "manual_cache_clean: true"))
                .suggest(format!("remove manual_cache_clean from {file}, or run cloud-init clean")),
        );
    }
    findings
}

fn tell(evidence: &Evidence) -> String {
    match &evidence.path {
        Some(path) => format!("{path}: {}", evidence.text),
        None => evidence.text.clone(),
    }
}

/// The state of the source machine; harmless where the instance has another identity.
fn left_behind(guest: &Guest) -> Result<Option<Evidence>> {
    let instances = guest.tree.list("/var/lib/cloud/instances")?;
    let is_left =
        !instances.is_empty() || guest.tree.locate_link("/var/lib/cloud/instance")?.is_some();
    let text = format!("state of {} earlier instances is left behind", instances.len());
    Ok(is_left.then(|| Evidence::file("/var/lib/cloud", text)))
}

/// The vendor's build reads vendor data through the kernel's `qemu_fw_cfg`.
fn fw_cfg(guest: &Guest) -> Result<Option<Evidence>> {
    let Some(path) = guest.kernels.first().and_then(|kernel| kernel.config.as_deref()) else {
        return Ok(None);
    };
    let Some(text) = guest.tree.read_text(path)? else { return Ok(None) };
    let line = text.lines().find(|line| line.starts_with("CONFIG_FW_CFG_SYSFS="));
    let text = line.unwrap_or("CONFIG_FW_CFG_SYSFS is not set");
    Ok(Some(Evidence::file(path, text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::check::sound::{Sound, codes, item};

    /// Plant one fault in a sound Debian; the item's findings.
    fn planted(plant: impl FnOnce(&mut Sound)) -> Outcome {
        let mut sound = Sound::debian();
        assert_eq!(codes(&item("CloudInit", &sound.build())), []);
        plant(&mut sound);
        item("CloudInit", &sound.build())
    }

    fn one(found: &Outcome) -> (&'static str, &str) {
        let [finding] = &found.findings[..] else { panic!("{:?}", found.findings) };
        assert_eq!(finding.level, Level::Medium);
        (finding.code, &finding.message)
    }

    #[test]
    fn row_95_cloud_init_disabled_file() {
        let found = planted(|sound| {
            sound.fs.file("/etc/cloud/cloud-init.disabled", "");
        });
        let message =
            "cloud-init will not run: /etc/cloud/cloud-init.disabled: this file turns it off";
        assert_eq!(one(&found), ("CloudInit.Disabled", message));
    }

    #[test]
    fn row_96_disabled_on_the_command_line() {
        let found = planted(|sound| sound.cmdline.push_str(" cloud-init=disabled"));
        let message = "cloud-init will not run: /boot/grub/grub.cfg: cloud-init=disabled";
        assert_eq!(one(&found), ("CloudInit.Disabled", message));
    }

    #[test]
    fn row_97_datasource_list_without_aliyun() {
        let file = "/etc/cloud/cloud.cfg.d/90_dpkg.cfg";
        let found = planted(|sound| {
            sound.fs.file(file, "datasource_list: [ NoCloud ]\n");
        });
        let message = "the data sources are [NoCloud], and AliYun is not among them";
        assert_eq!(one(&found), ("CloudInit.DatasourceMissing", message));
        let found = planted(|sound| {
            sound.fs.file("/etc/cloud/cloud.cfg.d/95_x.cfg", "datasource_list: [aliyun]\n");
        });
        assert_eq!(one(&found).0, "CloudInit.DatasourceMissing", "names are case-sensitive");
    }

    #[test]
    fn row_98_tab_in_a_file() {
        let file = "/etc/cloud/cloud.cfg.d/99_x.cfg";
        let found = planted(|sound| {
            sound.fs.file(file, "a:\n\tb: 1\n");
        });
        let (code, message) = one(&found);
        assert_eq!(code, "CloudInit.ConfigInvalid");
        let start = format!(
            "a configuration file is not valid YAML: {file}: line 2, column 2: tabs disallowed"
        );
        assert!(message.starts_with(&start), "{message}");
    }

    #[test]
    fn row_99_version_19_1_1() {
        let path = "/usr/lib/python3/dist-packages/cloudinit/version.py";
        let found = planted(|sound| {
            sound.fs.file(path, "__VERSION__ = \"19.1.1\"\n");
        });
        let message =
            "cloud-init 19.1.1 is older than the platform requires (0.7.9, 0.7.6a15 or 19.1.3)";
        assert_eq!(one(&found), ("CloudInit.TooOld", message));
    }

    #[test]
    fn row_155_interpreter_cache_and_purged() {
        let found = planted(|sound| {
            sound.fs.remove("/usr/bin/python3.11");
        });
        let message = "cloud-init needs /usr/bin/python3, which is not there";
        assert_eq!(one(&found), ("CloudInit.NoInterpreter", message));

        let file = "/etc/cloud/cloud.cfg.d/99_x.cfg";
        let found = planted(|sound| {
            sound.fs.file(file, "manual_cache_clean: yes\n");
        });
        assert_eq!(one(&found).0, "CloudInit.ManualCacheClean");

        let found = planted(|sound| {
            sound.remove_cloud_init();
        });
        assert_eq!(one(&found), ("CloudInit.NotInstalled", "cloud-init is not installed"));
        assert_eq!(found.value, "NotInstalled");
    }

    #[test]
    fn units_that_do_not_start_disable_it() {
        let found = planted(|sound| {
            sound.mask("cloud-final.service");
        });
        let message = "cloud-init will not run: cloud-final is masked";
        assert_eq!(one(&found), ("CloudInit.Disabled", message));
        let found = planted(|sound| {
            sound.fs.remove("/etc/systemd/system/cloud-init.target.wants");
        });
        assert_eq!(one(&found).0, "CloudInit.Disabled");
        let found = planted(|sound| {
            sound.fs.remove("/usr/lib/systemd/system-generators/cloud-init-generator");
        });
        assert_eq!(one(&found).1, "cloud-init will not run: nothing pulls in cloud-init.target");
        let file = "/etc/cloud/ds-identify.cfg";
        let found = planted(|sound| {
            sound.fs.file(file, "policy: disabled\n");
        });
        assert_eq!(one(&found).0, "CloudInit.Disabled");
    }

    /// N14 and other spellings that are right.
    #[test]
    fn near_misses_stay_silent() {
        for list in [
            "datasource_list:\n  - NoCloud\n  - AliYun\n",
            "datasource_list: ['AliYun']\n",
            "datasource_list: [ Ec2 ]\n",
            "manual_cache_clean: no\n",
            "# only a comment\n",
        ] {
            let found = planted(|sound| {
                sound.fs.file("/etc/cloud/cloud.cfg.d/99.cfg", list);
            });
            assert_eq!(codes(&found), [], "{list}");
        }
        let found = planted(|sound| {
            sound.fs.file("/etc/cloud/cloud.cfg.d/README", "\tnot yaml: [\n");
            sound.fs.symlink("/var/lib/cloud/instance", "instances/i-abc");
        });
        assert_eq!(codes(&found), []);
    }

    #[test]
    fn mutated_configuration_never_panics() {
        let mut inspection = Sound::debian().build();
        let mut fs = Sound::debian().fs;
        let text = b"datasource_list: [ NoCloud, AliYun ]\nnetwork: {config: disabled}\nmanual_cache_clean: on\n";
        crate::syntax::mutation::mutated(text, |bytes| {
            fs.file("/etc/cloud/cloud.cfg.d/99.cfg", bytes);
            inspection.systems[0].tree = kiln_volume::Tree::new(std::sync::Arc::new(fs.clone()));
            drop(item("CloudInit", &inspection));
        });
    }
}
