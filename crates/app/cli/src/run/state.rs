//! Where embedded executions are kept: a database, and for each run how its calls are answered.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use kiln_factory::executions::{
    Caller, Clock, ExecutionView, Executions, NoCaller, RpcCaller, RpcSettings, ShelfLibrary,
    SimCaller,
};
use kiln_oos::run::Settings;
use kiln_sim::World;
use kiln_store::Database;
use serde::{Deserialize, Serialize};

use super::args::{StateArgs, WorldArgs};
use crate::Hinted;
use crate::template::ShelfArgs;

/// How the calls of a run are answered; kept beside it, so that it can go on later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setting {
    /// The text of the world, where it is made up.
    #[serde(skip)]
    world: Option<String>,
    is_sim: bool,
    endpoint: Option<String>,
    time_scale: f64,
    allow_host: Vec<String>,
    actions: Vec<PathBuf>,
}

impl Setting {
    pub(super) fn new(world: &WorldArgs, shelf: &ShelfArgs) -> Result<Self> {
        let text = world.sim.as_deref().map(world_text).transpose()?;
        if text.is_none() && (world.time_scale - 1.0).abs() > f64::EPSILON {
            let message = "--time-scale needs --sim: a real endpoint keeps its own time";
            return Err(Hinted::new(message.to_owned(), "add --sim empty").into());
        }
        let endpoint = world.endpoint.clone().or_else(|| std::env::var("KILN_ENDPOINT").ok());
        Ok(Self {
            is_sim: text.is_some(),
            world: text,
            endpoint,
            time_scale: world.time_scale,
            allow_host: world.allow_host.clone(),
            actions: shelf.actions.clone(),
        })
    }
}

/// The text of a world: a file, or one that kiln ships.
fn world_text(name: &str) -> Result<String> {
    if let Some(text) = kiln_sim::shipped(name) {
        return Ok(text.to_owned());
    }
    fs::read_to_string(name).with_context(|| {
        let known: Vec<_> = kiln_sim::SHIPPED.iter().map(|(own, _)| *own).collect();
        format!("{name} is neither a file nor one of the worlds {}", known.join(", "))
    })
}

/// The state folder.
pub(super) struct State {
    folder: PathBuf,
}

impl State {
    /// Open the folder, and make it where it is not there: for its owner only.
    pub(super) fn open(args: &StateArgs) -> Result<Self> {
        let folder = match &args.state {
            Some(folder) => folder.clone(),
            None => default_folder()?,
        };
        let make = || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join("runs"))?;
            folder.canonicalize()
        };
        let folder = make().with_context(|| format!("cannot use {}", folder.display()))?;
        Ok(Self { folder })
    }

    async fn database(&self) -> Result<Database> {
        let path = self.folder.join("runs.db");
        let url = format!("sqlite://{}", path.display());
        Database::open(&url).await.with_context(|| format!("cannot open {}", path.display()))
    }

    /// The executions, with calls answered as `setting` says. A run that is `new` has its world
    /// begin; one that goes on finds it as it was.
    pub(super) async fn executions(
        &self,
        id: &str,
        setting: &Setting,
        new: bool,
    ) -> Result<Executions> {
        let mut shelf = kiln_factory::executions::Shelf::shipped();
        for folder in &setting.actions {
            shelf.add(folder)?;
        }
        let clock = Clock::scaled(setting.time_scale);
        let caller = self.caller(id, setting, new)?;
        let library = Arc::new(ShelfLibrary::new(shelf));
        let database = self.database().await?;
        Ok(Executions::open(database, caller, library, clock, Settings::default(), id).await?)
    }

    fn caller(&self, id: &str, setting: &Setting, new: bool) -> Result<Arc<dyn Caller>> {
        if setting.is_sim {
            let file = self.world_file(id);
            let caller = match &setting.world {
                Some(text) if new => SimCaller::kept(World::parse(text)?, &file)?,
                _ => SimCaller::load(&file)?,
            };
            return Ok(Arc::new(caller));
        }
        let settings = RpcSettings {
            endpoint: setting.endpoint.clone(),
            allowed_hosts: setting.allow_host.clone(),
        };
        match RpcCaller::from_environment(settings) {
            Ok(caller) => Ok(Arc::new(caller)),
            Err(error) => {
                let hint = "give --sim WORLD to rehearse, or set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET";
                Err(Hinted::new(error.to_string(), hint).into())
            }
        }
    }

    /// The executions for looking and deciding: nothing is called.
    pub(super) async fn records(&self) -> Result<Executions> {
        let (clock, library) = (Clock::real(), Arc::new(ShelfLibrary::default()));
        let (caller, settings) = (Arc::new(NoCaller), Settings::default());
        let owner = format!("looks:{}", std::process::id());
        let database = self.database().await?;
        Ok(Executions::open(database, caller, library, clock, settings, &owner).await?)
    }

    /// Hold a run: until the file is closed, or this process has ended in whatever way, no other
    /// process drives it. None where another does.
    pub(super) fn hold(&self, id: &str) -> Result<Option<fs::File>> {
        let path = self.folder.join("runs").join(format!("{id}.lock"));
        let open = || {
            let file = fs::File::create(&path)?;
            match file.try_lock() {
                Ok(()) => Ok(Some(file)),
                Err(fs::TryLockError::WouldBlock) => Ok(None),
                Err(fs::TryLockError::Error(error)) => Err(error),
            }
        };
        open().with_context(|| format!("cannot use {}", path.display()))
    }

    fn setting_file(&self, id: &str) -> PathBuf {
        self.folder.join("runs").join(format!("{id}.json"))
    }

    fn world_file(&self, id: &str) -> PathBuf {
        self.folder.join("runs").join(format!("{id}.world"))
    }

    /// Keep how the calls of a run are answered.
    pub(super) fn keep(&self, id: &str, setting: &Setting) -> Result<()> {
        write(&self.setting_file(id), &serde_json::to_string(setting)?)
    }

    /// How the calls of a run are answered.
    pub(super) fn setting(&self, id: &str) -> Result<Setting> {
        let file = self.setting_file(id);
        let text = fs::read_to_string(&file).map_err(|_| {
            anyhow!("{id} is not one of the executions in {}", self.folder.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} cannot be read", file.display()))
    }

    /// Let go of what is kept of a run beside its records.
    pub(super) fn forget(&self, id: &str) {
        // What is left over is small, and means nothing without the records.
        let _ = fs::remove_file(self.setting_file(id));
        let _ = fs::remove_file(self.world_file(id));
        let _ = fs::remove_file(self.folder.join("runs").join(format!("{id}.lock")));
    }

    /// An execution as it is stored.
    pub(super) async fn view(&self, executions: &Executions, id: &str) -> Result<ExecutionView> {
        executions
            .view(super::ACCOUNT, id)
            .await?
            .ok_or_else(|| anyhow!("there is no execution {id}"))
    }
}

fn default_folder() -> Result<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let base = base.ok_or_else(|| {
        Hinted::new("there is no home folder".to_owned(), "name a state folder by --state DIR")
    })?;
    Ok(base.join("kiln"))
}

/// Write a file by a rename.
fn write(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let make = || {
        fs::File::create(&new)?.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    };
    make().with_context(|| format!("cannot write {}", path.display()))
}
