//! Uploads in parts: each part a file of its own until the client says that they are an object.
//!
//! An upload is a directory: `upload.json` tells what it is for, `N.json` what part N came to and
//! in which file it lies. A part that is sent again gets a new file and then replaces the other's
//! record, so that a record always tells of a whole file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use kiln_oss::documents::{
    Code, CompleteMultipartUploadResult, CompletePart, InitiateMultipartUploadResult,
    ListPartsResult, MAX_COMPLETE_BYTES, MAX_PARTS, PartEntry, complete_parts, url_encoded,
};
use kiln_store::Bucket;
use md5::{Digest, Md5};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::failure::Failure;
use super::objects::{close, described, is_new, local, not_new, refuse_existing, writer};
use super::receive::{
    Sink, Sums, Temporary, blocking, document as read_document, foresee, receive,
};
use super::sidecar::{self, Sidecar, write_json};
use super::{Answered, Call, document};

/// Most unfinished uploads of a bucket.
const MAX_UPLOADS: usize = 1000;

/// Least size of every part but the last, in bytes.
const MIN_PART_BYTES: u64 = 100 << 10;

/// How much is put together at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// What an upload is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Upload {
    key: String,
    described: Sidecar,
}

/// A part that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    file: String,
    size_bytes: u64,
    md5: String,
    crc64: u64,
    modified: Timestamp,
}

fn uploads(call: &Call<'_>, bucket: &Bucket) -> PathBuf {
    match bucket.root() {
        Some(root) => sidecar::own(root).join("uploads"),
        None => call.state.spool.join("uploads").join(&bucket.settings.name),
    }
}

/// The directory of the upload that is asked for, and what it is for.
async fn find(call: &Call<'_>, bucket: &Bucket, key: &str) -> Result<(PathBuf, Upload), Failure> {
    let id = call.asked.parameter("uploadId").unwrap_or_default();
    // Only what kiln made up becomes a path.
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Code::NoSuchUpload.into());
    }
    let directory = uploads(call, bucket).join(id);
    let path = directory.join("upload.json");
    let upload: Option<Upload> = blocking(move || Ok(read_json(&path)?)).await?;
    match upload.filter(|upload| upload.key == key) {
        Some(upload) => Ok((directory, upload)),
        None => Err(Code::NoSuchUpload.into()),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `POST ?uploads`.
pub(super) async fn initiate(call: &Call<'_>, bucket: &Bucket, key: &str) -> Answered {
    call.authorize("oss:PutObject", bucket, Some(key))?;
    if bucket.root().is_some() {
        local(bucket, key)?;
    }
    let upload = Upload { key: key.into(), described: described(call.asked)? };
    let id = Uuid::new_v4().simple().to_string().to_ascii_uppercase();
    let all = uploads(call, bucket);
    let directory = all.join(&id);
    blocking(move || {
        fs::create_dir_all(&all)?;
        if fs::read_dir(&all)?.count() >= MAX_UPLOADS {
            return Err(Failure::new(
                Code::InvalidArgument,
                format!("the bucket has {MAX_UPLOADS} unfinished uploads: complete or abort some"),
            ));
        }
        Ok(write_json(&directory.join("upload.json"), &upload)?)
    })
    .await?;
    document(&InitiateMultipartUploadResult {
        bucket: bucket.settings.name.clone(),
        key: shown(call, key),
        upload_id: id,
    })
}

/// A key as the client asked to have it.
fn shown(call: &Call<'_>, key: &str) -> String {
    match call.asked.parameter("encoding-type") {
        Some("url") => url_encoded(key),
        _ => key.into(),
    }
}

/// `PUT ?partNumber&uploadId`.
pub(super) async fn put_part(call: &Call<'_>, bucket: &Bucket, key: &str, body: Body) -> Answered {
    call.authorize("oss:PutObject", bucket, Some(key))?;
    if call.asked.header("x-oss-copy-source").is_some() {
        return Err(Code::NotImplemented.into());
    }
    foresee(call.asked)?;
    let number = call.asked.number("partNumber", 1, MAX_PARTS as u32)?;
    let number = number.ok_or_else(|| Failure::argument("partNumber", "a number from 1 on"))?;
    let (directory, _) = find(call, bucket, key).await?;
    let within = directory.clone();
    let file = blocking(move || Ok(Temporary::new(&within)?)).await?;
    let (sink, received) = receive(call.asked, body, Sink::File(file)).await?;
    let Sink::File(file) = sink else { return Err(Code::InternalError.into()) };
    let part = Part {
        file: format!("{}.part", Uuid::new_v4().simple()),
        size_bytes: received.size_bytes,
        md5: received.md5,
        crc64: received.crc64,
        modified: Timestamp::now(),
    };
    let (etag, crc64) = (format!("\"{}\"", part.md5), part.crc64.to_string());
    blocking(move || {
        let record = directory.join(format!("{number}.json"));
        let before: Option<Part> = read_json(&record)?;
        file.keep(&directory.join(&part.file), |_| Ok(()))?;
        write_json(&record, &part)?;
        if let Some(before) = before {
            drop(fs::remove_file(directory.join(before.file)));
        }
        Ok(())
    })
    .await?;
    let mut response = Response::new(Body::empty());
    for (name, value) in [("etag", etag), ("x-oss-hash-crc64ecma", crc64)] {
        let value = HeaderValue::from_str(&value).map_err(Failure::internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// `GET ?uploadId`.
pub(super) async fn list_parts(call: &Call<'_>, bucket: &Bucket, key: &str) -> Answered {
    call.authorize("oss:ListParts", bucket, Some(key))?;
    let max_parts = call.asked.number("max-parts", 1, 1000)?.unwrap_or(1000);
    let marker = call.asked.number("part-number-marker", 0, u32::MAX)?.unwrap_or(0);
    let (directory, _) = find(call, bucket, key).await?;
    let (part, is_truncated) = blocking(move || Ok(parts(&directory, marker, max_parts)?)).await?;
    document(&ListPartsResult {
        bucket: bucket.settings.name.clone(),
        key: shown(call, key),
        upload_id: call.asked.parameter("uploadId").unwrap_or_default().into(),
        storage_class: "Standard".into(),
        part_number_marker: marker,
        next_part_number_marker: part.last().map_or(marker, |part| part.part_number),
        max_parts,
        is_truncated,
        part,
    })
}

/// The parts after `marker`, and whether there are more than `max` of them.
fn parts(directory: &Path, marker: u32, max: u32) -> io::Result<(Vec<PartEntry>, bool)> {
    let mut entries = Vec::new();
    for number in (1..=MAX_PARTS as u32).filter(|&number| number > marker) {
        let part: Option<Part> = read_json(&directory.join(format!("{number}.json")))?;
        let Some(part) = part else { continue };
        if entries.len() >= max as usize {
            return Ok((entries, true));
        }
        entries.push(PartEntry {
            part_number: number,
            last_modified: part.modified,
            e_tag: format!("\"{}\"", part.md5),
            size: part.size_bytes,
        });
    }
    Ok((entries, false))
}

/// `DELETE ?uploadId`.
pub(super) async fn abort(call: &Call<'_>, bucket: &Bucket, key: &str) -> Answered {
    call.authorize("oss:AbortMultipartUpload", bucket, Some(key))?;
    let (directory, _) = find(call, bucket, key).await?;
    blocking(move || Ok(fs::remove_dir_all(directory)?)).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// `POST ?uploadId`.
pub(super) async fn complete(call: &Call<'_>, bucket: &Bucket, key: &str, body: Body) -> Answered {
    call.authorize("oss:PutObject", bucket, Some(key))?;
    let (directory, upload) = find(call, bucket, key).await?;
    let listed = complete_parts(&read_document(body, MAX_COMPLETE_BYTES).await?)?;
    let is_new = is_new(call.asked);
    let within = directory.clone();
    let (files, etag) = blocking(move || chosen(&within, &listed)).await?;
    let described = Sidecar { etag: etag.clone(), ..upload.described };
    let crc64 = match bucket.root() {
        Some(root) => {
            let (root, target, key) = (root.to_owned(), local(bucket, key)?, key.to_owned());
            blocking(move || {
                let mut file = Temporary::new(&sidecar::own(&root).join("tmp"))?;
                let sums = joined(&files, file.file())?;
                let crc64 = sums.finish().crc64;
                let known = Sidecar { crc64: Some(crc64), ..described };
                sidecar::commit(&root, &key, &target, file, known, is_new).map_err(not_new)?;
                Ok(crc64)
            })
            .await?
        }
        None => {
            refuse_existing(bucket, key, is_new).await?;
            let writer = writer(bucket, key, &described).await?;
            pass_on(files, writer).await?
        }
    };
    blocking(move || {
        // The object is there; what is left of its parts is no reason to tell of a failure.
        drop(fs::remove_dir_all(directory));
        Ok(())
    })
    .await?;
    let mut response = document(&CompleteMultipartUploadResult {
        location: format!("/{}/{}", bucket.settings.name, url_encoded(key)),
        bucket: bucket.settings.name.clone(),
        key: shown(call, key),
        e_tag: etag.clone(),
    })?;
    for (name, value) in [("etag", etag), ("x-oss-hash-crc64ecma", crc64.to_string())] {
        let value = HeaderValue::from_str(&value).map_err(Failure::internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// The files of the parts that the client lists, and the ETag of the object that they make: the
/// MD5 of the parts' MD5s, and their number.
fn chosen(directory: &Path, listed: &[CompletePart]) -> Result<(Vec<PathBuf>, String), Failure> {
    let (mut files, mut md5) = (Vec::with_capacity(listed.len()), Md5::new());
    for (at, wanted) in listed.iter().enumerate() {
        let number = wanted.number;
        let refused = |why: &str| Failure::new(Code::InvalidPart, format!("part {number} {why}"));
        let part: Option<Part> = read_json(&directory.join(format!("{number}.json")))?;
        let part = part.ok_or_else(|| refused("was not uploaded"))?;
        if part.md5 != wanted.etag {
            return Err(refused("has another ETag than the one listed"));
        }
        if part.size_bytes < MIN_PART_BYTES && at + 1 < listed.len() {
            let why = format!(
                "part {number} has {} bytes: only the last may have fewer than 102400",
                part.size_bytes
            );
            return Err(Failure::new(Code::EntityTooSmall, why));
        }
        for pair in part.md5.as_bytes().chunks(2) {
            let byte =
                std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
            md5.update([byte.unwrap_or_default()]);
        }
        files.push(directory.join(part.file));
    }
    Ok((files, format!("\"{:X}-{}\"", md5.finalize(), listed.len())))
}

fn joined(files: &[PathBuf], to: &mut File) -> io::Result<Sums> {
    let (mut sums, mut buffer) = (Sums::new(), vec![0; CHUNK_BYTES]);
    for path in files {
        let mut from = File::open(path)?;
        loop {
            let n_read = from.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..n_read).filter(|bytes| !bytes.is_empty()) else { break };
            sums.add(bytes);
            to.write_all(bytes)?;
        }
    }
    Ok(sums)
}

/// Send the parts to a remote bucket, one after another.
async fn pass_on(files: Vec<PathBuf>, writer: opendal::Writer) -> Result<u64, Failure> {
    let (mut writer, mut sums) = (Box::new(writer), Sums::new());
    for path in files {
        let mut file = blocking(move || Ok(File::open(path)?)).await?;
        loop {
            let (same, bytes, added) = blocking(move || {
                let mut bytes = Vec::with_capacity(CHUNK_BYTES);
                (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
                sums.add(&bytes);
                Ok((file, Bytes::from(bytes), sums))
            })
            .await?;
            (file, sums) = (same, added);
            if bytes.is_empty() {
                break;
            }
            if let Err(error) = writer.write(bytes).await {
                drop(writer.abort().await);
                return Err(error.into());
            }
        }
    }
    close(Sink::Remote(writer)).await?;
    Ok(sums.finish().crc64)
}
