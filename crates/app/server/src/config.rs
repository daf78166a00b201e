//! The configuration of the server: a TOML file, with the command line and the environment over it.
//!
//! Everything has a default that works on one machine without a file. What is not understood is an
//! error that names the place: a misspelt limit that is passed over is no limit.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use kiln_model::{Policy, PolicyError};
use kiln_store::BucketSettings;
use serde::Deserialize;

use crate::accounts::{Caller, Key, State};
use crate::keep::Keep;
use crate::regions::{Quotas, Region};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not a configuration.
    #[error("{}, line {line}: {why}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What is wrong, naming the field.
        why: String,
    },
    /// A policy cannot be used.
    #[error("the policy of {owner}: {source}")]
    Policy {
        /// Whose.
        owner: String,
        /// Why.
        source: PolicyError,
    },
    /// Values that contradict each other, or make no sense.
    #[error("{0}")]
    Value(String),
}

impl ConfigError {
    /// What is wrong with the text of a file, in one line.
    pub(crate) fn syntax(error: &toml::de::Error, text: &str, path: &Path) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        Self::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            why: error.message().lines().collect::<Vec<_>>().join(" "),
        }
    }
}

/// The configuration as it is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the ECS API listens.
    pub listen: SocketAddr,
    /// Where the OSS API listens.
    pub oss_listen: SocketAddr,
    /// Where health and metrics are served, without a signature.
    pub ops_listen: SocketAddr,
    /// Folder for all that the server keeps: database, disks, spool, the first key.
    pub state: PathBuf,
    /// `sqlite:///…` or `postgres://…`; a file in the state folder where none is given.
    pub database: Option<String>,
    /// The certificate and key of TLS; without them, plain HTTP.
    pub tls: Option<Tls>,
    /// What is logged.
    pub log: Log,
    /// How the long work is done.
    pub work: Work,
    /// What one account may have.
    pub quota: Quotas,
    /// Templates and their calls.
    pub oos: OosSettings,
    /// Regions with their stores.
    pub region: Vec<Region>,
    /// Buckets.
    pub bucket: Vec<Bucket>,
    /// Accounts.
    pub account: Vec<Account>,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            listen: loopback(8080),
            oss_listen: loopback(8081),
            ops_listen: loopback(8082),
            state: PathBuf::from("kiln-state"),
            database: None,
            tls: None,
            log: Log::default(),
            work: Work::default(),
            quota: Quotas::default(),
            oos: OosSettings::default(),
            region: Vec::new(),
            bucket: Vec::new(),
            account: Vec::new(),
        }
    }
}

/// Files of TLS, in PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What is logged, on standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// As text for people, or JSON for programs.
    pub format: LogFormat,
    /// Such as `info`, or `info,kiln_factory=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,sqlx=warn,duroxide=warn".to_owned() }
    }
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How the long work is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Imports, copies and exports at once.
    pub concurrency: usize,
    /// Threads of one conversion; as many as there are processors where it is 0.
    pub threads: usize,
    /// zstd level of stored disks, 1 to 22.
    pub zstd_level: i32,
    /// Hours between collections of bytes that no image has; none where it is 0.
    pub gc_hours: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self { concurrency: 8, threads: 0, zstd_level: 3, gc_hours: 1 }
    }
}

/// Templates and their calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OosSettings {
    /// Where calls go that kiln has no action for, with the access key of the SDKs' environment
    /// variables; nowhere where it is empty.
    pub endpoint: String,
    /// Hosts that webhooks, HTTP requests of templates and `TemplateURL` may go to.
    pub allowed_hosts: Vec<String>,
    /// Folders of further templates and cloud product actions, which all accounts see as public.
    pub templates: Vec<PathBuf>,
    /// For how long executions are kept after their end.
    pub keep_executions: Keep,
}

/// A bucket of the OSS API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The region that it is in.
    pub region: String,
    /// Where its objects are: a folder, `s3://…` or `oss://…`.
    pub url: String,
    /// Whether the image service may use it.
    #[serde(default = "yes")]
    pub authorized: bool,
}

const fn yes() -> bool {
    true
}

/// An account: users with keys, roles, resource groups.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Digits.
    pub id: String,
    /// Access keys.
    #[serde(default)]
    pub key: Vec<AccessKey>,
    /// Roles that the service may take on. Without any, the two of the cloud's documentation are
    /// there, and may use all buckets that are authorised.
    #[serde(default)]
    pub role: Option<Vec<Role>>,
    /// Resource groups.
    #[serde(default)]
    pub resource_groups: Vec<String>,
}

/// An access key.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// The identifier.
    pub id: String,
    /// The secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// A file with the secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The user; `root` where none.
    #[serde(default = "root")]
    pub user: String,
    /// Whether it is switched off.
    #[serde(default)]
    pub disabled: bool,
    /// Policies as JSON; everything where there is none.
    #[serde(default)]
    pub policies: Option<Vec<String>>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn root() -> String {
    "root".to_owned()
}

/// A role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Policies as JSON.
    pub policies: Vec<String>,
}

/// The first key, as `kiln serve` writes it where no account is configured.
pub(crate) const CREDENTIALS_FILE: &str = "credentials.toml";

/// The most accounts and keys: a sanity limit, far above what a file is kept for.
const MAX_ENTRIES: usize = 100_000;

impl Config {
    /// Read a configuration.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or has something in it that is not understood.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Read a configuration from its text; `path` is its name for errors.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::syntax(&error, text, path))
    }

    /// Fill in what follows from the rest, and look for contradictions.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`], naming the field.
    pub fn complete(mut self) -> Result<Self, ConfigError> {
        let value = |told: String| Err(ConfigError::Value(told));
        if !(1..=22).contains(&self.work.zstd_level) {
            return value(format!("work.zstd_level is {}: 1 to 22", self.work.zstd_level));
        }
        if self.work.concurrency == 0 || self.work.concurrency > 256 {
            return value(format!("work.concurrency is {}: 1 to 256", self.work.concurrency));
        }
        self.state = std::path::absolute(&self.state)
            .map_err(|source| ConfigError::Read { path: self.state.clone(), source })?;
        if self.region.is_empty() {
            let region = |id: &str| Region {
                id: id.to_owned(),
                name: String::new(),
                url: String::new(),
                zones: Vec::new(),
            };
            self.region = vec![region("cn-hangzhou"), region("cn-beijing")];
        }
        if self.bucket.is_empty() {
            for region in &self.region {
                self.bucket.push(Bucket {
                    name: format!("kiln-{}", region.id),
                    region: region.id.clone(),
                    url: self.state.join("buckets").join(&region.id).display().to_string(),
                    authorized: true,
                });
            }
        }
        let state = &self.state;
        for region in &mut self.region {
            if region.zones.is_empty() {
                region.zones.push(format!("{}-a", region.id));
            }
            if region.url.is_empty() {
                region.url = state.join("disks").join(&region.id).display().to_string();
            }
            if region.name.is_empty() {
                region.name.clone_from(&region.id);
            }
        }
        self.contradictions()?;
        Ok(self)
    }

    fn contradictions(&self) -> Result<(), ConfigError> {
        let mut regions = BTreeSet::new();
        for region in &self.region {
            if !regions.insert(region.id.as_str()) {
                let told = format!("the region {} is there twice", region.id);
                return Err(ConfigError::Value(told));
            }
        }
        for bucket in &self.bucket {
            if !regions.contains(bucket.region.as_str()) {
                let told = format!(
                    "the bucket {} is in {}, which is no region",
                    bucket.name, bucket.region
                );
                return Err(ConfigError::Value(told));
            }
        }
        Ok(())
    }

    /// The database.
    #[must_use]
    pub fn database_url(&self) -> String {
        let file = || format!("sqlite://{}", self.state.join("kiln.db").display());
        self.database.clone().unwrap_or_else(file)
    }

    /// The store of each region.
    #[must_use]
    pub fn stores(&self) -> BTreeMap<String, String> {
        self.region.iter().map(|region| (region.id.clone(), region.url.clone())).collect()
    }

    /// The buckets.
    #[must_use]
    pub fn buckets(&self) -> Vec<BucketSettings> {
        let settings = |bucket: &Bucket| BucketSettings {
            name: bucket.name.clone(),
            region: bucket.region.clone(),
            url: bucket.url.clone(),
            authorized: bucket.authorized,
        };
        self.bucket.iter().map(settings).collect()
    }

    /// Accounts, keys and roles, with the secrets read from their files.
    ///
    /// # Errors
    ///
    /// Where a secret cannot be read, a policy is not understood, or a key is there twice.
    pub(crate) fn accounts(&self) -> Result<State, ConfigError> {
        let mut state = State::default();
        for account in &self.account {
            let is_digits = account.id.bytes().all(|byte| byte.is_ascii_digit());
            if !is_digits || account.id.is_empty() || account.id.len() > 18 {
                let told = format!("the account {:?} is not of 1 to 18 digits", account.id);
                return Err(ConfigError::Value(told));
            }
            state.accounts.push(account.id.clone());
            state.resource_groups.insert(account.id.clone(), account.resource_groups.clone());
            for key in &account.key {
                let policies = policies(&key.id, key.policies.as_deref())?;
                let entry = Key {
                    secret: secret(key)?,
                    is_disabled: key.disabled,
                    caller: Caller::new(account.id.clone(), key.user.clone(), policies),
                };
                if state.keys.insert(key.id.clone(), entry).is_some() {
                    let told = format!("the access key {} is there twice", key.id);
                    return Err(ConfigError::Value(told));
                }
            }
            for (name, policies) in roles(account)? {
                state.roles.insert((account.id.clone(), name), policies);
            }
        }
        if state.keys.len() > MAX_ENTRIES {
            return Err(ConfigError::Value(format!("more than {MAX_ENTRIES} access keys")));
        }
        Ok(state)
    }
}

fn policies(owner: &str, documents: Option<&[String]>) -> Result<Vec<Policy>, ConfigError> {
    let Some(documents) = documents else { return Ok(vec![Policy::administrator()]) };
    let parse = |document: &String| {
        Policy::parse(document)
            .map_err(|source| ConfigError::Policy { owner: owner.to_owned(), source })
    };
    documents.iter().map(parse).collect()
}

fn secret(key: &AccessKey) -> Result<String, ConfigError> {
    let secret = match (&key.secret, &key.secret_file) {
        (Some(secret), None) => secret.clone(),
        (None, Some(path)) => fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?
            .trim()
            .to_owned(),
        _ => {
            let told = format!("the access key {} needs either secret or secret_file", key.id);
            return Err(ConfigError::Value(told));
        }
    };
    if secret.is_empty() {
        return Err(ConfigError::Value(format!("the secret of {} is empty", key.id)));
    }
    Ok(secret)
}

/// The roles of an account: those that are configured, or the two that are documented.
fn roles(account: &Account) -> Result<Vec<(String, Vec<Policy>)>, ConfigError> {
    let Some(configured) = &account.role else {
        let names = ["AliyunECSImageImportDefaultRole", "AliyunECSImageExportDefaultRole"];
        return Ok(names.map(|name| (name.to_owned(), vec![Policy::administrator()])).into());
    };
    let role = |role: &Role| Ok((role.name.clone(), policies(&role.name, Some(&role.policies))?));
    configured.iter().map(role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("kiln.toml"))?.complete()
    }

    #[test]
    fn nothing_configured_is_a_server_on_loopback_with_two_regions() {
        let config = parse("").unwrap();
        assert!(config.listen.ip().is_loopback() && config.oss_listen.ip().is_loopback());
        assert_eq!(config.region.len(), 2);
        assert_eq!(config.region[0].zones, ["cn-hangzhou-a"]);
        assert_eq!(config.bucket.len(), 2);
        assert!(config.database_url().starts_with("sqlite:///"));
        assert!(config.accounts().unwrap().keys.is_empty());
    }

    #[test]
    fn errors_name_the_file_the_line_and_the_field() {
        for (text, told) in [
            ("lisen = \"127.0.0.1:1\"", "unknown field `lisen`"),
            ("\n[work]\nconcurrency = \"two\"", "line 3"),
            ("[oos]\nkeep_executions = \"soon\"", "`soon` is no duration"),
            ("[work]\nzstd_level = 23", "work.zstd_level is 23"),
            ("[[region]]\nid = \"a\"\n[[region]]\nid = \"a\"", "the region a is there twice"),
            (
                "[[bucket]]\nname = \"b\"\nregion = \"x\"\nurl = \"/b\"\nauthorized = true",
                "the bucket b is in x",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn keys_and_roles_are_read_and_contradictions_refused() {
        let account = |key: &str| format!("[[account]]\nid = \"1\"\n[[account.key]]\n{key}");
        let state = parse(&account("id = \"k\"\nsecret = \"s\"")).unwrap().accounts().unwrap();
        assert!(state.keys["k"].caller.may("ecs:DeleteImage", "acs:ecs:r:1:image/x"));
        assert_eq!(state.roles.len(), 2);
        for (key, told) in [
            ("id = \"k\"", "needs either secret or secret_file"),
            ("id = \"k\"\nsecret = \"\"", "is empty"),
            ("id = \"k\"\nsecret = \"s\"\npolicies = [\"{}\"]", "the policy of k"),
        ] {
            let error = parse(&account(key)).unwrap().accounts().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let restricted = account("id = \"k\"\nsecret = \"s\"\npolicies = []");
        let state = parse(&restricted).unwrap().accounts().unwrap();
        assert!(!state.keys["k"].caller.may("ecs:DescribeImages", "*"));
    }
}
