//! Starting and ending the service: folders, database, engine, listeners, signals.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum_server::Handle;
use jiff::Timestamp;
use kiln_factory::executions::{Clock, Engine, Executions, RpcCaller, RpcSettings, Shelf, Web};
use kiln_factory::images::{self, Collected, Images, Settings};
use kiln_store::{Blobs, Buckets, Database, Journal, Parameters, Records, Tags, Templates};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::config::{Config, LogFormat};
use crate::ecs::{self, Service};
use crate::listen::{self, Bound};
use crate::metrics::Metrics;
use crate::oos_api::{InProcess, Oos, StoreLibrary};
use crate::oss::{self, OssState};
use crate::regions::Regions;
use crate::{first_key, ops};

/// How long requests under way may take once the server is to end.
const GRACE: Duration = Duration::from_secs(10);

/// How often tasks are looked for whose orchestration did not begin.
const RESUME_INTERVAL: Duration = Duration::from_secs(30);

/// How often old executions are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(86_400);

/// Serve until a signal ends it. `reload` reads the configuration anew, for SIGHUP.
///
/// # Errors
///
/// Where the configuration, a folder, the database or an address cannot be used.
pub fn serve(
    config: Config,
    reload: impl Fn() -> Result<Config> + Send + Sync + 'static,
) -> Result<()> {
    log(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(config.complete()?, Box::new(reload)))
}

/// Delete the bytes that no image has, with the server stopped; only count them unless `is_real`.
///
/// # Errors
///
/// As [`serve`]; also where a server uses the state folder.
pub fn collect(config: Config, min_age: Option<Duration>, is_real: bool) -> Result<Collected> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = config.complete()?;
        let _state = State::lock(&config.state)?;
        let stores = Stores::open(&config).await?;
        let Stores { records, buckets, blobs, .. } = &stores;
        Ok(images::collect(records, buckets, blobs, min_age, is_real).await?)
    })
}

fn log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::new(&config.log.filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second server in one process keeps the log of the first.
    let _ = match config.log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// The state folder, held by this process alone as long as this is kept.
struct State {
    _lock: File,
    /// The name of whoever uses this folder among all that use the same database.
    node: String,
}

impl State {
    fn lock(folder: &Path) -> Result<Self> {
        let told = || format!("the state folder {}", folder.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(told)?;
        let path = folder.join("lock");
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = file.with_context(told)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let folder = folder.display();
                bail!("{folder} is used by another kiln; give this one --state of its own")
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(told),
        }
        let mut node = String::new();
        // What a first run was killed in the middle of writing is no name.
        let read = (&mut file).take(64).read_to_string(&mut node);
        if read.is_err() || Uuid::try_parse(&node).is_err() {
            node = Uuid::new_v4().to_string();
            file.set_len(0).with_context(told)?;
            file.write_all_at(node.as_bytes(), 0).with_context(told)?;
        }
        Ok(Self { _lock: file, node })
    }
}

/// Where everything is kept.
struct Stores {
    database: Database,
    records: Records,
    buckets: Buckets,
    blobs: Blobs,
}

impl Stores {
    async fn open(config: &Config) -> Result<Self> {
        let database = Database::open(&config.database_url()).await.context("the database")?;
        Ok(Self {
            records: Records::open(database.clone()).await.context("the records")?,
            buckets: Buckets::new(config.buckets()).context("the buckets")?,
            blobs: Blobs::new(config.stores()).context("the stores of the regions")?,
            database,
        })
    }

    /// Start the work on what is kept here.
    async fn start(&self, config: &Config, journal: Arc<Journal>) -> Result<Images> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = Settings {
            program: std::env::current_exe().context("the program")?,
            spool: config.state.join("spool"),
            concurrency: config.work.concurrency,
            threads: if config.work.threads == 0 { threads } else { config.work.threads },
            zstd_level: config.work.zstd_level,
        };
        let (records, buckets) = (self.records.clone(), self.buckets.clone());
        Ok(Images::start(records, journal, buckets, self.blobs.clone(), settings).await?)
    }
}

/// What templates run with, and who answers their calls.
///
/// The caller is told of the service once that is there: what an execution calls before is
/// answered as a passing failure, and called again.
async fn oos(
    config: &Config,
    database: &Database,
    journal: Arc<Journal>,
    node: &str,
) -> Result<(Oos, Arc<InProcess>)> {
    let mut shelf = Shelf::shipped();
    for folder in &config.oos.templates {
        shelf.add(folder).context("the templates")?;
    }
    for (path, why) in shelf.unread() {
        tracing::warn!(path = %path.display(), why, "a file is no template");
    }
    let shelf = Arc::new(shelf);
    let allowed = config.oos.allowed_hosts.clone();
    let remote = match config.oos.endpoint.as_str() {
        "" => None,
        endpoint => {
            let endpoint = Some(endpoint.to_owned());
            let settings = RpcSettings { endpoint, allowed_hosts: allowed.clone() };
            Some(RpcCaller::from_environment(settings).context("oos.endpoint")?)
        }
    };
    let web = Arc::new(Web::new(allowed, "add to oos.allowed_hosts"));
    let caller = Arc::new(InProcess::new(remote, Arc::clone(&web)));
    let templates = Templates::new(database.clone());
    let parameters = Parameters::new(database.clone());
    let library = StoreLibrary {
        shelf: Arc::clone(&shelf),
        templates: templates.clone(),
        parameters: parameters.clone(),
    };
    let executions = Executions::open(
        database.clone(),
        Arc::clone(&caller) as Arc<dyn kiln_factory::executions::Caller>,
        Arc::new(library),
        Clock::real(),
        kiln_oos::run::Settings::default(),
        node,
    );
    let executions = executions.await.context("the executions")?;
    let engine = Engine::start(executions.clone(), journal).await.context("the executions")?;
    let tags = Tags::new(database.clone());
    Ok((Oos { executions, engine, shelf, templates, parameters, tags, web }, caller))
}

type Reload = Box<dyn Fn() -> Result<Config> + Send + Sync>;

async fn run(mut config: Config, reload: Reload) -> Result<()> {
    let state = State::lock(&config.state)?;
    let shown = first_key::ensure(&mut config)?;
    let accounts = Accounts::new(config.accounts()?);
    let tls = listen::tls(config.tls.as_ref()).await?;
    // Addresses first: one that is taken should be told before any work is resumed.
    let ecs = Bound::new(config.listen, "the ECS API")?;
    let oss_listener = Bound::new(config.oss_listen, "the OSS API")?;
    let ops = Bound::new(config.ops_listen, "health and metrics")?;
    let stores = Stores::open(&config).await?;
    let journal = Journal::resume(stores.database.clone(), &state.node).await;
    let journal = Arc::new(journal.context("the journal")?);
    let images = stores.start(&config, Arc::clone(&journal)).await?;
    let (oos, caller) = oos(&config, &stores.database, journal, &state.node).await?;
    let Stores { database, records, buckets, .. } = stores;
    let service = Arc::new(Service {
        database,
        records,
        images,
        oos,
        regions: Regions::new(config.region.clone()),
        quotas: config.quota,
        accounts: accounts.clone(),
        metrics: Arc::new(Metrics::default()),
    });
    caller.serve(&service);
    if let Some(shown) = shown {
        std::io::stdout().write_all(shown.as_bytes()).context("standard output")?;
    }
    tracing::info!(ecs = %ecs.address, oss = %oss_listener.address, ops = %ops.address, "serving");
    let handle = Handle::new();
    let mut servers = JoinSet::new();
    servers.spawn(ecs.serve(ecs::router(Arc::clone(&service)), handle.clone(), tls.clone()));
    let oss_state = OssState {
        buckets,
        credentials: Arc::new(accounts.clone()),
        endpoint: String::new(),
        spool: config.state.join("uploads"),
    };
    servers.spawn(oss_listener.serve(oss::router(oss_state), handle.clone(), tls));
    servers.spawn(ops.serve(ops::router(Arc::clone(&service)), handle.clone(), None));
    let background = background(&service, &config);
    let ended = until_told(&mut servers, &accounts, &reload, &config).await;
    end(&handle, servers, background, &service).await;
    ended
}

/// Wait for a signal that ends the server, and reload on the one that does not.
async fn until_told(
    servers: &mut JoinSet<Result<()>>,
    accounts: &Accounts,
    reload: &Reload,
    config: &Config,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => match reloaded(reload, config) {
                Ok(state) => {
                    accounts.replace(state);
                    tracing::info!("accounts, keys and policies were read again");
                }
                Err(error) => tracing::error!(%error, "the configuration is kept as it was"),
            },
            Some(ended) = servers.join_next() => {
                ended.context("a listener")??;
                bail!("a listener ended");
            }
        }
    }
}

fn reloaded(reload: &Reload, config: &Config) -> Result<crate::accounts::State> {
    let mut fresh = reload()?.complete()?;
    fresh.state.clone_from(&config.state);
    first_key::ensure(&mut fresh)?;
    Ok(fresh.accounts()?)
}

/// What is done from time to time.
fn background(service: &Arc<Service>, config: &Config) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let shared = Arc::clone(service);
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(RESUME_INTERVAL).await;
            if let Err(error) = shared.images.resume().await {
                tracing::warn!(%error, "tasks were not looked through");
            }
            if let Err(error) = shared.oos.engine.resume().await {
                tracing::warn!(%error, "executions were not looked through");
            }
            if let Err(error) = shared.oos.engine.tidy(RESUME_INTERVAL).await {
                tracing::warn!(%error, "the journal was not tidied up");
            }
        }
    });
    if let Some(keep) = config.oos.keep_executions.duration() {
        tasks.spawn(forget_executions(Arc::clone(service), keep));
    }
    let hours = config.work.gc_hours;
    if hours > 0 {
        let shared = Arc::clone(service);
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(hours.saturating_mul(3600))).await;
                match shared.images.collect(None, true).await {
                    Ok(done) => tracing::info!(?done, "bytes without an image were collected"),
                    Err(error) => tracing::warn!(%error, "the collection was cut off"),
                }
                let before = Timestamp::now() - jiff::SignedDuration::from_hours(24);
                if let Err(error) = shared.records.forget_before(before).await {
                    tracing::warn!(%error, "old client tokens were not forgotten");
                }
            }
        });
    }
    tasks
}

/// Forget what ended longer ago than `keep`, soon after the start and then daily.
async fn forget_executions(service: Arc<Service>, keep: jiff::SignedDuration) {
    let mut wait = RESUME_INTERVAL;
    loop {
        tokio::time::sleep(wait).await;
        wait = FORGET_INTERVAL;
        // Nothing is older than time.
        let Ok(before) = Timestamp::now().checked_sub(keep) else { return };
        match service.oos.executions.forget_before(before).await {
            Ok(forgotten) => tracing::info!(forgotten, "old executions were forgotten"),
            Err(error) => tracing::warn!(%error, "old executions were not forgotten"),
        }
    }
}

async fn end(
    handle: &Handle<SocketAddr>,
    mut servers: JoinSet<Result<()>>,
    mut background: JoinSet<()>,
    service: &Service,
) {
    tracing::info!("ending");
    background.shutdown().await;
    handle.graceful_shutdown(Some(GRACE));
    while servers.join_next().await.is_some() {}
    // Work that is cut off goes on with the next start, so it is not waited for.
    service.oos.engine.shutdown(Duration::from_secs(1)).await;
    service.images.shutdown(Duration::from_secs(1)).await;
}
