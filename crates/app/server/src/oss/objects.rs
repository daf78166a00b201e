//! One object: put, get, head, delete.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use jiff::Timestamp;
use kiln_oss::address::Key;
use kiln_oss::documents::{Code, DeleteEntry, DeleteResult, delete_request, url_encoded};
use kiln_oss::range::{self, Answer, Part};
use kiln_store::Bucket;
use opendal::Reader;
use tokio::task::spawn_blocking;

use super::failure::Failure;
use super::receive::{
    Received, Sink, Temporary, blocking, document as read_document, foresee, receive,
};
use super::request::Asked;
use super::sidecar::{self, DEFAULT_TYPE, Sidecar};
use super::{Answered, Call, document};

/// Largest body of `POST ?delete`, in bytes.
const MAX_DELETE_BYTES: usize = 1 << 20;

/// How much of an object is in memory at a time, in bytes.
const CHUNK_BYTES: u64 = 256 << 10;

/// Most bytes of the headers that a client has kept with an object.
const MAX_META_BYTES: usize = 8 << 10;

/// Size of a part of an upload to a remote bucket, in bytes, and how many are sent at a time.
const REMOTE_PART: (usize, usize) = (16 << 20, 2);

/// Headers that come back as they were put.
const KEPT: &[&str] =
    &["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// `PUT`.
pub(super) async fn put(call: &Call<'_>, bucket: &Bucket, key: &str, body: Body) -> Answered {
    call.authorize("oss:PutObject", bucket, Some(key))?;
    if call.asked.header("x-oss-copy-source").is_some() {
        return Err(Code::NotImplemented.into());
    }
    foresee(call.asked)?;
    let described = described(call.asked)?;
    let is_new = is_new(call.asked);
    let received = match bucket.root() {
        Some(root) => {
            let target = local(bucket, key)?;
            let root = root.to_owned();
            let directory = sidecar::own(&root).join("tmp");
            let file = blocking(move || Ok(Temporary::new(&directory)?)).await?;
            let (sink, received) = receive(call.asked, body, Sink::File(file)).await?;
            let etag = format!("\"{}\"", received.md5);
            let sidecar = Sidecar { etag, crc64: Some(received.crc64), ..described };
            let Sink::File(file) = sink else { return Err(Code::InternalError.into()) };
            let key = key.to_owned();
            blocking(move || {
                sidecar::commit(&root, &key, &target, file, sidecar, is_new).map_err(not_new)
            })
            .await?;
            received
        }
        None => {
            refuse_existing(bucket, key, is_new).await?;
            let sink = Sink::Remote(Box::new(writer(bucket, key, &described).await?));
            let (sink, received) = receive(call.asked, body, sink).await?;
            close(sink).await?;
            received
        }
    };
    Ok(kept(&received))
}

fn kept(received: &Received) -> Response {
    let mut response = Response::new(Body::empty());
    set(&mut response, "etag", &format!("\"{}\"", received.md5));
    set(&mut response, "x-oss-hash-crc64ecma", &received.crc64.to_string());
    response
}

/// Whether the client forbids to overwrite.
pub(super) fn is_new(asked: &Asked) -> bool {
    asked.header("x-oss-forbid-overwrite").is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// A remote store is only asked before; nothing holds it to the answer.
pub(super) async fn refuse_existing(
    bucket: &Bucket,
    key: &str,
    is_new: bool,
) -> Result<(), Failure> {
    match is_new && bucket.stat(key).await?.is_some() {
        true => Err(Code::FileAlreadyExists.into()),
        false => Ok(()),
    }
}

pub(super) fn not_new(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Code::FileAlreadyExists.into(),
        _ => error.into(),
    }
}

pub(super) async fn writer(
    bucket: &Bucket,
    key: &str,
    described: &Sidecar,
) -> Result<opendal::Writer, Failure> {
    let (size, n_parallel) = REMOTE_PART;
    let writer = bucket.operator().writer_with(key).chunk(size).concurrent(n_parallel);
    Ok(writer.content_type(&described.content_type).await?)
}

pub(super) async fn close(sink: Sink) -> Result<(), Failure> {
    let Sink::Remote(mut writer) = sink else { return Err(Code::InternalError.into()) };
    match writer.close().await {
        Ok(_) => Ok(()),
        Err(error) => {
            drop(writer.abort().await);
            Err(error.into())
        }
    }
}

/// What the headers of a request tell of the object that is put.
pub(super) fn described(asked: &Asked) -> Result<Sidecar, Failure> {
    let own = asked.headers_under("x-oss-meta-");
    let kept = KEPT.iter().filter_map(|&name| Some((name, asked.header(name)?)));
    let headers: BTreeMap<String, String> =
        own.chain(kept).map(|(name, value)| (name.into(), value.into())).collect();
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_META_BYTES
    {
        return Err(Failure::new(
            Code::InvalidArgument,
            format!("the headers to keep are longer than {MAX_META_BYTES} bytes"),
        ));
    }
    let content_type = asked.header("content-type").unwrap_or(DEFAULT_TYPE).into();
    Ok(Sidecar { content_type, headers, ..Sidecar::default() })
}

/// Refuse a key that the way to a remote bucket would change: it drops blanks around a key and
/// empty parts in it, and one key must not lead to the object of another.
pub(super) fn plain(bucket: &Bucket, key: &str) -> Result<(), Failure> {
    let is_changed = key.trim() != key || key.split('/').any(str::is_empty);
    if bucket.root().is_none() && is_changed {
        let why = "the object name is not valid: it has blanks around it, an empty part between \
                   two slashes, or ends in one";
        return Err(Failure::new(Code::InvalidObjectName, why));
    }
    Ok(())
}

/// The file of `key` in a local bucket.
pub(super) fn local(bucket: &Bucket, key: &str) -> Result<PathBuf, Failure> {
    let why = "the object name is not valid: between two slashes it is empty, it ends in one, or \
               it starts with `.kiln/`";
    bucket.local_path(key).ok_or_else(|| Failure::new(Code::InvalidObjectName, why))
}

/// An object that is there.
struct Found {
    size_bytes: u64,
    modified: Timestamp,
    known: Sidecar,
    content: Content,
}

enum Content {
    File(File),
    Remote,
}

async fn find(bucket: &Bucket, key: &str) -> Result<Found, Failure> {
    let Some(root) = bucket.root().map(ToOwned::to_owned) else {
        let meta = bucket.operator().stat(key).await?;
        let known = Sidecar {
            etag: meta.etag().unwrap_or_default().into(),
            content_type: meta.content_type().unwrap_or(DEFAULT_TYPE).into(),
            ..Sidecar::default()
        };
        let modified = meta.last_modified().map_or(Timestamp::UNIX_EPOCH, Into::into);
        let size_bytes = meta.content_length();
        return Ok(Found { size_bytes, modified, known, content: Content::Remote });
    };
    let Some(path) = bucket.local_path(key) else { return Err(Code::NoSuchKey.into()) };
    let key = key.to_owned();
    blocking(move || {
        use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
        let file = File::open(&path).map_err(|error| match error.kind() {
            NotFound | NotADirectory | InvalidFilename => Code::NoSuchKey.into(),
            _ => Failure::internal(error),
        })?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(Code::NoSuchKey.into());
        }
        let known = Sidecar::of(&root, &key, &meta);
        let (size_bytes, modified) = (meta.len(), sidecar::modified(&meta));
        Ok(Found { size_bytes, modified, known, content: Content::File(file) })
    })
    .await
}

/// `HEAD`.
pub(super) async fn head(call: &Call<'_>, bucket: &Bucket, key: &str) -> Answered {
    call.authorize("oss:GetObject", bucket, Some(key))?;
    let found = find(bucket, key).await?;
    let mut response = Response::new(Body::empty());
    describe(&mut response, call.asked, &found);
    if let Some(status) = condition(call.asked, &found)? {
        *response.status_mut() = status;
        return Ok(response);
    }
    set(&mut response, "content-length", &found.size_bytes.to_string());
    Ok(response)
}

/// `GET`, whole or a range.
pub(super) async fn get(call: &Call<'_>, bucket: &Bucket, key: &str) -> Answered {
    call.authorize("oss:GetObject", bucket, Some(key))?;
    let found = find(bucket, key).await?;
    let mut response = Response::new(Body::empty());
    describe(&mut response, call.asked, &found);
    if let Some(status) = condition(call.asked, &found)? {
        *response.status_mut() = status;
        return Ok(response);
    }
    let size = found.size_bytes;
    let part = match range::answer(call.asked.header("range"), size) {
        Answer::Whole => size.checked_sub(1).map(|last| Part { first: 0, last }),
        Answer::Part(part) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, "content-range", &part.content_range(size));
            Some(part)
        }
        Answer::Unsatisfiable => {
            let content_range = Some(range::unsatisfied(size));
            return Err(Failure { content_range, ..Code::InvalidRange.into() });
        }
    };
    set(&mut response, "content-length", &part.map_or(0, Part::size_bytes).to_string());
    if let Some(part) = part {
        *response.body_mut() = content(bucket, key, found.content, part).await?;
    }
    Ok(response)
}

async fn content(
    bucket: &Bucket,
    key: &str,
    content: Content,
    part: Part,
) -> Result<Body, Failure> {
    let end = part.last.saturating_add(1);
    match content {
        Content::File(mut file) => {
            let file = blocking(move || {
                file.seek(SeekFrom::Start(part.first))?;
                Ok(file)
            })
            .await?;
            Ok(Body::from_stream(stream::try_unfold((file, part.size_bytes()), read_file)))
        }
        Content::Remote => {
            let reader: Reader = bucket.operator().reader(key).await?;
            let bytes = reader.into_bytes_stream(part.first..end).await?;
            Ok(Body::from_stream(bytes.map_err(io::Error::other)))
        }
    }
}

/// The next piece of a file, `left` bytes before the end of what was asked for.
async fn read_file((file, left): (File, u64)) -> io::Result<Option<(Bytes, (File, u64))>> {
    if left == 0 {
        return Ok(None);
    }
    let read = move || {
        let want = left.min(CHUNK_BYTES);
        let mut bytes = Vec::with_capacity(want as usize);
        (&file).take(want).read_to_end(&mut bytes)?;
        // A file that was cut meanwhile: the client must see a broken answer, not a short one.
        if bytes.len() as u64 != want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((Bytes::from(bytes), (file, left - want))))
    };
    spawn_blocking(read).await.map_err(io::Error::other)?
}

fn describe(response: &mut Response, asked: &Asked, found: &Found) {
    let known = &found.known;
    set(response, "etag", &known.etag);
    set(response, "content-type", &known.content_type);
    set(response, "accept-ranges", "bytes");
    set(
        response,
        "x-oss-object-type",
        if known.etag.contains('-') { "Multipart" } else { "Normal" },
    );
    set(response, "x-oss-storage-class", "Standard");
    let modified = found.modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    set(response, "last-modified", &modified);
    if let Some(crc64) = known.crc64 {
        set(response, "x-oss-hash-crc64ecma", &crc64.to_string());
    }
    for (name, value) in &known.headers {
        set(response, name, value);
    }
    for &name in KEPT.iter().chain(&["content-type"]) {
        if let Some(value) = asked.parameter(&format!("response-{name}")) {
            set(response, name, value);
        }
    }
}

/// A value that no header can have is left out; it came in one, so there is none.
fn set(response: &mut Response, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
        response.headers_mut().insert(name, value);
    }
}

/// `If-Match` and `If-None-Match`: a status to answer with instead of the object.
fn condition(asked: &Asked, found: &Found) -> Result<Option<StatusCode>, Failure> {
    let bare = |etag: &str| etag.trim().trim_matches('"').to_ascii_uppercase();
    let etag = bare(&found.known.etag);
    let matches = |list: &str| list.split(',').any(|one| one.trim() == "*" || bare(one) == etag);
    let held = asked.header(header::IF_MATCH.as_str());
    if held.is_some_and(|list| !matches(list)) {
        return Err(Code::PreconditionFailed.into());
    }
    let other = asked.header(header::IF_NONE_MATCH.as_str());
    Ok(other.is_some_and(matches).then_some(StatusCode::NOT_MODIFIED))
}

/// `DELETE`; also of an object that is not there.
pub(super) async fn delete(call: &Call<'_>, bucket: &Bucket, key: &str) -> Answered {
    call.authorize("oss:DeleteObject", bucket, Some(key))?;
    remove(bucket, key).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

async fn remove(bucket: &Bucket, key: &str) -> Result<(), Failure> {
    let Some(root) = bucket.root().map(ToOwned::to_owned) else {
        return Ok(bucket.operator().delete(key).await?);
    };
    // A name that no object can have is no object's.
    let Some(target) = bucket.local_path(key) else { return Ok(()) };
    let key = key.to_owned();
    blocking(move || Ok(sidecar::remove(&root, &key, &target)?)).await
}

/// `POST ?delete`.
pub(super) async fn delete_many(call: &Call<'_>, bucket: &Bucket, body: Body) -> Answered {
    let request = delete_request(&read_document(body, MAX_DELETE_BYTES).await?)?;
    // All are judged before one is deleted.
    for key in &request.keys {
        let key = Key::new(key)?;
        plain(bucket, key.as_str())?;
        call.authorize("oss:DeleteObject", bucket, Some(key.as_str()))?;
    }
    for key in &request.keys {
        remove(bucket, key).await?;
    }
    let encoding_type = match call.asked.parameter("encoding-type") {
        Some("url") => Some("url"),
        _ => None,
    };
    let entry = |key: String| DeleteEntry {
        key: if encoding_type.is_some() { url_encoded(&key) } else { key },
    };
    let keys = if request.is_quiet { Vec::new() } else { request.keys };
    document(&DeleteResult { encoding_type, deleted: keys.into_iter().map(entry).collect() })
}
