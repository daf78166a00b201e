//! `kiln serve` and `kiln gc`: the image service, and the bytes that no image has any more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, ValueEnum};
use kiln_server::{Config, LogFormat};

use crate::output;

/// Serve the ECS image API, the OOS API and the OSS API
///
/// Official SDKs and tools work against it unchanged: point them at the address. Without a
/// configuration it makes an account with one access key in the state folder, prints the key once,
/// and has two regions with a bucket each. It listens on loopback unless told otherwise.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  kiln serve                                   everything in ./kiln-state, on 127.0.0.1:8080
  kiln serve --config /etc/kiln.toml
  kiln serve --state /var/lib/kiln --database postgres://kiln@db/kiln
  kill -HUP $(pidof kiln)                      read accounts, keys and policies again

The configuration is described in docs/operations.md.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    service: ServiceArgs,
    /// Where the ECS API listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "KILN_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where the OSS API listens [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS", env = "KILN_OSS_LISTEN")]
    oss_listen: Option<SocketAddr>,
    /// Where /healthz, /readyz and /metrics listen [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDRESS", env = "KILN_OPS_LISTEN")]
    ops_listen: Option<SocketAddr>,
    /// How to log [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", env = "KILN_LOG_FORMAT")]
    log_format: Option<Format>,
    /// What to log, such as `info` or `info,kiln_factory=debug`
    #[arg(long, value_name = "FILTER", env = "KILN_LOG")]
    log: Option<String>,
}

/// Which service is meant
#[derive(Clone, Debug, Args)]
struct ServiceArgs {
    /// The configuration, a TOML file
    #[arg(long, value_name = "FILE", env = "KILN_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for the database, disks and the first key [default: kiln-state]
    #[arg(long, value_name = "DIR", env = "KILN_STATE")]
    state: Option<PathBuf>,
    /// The database: sqlite:///PATH or postgres://... [default: a file in the state folder]
    #[arg(long, value_name = "URL", env = "KILN_DATABASE", hide_env_values = true)]
    database: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Delete stored disks that no image has any more
///
/// The server does this by itself every hour; this is for a server that is stopped. Disks younger
/// than --min-age are left alone.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  kiln gc --state /var/lib/kiln --dry-run
  kiln gc --config /etc/kiln.toml --min-age 0")]
pub(crate) struct GcArgs {
    #[command(flatten)]
    service: ServiceArgs,
    /// Seconds that a disk must be old
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    min_age: u64,
    /// Only count what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

impl ServiceArgs {
    fn config(&self) -> Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if let Some(state) = &self.state {
            config.state.clone_from(state);
        }
        if self.database.is_some() {
            config.database.clone_from(&self.database);
        }
        Ok(config)
    }
}

pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode> {
    let mut config = args.service.config()?;
    config.listen = args.listen.unwrap_or(config.listen);
    config.oss_listen = args.oss_listen.unwrap_or(config.oss_listen);
    config.ops_listen = args.ops_listen.unwrap_or(config.ops_listen);
    match args.log_format {
        Some(Format::Text) => config.log.format = LogFormat::Text,
        Some(Format::Json) => config.log.format = LogFormat::Json,
        None => {}
    }
    if let Some(filter) = &args.log {
        config.log.filter.clone_from(filter);
    }
    let service = args.service.clone();
    kiln_server::serve(config, move || service.config())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn collect(args: &GcArgs) -> Result<ExitCode> {
    let config = args.service.config()?;
    let min_age = Duration::from_secs(args.min_age);
    let done = kiln_server::collect(config, Some(min_age), !args.dry_run)?;
    let text = if args.json {
        let numbers = serde_json::json!({
            "kept": done.kept, "deleted": done.deleted, "bytes": done.bytes, "young": done.young,
        });
        format!("{numbers}\n")
    } else {
        let verb = if args.dry_run { "would be deleted" } else { "deleted" };
        format!(
            "{} kept, {} {verb} ({} bytes), {} too young\n",
            done.kept, done.deleted, done.bytes, done.young
        )
    };
    output::exact(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
