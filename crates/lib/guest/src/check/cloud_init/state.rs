//! Whether cloud-init will run, and what it will do to the network. Three items ask.

use kiln_volume::{Result, Tree};

use super::config::{self, Config};
use super::version;
use crate::check::Evidence;
use crate::services::{self, ServiceState};
use crate::{Guest, syntax::yaml::Yaml};

const PROGRAMS: [&str; 2] = ["/usr/bin/cloud-init", "/usr/local/bin/cloud-init"];

/// What there is to know about cloud-init in a guest.
#[derive(Debug)]
pub(crate) struct CloudInitState {
    /// The program, where it is installed.
    pub(crate) program: Option<String>,
    /// Its version and where that was read.
    pub(crate) version: Option<(String, Evidence)>,
    /// The interpreter that its first line names and the guest lacks.
    pub(crate) missing_interpreter: Option<String>,
    /// What keeps it from starting.
    pub(crate) disabled_by: Vec<Evidence>,
    /// Its merged configuration.
    pub(crate) config: Config,
    /// What tells it to leave the network alone.
    pub(crate) network_disabled: Option<Evidence>,
}

impl CloudInitState {
    /// Whether it will run, and find the platform's metadata.
    pub(crate) fn is_effective(&self) -> bool {
        self.program.is_some()
            && self.missing_interpreter.is_none()
            && self.disabled_by.is_empty()
            && self.datasource_missing().is_none()
    }

    /// The package that is missing or too old, and why it is needed; `None`: what is installed can
    /// run. An interpreter's package has its name everywhere.
    pub(crate) fn package_needed(&self) -> Option<(&str, String)> {
        if self.program.is_none() {
            return Some(("cloud-init", "cloud-init is not installed".into()));
        }
        if let Some(interpreter) = &self.missing_interpreter {
            let name = interpreter.rsplit('/').next().unwrap_or(interpreter);
            return Some((name, format!("cloud-init needs {interpreter}, which is not there")));
        }
        let (version, _) = self.version.as_ref()?;
        let is_too_old = version::is_too_old(version);
        is_too_old.then(|| ("cloud-init", format!("cloud-init {version} is too old")))
    }

    /// Whether it will write the network configuration at the first start.
    pub(crate) fn renders_network(&self) -> bool {
        self.is_effective() && self.network_disabled.is_none()
    }

    /// The list of data sources, where it is set and holds none that works on the platform.
    pub(crate) fn datasource_missing(&self) -> Option<Vec<&str>> {
        let list = self.config.merged.get("datasource_list")?;
        let names: Vec<&str> = match list {
            Yaml::Text(one) => vec![one],
            other => other.items().iter().filter_map(Yaml::text).collect(),
        };
        let works = names.iter().any(|name| matches!(*name, "AliYun" | "Ec2"));
        (!works).then_some(names)
    }
}

/// Look at cloud-init in `guest`.
///
/// # Errors
///
/// What could not be read. A file that is not YAML is a fact and no error.
pub(crate) fn cloud_init_state(guest: &Guest) -> Result<CloudInitState> {
    let tree = &guest.tree;
    let mut program = None;
    for path in PROGRAMS {
        if program.is_none() && tree.is_file(path)? {
            program = Some(path.to_owned());
        }
    }
    let config = config::read(tree)?;
    let mut state = CloudInitState {
        missing_interpreter: None,
        version: version::find(tree)?,
        disabled_by: Vec::new(),
        network_disabled: network_disabled(guest, &config),
        config,
        program,
    };
    if let Some(path) = &state.program {
        state.missing_interpreter = missing_interpreter(tree, path)?;
        state.disabled_by = switched_off(guest)?;
        state.disabled_by.extend(units_off(tree)?);
    }
    Ok(state)
}

fn missing_interpreter(tree: &Tree, program: &str) -> Result<Option<String>> {
    let Some(file) = tree.open(program)? else { return Ok(None) };
    let mut head = [0; 256];
    let n = file.read_at(0, &mut head)?;
    let head = String::from_utf8_lossy(head.get(..n).unwrap_or_default()).into_owned();
    let Some(line) = head.strip_prefix("#!").and_then(|rest| rest.lines().next()) else {
        return Ok(None);
    };
    let mut words = line.split_whitespace();
    let Some(interpreter) = words.next() else { return Ok(None) };
    if !interpreter.ends_with("/env") {
        let is_there = tree.is_file(interpreter)?;
        return Ok((!is_there).then(|| interpreter.to_owned()));
    }
    let Some(name) = words.find(|word| !word.starts_with('-') && !word.contains('=')) else {
        return Ok(None);
    };
    for dir in ["/usr/local/bin", "/usr/bin", "/bin"] {
        if tree.is_file(format!("{dir}/{name}"))? {
            return Ok(None);
        }
    }
    Ok(Some(name.to_owned()))
}

/// The switches that turn it off with all its units in place.
fn switched_off(guest: &Guest) -> Result<Vec<Evidence>> {
    let mut found = Vec::new();
    let tree = &guest.tree;
    if tree.exists("/etc/cloud/cloud-init.disabled")? {
        found.push(Evidence::file("/etc/cloud/cloud-init.disabled", "this file turns it off"));
    }
    if let Some(entry) = guest.boot.default_entry()
        && entry.arg("cloud-init") == Some("disabled")
    {
        found.push(Evidence::line(&entry.source, entry.line, "cloud-init=disabled"));
    }
    let path = "/etc/cloud/ds-identify.cfg";
    if let Some(text) = tree.read_text(path)? {
        let policy = (1u32..).zip(text.lines()).filter_map(|(line, text)| {
            Some((line, text.trim().strip_prefix("policy:")?.trim().to_owned()))
        });
        if let Some((line, policy)) = policy.last()
            && policy.split(',').next() == Some("disabled")
        {
            found.push(Evidence::line(path, line, format!("policy: {policy}")));
        }
    }
    Ok(found)
}

/// The stages that will not start. Each is a unit of its own; `cloud-init.service` is called
/// `cloud-init-network.service` from version 24.3 on.
fn units_off(tree: &Tree) -> Result<Vec<Evidence>> {
    let mut found = Vec::new();
    let stages: [&[&str]; 4] = [
        &["cloud-init-local"],
        &["cloud-init", "cloud-init-network", "cloud-init-main"],
        &["cloud-config"],
        &["cloud-final"],
    ];
    for names in stages {
        if services::first_enabled(tree, names)?.is_some() {
            continue;
        }
        for name in names {
            let text = match services::state(tree, name)? {
                ServiceState::Masked => "is masked",
                ServiceState::Disabled | ServiceState::Static => "is not enabled",
                ServiceState::Absent | ServiceState::Enabled { .. } => continue,
            };
            found.push(Evidence::note(format!("{name} {text}")));
        }
        if found.is_empty() {
            let names = names.join(" or ");
            found.push(Evidence::note(format!("there is no service {names}")));
        }
    }
    let is_pulled_in = !services::has_systemd(tree)?
        || is_generator_there(tree)?
        || services::state(tree, "cloud-init.target")?.is_enabled()
        || wanted_by_multi_user(tree)?;
    if !is_pulled_in && found.is_empty() {
        found.push(Evidence::note("nothing pulls in cloud-init.target"));
    }
    Ok(found)
}

fn is_generator_there(tree: &Tree) -> Result<bool> {
    for dir in ["/usr/lib", "/lib", "/usr/local/lib", "/etc"] {
        if tree.is_file(format!("{dir}/systemd/system-generators/cloud-init-generator"))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn wanted_by_multi_user(tree: &Tree) -> Result<bool> {
    for dir in ["/etc/systemd/system", "/usr/lib/systemd/system"] {
        let link = format!("{dir}/multi-user.target.wants/cloud-init.service");
        if tree.locate_link(link)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn network_disabled(guest: &Guest, config: &Config) -> Option<Evidence> {
    let path = &["network", "config"];
    let is_off = config.merged.at(path).and_then(Yaml::text) == Some("disabled");
    if is_off {
        let file = config.set_in(path).unwrap_or("/etc/cloud/cloud.cfg");
        return Some(Evidence::file(file, "network: {config: disabled}"));
    }
    let entry = guest.boot.default_entry()?;
    let value = entry.arg("network-config")?;
    // base64 of `disabled`, or the word itself.
    matches!(value, "disabled" | "ZGlzYWJsZWQ=" | "ZGlzYWJsZWQK")
        .then(|| Evidence::line(&entry.source, entry.line, format!("network-config={value}")))
}
