//! `http://` and `https://`: GET with Range, from one version of one file.

use std::io::Read;
use std::ops::Range;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};

use super::{Failure, Fetch, Remote};
use crate::counting::Counter;
use crate::{Error, Kind, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// For one request, of 2 MiB at most: a server slower than that is as good as gone.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
const NO_RANGES: &str = "the server does not honour Range requests";
const NO_RANGES_HINT: &str =
    "download the image and check the file, or serve it by a server with Range support";

/// Open the file at `url`.
///
/// # Errors
///
/// `Unsupported` where the server ignores Range; `NotFound`; `Io` for all else.
pub(crate) fn open(url: &str, fetched: Counter) -> Result<Remote<HttpFile>> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(REQUEST_TIMEOUT))
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .build();
    let mut file =
        HttpFile { agent: Agent::new_with_config(config), url: url.to_owned(), version: None };
    let (size_bytes, version) = super::with_retries(|| file.probe())?;
    file.version = version;
    Ok(Remote::new(file, size_bytes, fetched))
}

/// A file on a web server, in one version.
#[derive(Debug)]
pub(crate) struct HttpFile {
    agent: Agent,
    url: String,
    /// The header that names the version, and its value: a file that is replaced while it is read
    /// must not be taken for one disk.
    version: Option<Version>,
}

/// The name of the header that tells the version, and its value.
type Version = (&'static str, String);

struct Answer {
    size_bytes: u64,
    version: Option<Version>,
    body: Vec<u8>,
}

impl HttpFile {
    /// Ask for one byte, to learn the size and whether ranges work.
    fn probe(&self) -> Result<(u64, Option<Version>), Failure> {
        let answer = self.get(0..1)?;
        Ok((answer.size_bytes, answer.version))
    }

    fn get(&self, range: Range<u64>) -> Result<Answer, Failure> {
        let wanted = range.end - range.start;
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let response = self.agent.get(&self.url).header("Range", header).call();
        let mut response = response.map_err(|error| Failure::passing(error.to_string()))?;
        judge(response.status())?;
        let size_bytes = content_range(response.headers(), &range)?;
        let version = version(response.headers());
        let mut body = Vec::new();
        // One byte more than was asked for shows a server that sends more.
        let mut limited = response.body_mut().as_reader().take(wanted + 1);
        limited.read_to_end(&mut body).map_err(|error| Failure::passing(error.to_string()))?;
        Ok(Answer { size_bytes, version, body })
    }
}

impl Fetch for HttpFile {
    fn fetch(&self, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let answer = self.get(range)?;
        if answer.version != self.version {
            let error = Error::new(Kind::Io, "the file changed on the server while it was read");
            return Err(Failure::lasting(error.hint("run the command again")));
        }
        Ok(answer.body)
    }
}

fn judge(status: StatusCode) -> Result<(), Failure> {
    let lasting = |kind, told: String| Err(Failure::lasting(Error::new(kind, told)));
    match status.as_u16() {
        206 => Ok(()),
        200 => Err(Failure::lasting(Error::unsupported(NO_RANGES).hint(NO_RANGES_HINT))),
        404 | 410 => lasting(Kind::NotFound, format!("the server answered {status}")),
        408 | 429 | 500..=599 => Err(Failure::passing(format!("the server answered {status}"))),
        416 => lasting(Kind::Corrupt, "the file is empty or shorter than it was".to_owned()),
        _ => lasting(Kind::Io, format!("the server answered {status}")),
    }
}

/// The size of the file out of `Content-Range: bytes 0-0/12345`, if it is about what was asked.
fn content_range(headers: &HeaderMap, asked: &Range<u64>) -> Result<u64, Failure> {
    let parse = || {
        let value = headers.get("content-range")?.to_str().ok()?;
        let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        (start.parse() == Ok(asked.start)).then(|| size.parse().ok())?
    };
    parse().ok_or_else(|| {
        let told = format!("{NO_RANGES}: Content-Range is missing or for another range");
        Failure::lasting(Error::unsupported(told).hint(NO_RANGES_HINT))
    })
}

fn version(headers: &HeaderMap) -> Option<Version> {
    ["etag", "last-modified"].into_iter().find_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name, value.to_owned()))
    })
}
