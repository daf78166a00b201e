//! `s3://bucket/key` and `oss://bucket/key`, through OpenDAL.
//!
//! Credentials, region and endpoint come from where the stores' own tools take them: the environment
//! (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`; `ALIBABA_CLOUD_ACCESS_KEY_ID`,
//! `OSS_ENDPOINT`), and for S3 also its configuration files. Without credentials the object is
//! asked for unsigned, which is how public images are read.

use std::env;
use std::fmt;
use std::future;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use opendal::{ErrorKind, Operator, services};
use tokio::runtime::{Builder, Handle};

use super::{Failure, Fetch, Remote};
use crate::counting::Counter;
use crate::{Error, Kind, Result};

/// Open the object at `scheme://rest`.
///
/// # Errors
///
/// `NotFound`; `Io` for all else, with a hint where a setting is missing.
pub(crate) fn open(scheme: &str, rest: &str, fetched: Counter) -> Result<Remote<Object>> {
    let (bucket, key) =
        rest.split_once('/').filter(|(b, k)| !b.is_empty() && !k.is_empty()).ok_or_else(|| {
            Error::new(Kind::NotFound, "the URL names no object")
                .hint(format!("write {scheme}://BUCKET/KEY"))
        })?;
    let operator = store(scheme, bucket, "").map_err(|error| explain(&error).error)?;
    let runtime = runtime()?;
    let mut object = Object { operator, runtime, key: key.to_owned(), version: None };
    let (size_bytes, version) = super::with_retries(|| object.stat())?;
    object.version = version;
    Ok(Remote::new(object, size_bytes, fetched))
}

/// Where requests are driven: a thread of its own, one for the process, since the HTTP client and its
/// open connections are one for the process, too. With a runtime an object, the second object was
/// given a connection that the first one's runtime had to drive, and waited for ever.
fn runtime() -> Result<Handle> {
    static RUNNING: Mutex<Option<Handle>> = Mutex::new(None);
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*running {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(future::pending::<()>());
    thread::Builder::new().name("object store".into()).spawn(drive)?;
    *running = Some(handle.clone());
    Ok(handle)
}

/// The bucket of an object store (`s3`, or else `oss`) below `prefix`, which may be empty, with the
/// settings of the environment.
///
/// # Errors
///
/// `ConfigInvalid` where a setting is missing.
pub fn store(scheme: &str, bucket: &str, prefix: &str) -> opendal::Result<Operator> {
    // Another part of the process may have chosen a provider already; then that one serves.
    drop(rustls::crypto::ring::default_provider().install_default());
    opendal_http_transport_reqwest::install_default();
    match scheme {
        "s3" => s3(bucket, prefix),
        _ => oss(bucket, prefix),
    }
}

fn s3(bucket: &str, prefix: &str) -> opendal::Result<Operator> {
    let mut builder = services::S3::default().bucket(bucket).root(prefix);
    if let Ok(endpoint) = env::var("AWS_ENDPOINT_URL") {
        builder = builder.endpoint(&endpoint);
    }
    if let Ok(region) = env::var("AWS_REGION").or_else(|_| env::var("AWS_DEFAULT_REGION")) {
        builder = builder.region(&region);
    }
    if env::var_os("AWS_ACCESS_KEY_ID").is_none() && env::var_os("AWS_PROFILE").is_none() {
        builder = builder.skip_signature();
    }
    Operator::new(builder)
}

fn oss(bucket: &str, prefix: &str) -> opendal::Result<Operator> {
    let mut builder = services::Oss::default().bucket(bucket).root(prefix);
    if let Ok(endpoint) = env::var("OSS_ENDPOINT") {
        builder = builder.endpoint(&endpoint);
    }
    match (env::var("ALIBABA_CLOUD_ACCESS_KEY_ID"), env::var("ALIBABA_CLOUD_ACCESS_KEY_SECRET")) {
        (Ok(id), Ok(secret)) => {
            builder = builder.access_key_id(&id).access_key_secret(&secret);
        }
        _ => builder = builder.skip_signature(),
    }
    Operator::new(builder)
}

/// An object in a bucket, in one version.
pub(crate) struct Object {
    operator: Operator,
    runtime: Handle,
    key: String,
    version: Option<String>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.key)
    }
}

impl Object {
    fn stat(&self) -> Result<(u64, Option<String>), Failure> {
        let stat = self.runtime.block_on(self.operator.stat(&self.key));
        let stat = stat.map_err(|error| explain(&error))?;
        Ok((stat.content_length(), stat.etag().map(str::to_owned)))
    }
}

impl Fetch for Object {
    fn fetch(&self, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let mut read = self.operator.read_with(&self.key).range(range);
        // The version is held to where the store names one: a replaced object then fails the
        // condition instead of being taken for the same disk.
        if let Some(etag) = &self.version {
            read = read.if_match(etag);
        }
        let result = self.runtime.block_on(read.into_future());
        result.map(|buffer| buffer.to_vec()).map_err(|error| explain(&error))
    }
}

fn explain(error: &opendal::Error) -> Failure {
    let told = error.to_string();
    // The first line says what and why; the rest is the request with its headers.
    let told = told.lines().next().unwrap_or("the object store failed").to_owned();
    let lasting = |kind| Failure::lasting(Error::new(kind, told.clone()));
    match error.kind() {
        ErrorKind::NotFound => lasting(Kind::NotFound),
        ErrorKind::ConditionNotMatch => {
            let error = Error::new(Kind::Io, "the object changed in the bucket while it was read");
            Failure::lasting(error.hint("run the command again"))
        }
        ErrorKind::ConfigInvalid => {
            let hint = "set AWS_REGION (and AWS_ENDPOINT_URL) for s3://, OSS_ENDPOINT for oss://";
            Failure::lasting(Error::new(Kind::Io, told).hint(hint))
        }
        ErrorKind::PermissionDenied => {
            let hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://, \
                        ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET for oss://";
            Failure::lasting(Error::new(Kind::Io, told).hint(hint))
        }
        _ if error.is_temporary() => Failure::passing(told),
        _ => lasting(Kind::Io),
    }
}
