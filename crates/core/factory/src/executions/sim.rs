//! Calls answered by a world that is made up, so that templates can be rehearsed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use kiln_oos::run::{ApiError, HttpAnswer, HttpRequest, Request};
use kiln_sim::{Call, World};
use serde_json::Value;

use super::caller::{Caller, Later, has_path, only_reads};

/// A caller that answers from a world.
#[derive(Debug)]
pub struct SimCaller {
    world: Mutex<World>,
    /// Where the world is kept, so that a run that is killed finds it as it was.
    file: Option<PathBuf>,
}

/// Why a world cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct WorldFileError {
    path: PathBuf,
    why: String,
}

impl SimCaller {
    /// A world in memory only.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world: Mutex::new(world), file: None }
    }

    /// A world that is kept in `file`, and stored there now.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn kept(world: World, file: &Path) -> Result<Self, WorldFileError> {
        let caller = Self { world: Mutex::new(world), file: Some(file.to_owned()) };
        caller.save()?;
        Ok(caller)
    }

    /// A world that was kept in `file`.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, or holds no world.
    pub fn load(file: &Path) -> Result<Self, WorldFileError> {
        let wrong = |why: String| WorldFileError { path: file.to_owned(), why };
        let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let state: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let world = World::load(state).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { world: Mutex::new(world), file: Some(file.to_owned()) })
    }

    /// The world as it is.
    pub fn with<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Store the world by a rename: a process that is killed leaves the old one or the new one.
    fn save(&self) -> Result<(), WorldFileError> {
        let Some(file) = &self.file else { return Ok(()) };
        let state = self.with(World::save).to_string();
        let new = file.with_extension("new");
        let write = || {
            let mut out = fs::File::create(&new)?;
            out.write_all(state.as_bytes())?;
            fs::rename(&new, file)
        };
        write().map_err(|error| WorldFileError { path: file.clone(), why: error.to_string() })
    }

    fn answer(&self, request: &Request, now: Timestamp) -> Result<Value, ApiError> {
        if request.roa.is_some() {
            return Err(has_path(request, "the made-up world has none that has"));
        }
        let mut parameters = request.parameters.clone();
        let reads = only_reads(&request.api);
        if !reads && !parameters.contains_key("ClientToken") {
            parameters.insert("ClientToken".to_owned(), Value::from(request.token.as_str()));
        }
        let call = Call {
            service: &request.service,
            api: &request.api,
            region: &request.region,
            account: &request.account,
            parameters: &parameters,
        };
        let result = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            world.call(now, &call)
        };
        self.save().map_err(|error| ApiError {
            status: 0,
            code: "Sim.World".to_owned(),
            message: error.to_string(),
            request_id: String::new(),
        })?;
        result.map_err(|fault| ApiError {
            status: fault.status,
            code: fault.code,
            message: fault.message,
            request_id: String::new(),
        })
    }
}

impl Caller for SimCaller {
    fn call<'a>(
        &'a self,
        request: &'a Request,
        now: Timestamp,
    ) -> Later<'a, Result<Value, ApiError>> {
        Box::pin(async move { self.answer(request, now) })
    }

    /// Messages are taken in and go nowhere.
    fn http<'a>(&'a self, _request: &'a HttpRequest) -> Later<'a, Result<HttpAnswer, String>> {
        Box::pin(async { Ok(HttpAnswer { status: 200, body: "{}".to_owned() }) })
    }
}
