//! A body on its way to where it is kept: in bounded pieces, hashed as it passes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use kiln_oss::documents::Code;
use md5::{Digest, Md5};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::failure::Failure;
use super::request::Asked;

/// Most bytes of one `PutObject` or one part: 5 GiB, as OSS has it.
pub(super) const MAX_BODY_BYTES: u64 = 5 << 30;

/// How much is gathered before it is hashed and written, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// What a body came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) size_bytes: u64,
    /// MD5, 32 upper-case hexadecimal digits.
    pub(super) md5: String,
    pub(super) crc64: u64,
}

/// Where a body goes. Dropped before it is finished, a file is removed.
pub(super) enum Sink {
    File(Temporary),
    Remote(Box<opendal::Writer>),
}

/// A file that is removed unless it is given its name.
#[derive(Debug)]
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    /// A new file in `directory`, which is made where it is missing.
    pub(super) fn new(directory: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}.tmp", Uuid::new_v4().simple()));
        Ok(Self { file: File::create_new(&path)?, path })
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Have the content on the disk and then under `target`. The file's metadata on the way is
    /// handed to `before`, which runs between the two.
    pub(super) fn keep(
        self,
        target: &Path,
        before: impl FnOnce(&fs::Metadata) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        self.file.sync_all()?;
        before(&self.file.metadata()?)?;
        fs::rename(&self.path, target)?;
        match target.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing under this name any more.
        drop(fs::remove_file(&self.path));
    }
}

/// Both sums of all that passed.
pub(super) struct Sums {
    md5: Md5,
    crc64: crc64fast::Digest,
    size_bytes: u64,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { md5: Md5::new(), crc64: crc64fast::Digest::new(), size_bytes: 0 }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.crc64.write(bytes);
        self.size_bytes += bytes.len() as u64;
    }

    pub(super) fn finish(self) -> Received {
        Received {
            size_bytes: self.size_bytes,
            md5: format!("{:X}", self.md5.finalize()),
            crc64: self.crc64.sum64(),
        }
    }
}

impl Sink {
    async fn write(self, bytes: Bytes, mut sums: Sums) -> Result<(Self, Sums), Failure> {
        match self {
            Self::File(mut temporary) => {
                blocking(move || {
                    sums.add(&bytes);
                    temporary.file.write_all(&bytes)?;
                    Ok((Self::File(temporary), sums))
                })
                .await
            }
            Self::Remote(mut writer) => {
                let hashed = bytes.clone();
                let sums = blocking(move || {
                    sums.add(&hashed);
                    Ok(sums)
                })
                .await?;
                if let Err(error) = writer.write(bytes).await {
                    drop(writer.abort().await);
                    return Err(error.into());
                }
                Ok((Self::Remote(writer), sums))
            }
        }
    }

    pub(super) async fn discard(self) {
        if let Self::Remote(mut writer) = self {
            drop(writer.abort().await);
        }
    }
}

/// Pass `body` on to `sink`, and check its length and its `Content-MD5`.
pub(super) async fn receive(
    asked: &Asked,
    body: Body,
    mut sink: Sink,
) -> Result<(Sink, Received), Failure> {
    let (mut sums, mut stream) = (Sums::new(), body.into_data_stream());
    let mut gathered = BytesMut::new();
    let mut total = 0_u64;
    loop {
        let piece = match next(&mut stream).await {
            Ok(piece) => piece,
            Err(failure) => {
                sink.discard().await;
                return Err(failure);
            }
        };
        total += piece.as_ref().map_or(0, Bytes::len) as u64;
        if total > MAX_BODY_BYTES {
            sink.discard().await;
            return Err(Code::EntityTooLarge.into());
        }
        let is_last = piece.is_none();
        gathered.extend_from_slice(&piece.unwrap_or_default());
        if gathered.len() >= CHUNK_BYTES || (is_last && !gathered.is_empty()) {
            (sink, sums) = sink.write(gathered.split().freeze(), sums).await?;
        }
        if is_last {
            break;
        }
    }
    let received = sums.finish();
    if let Err(failure) = check(asked, &received) {
        sink.discard().await;
        return Err(failure);
    }
    Ok((sink, received))
}

/// Refuse a body before it is read, where its headers already tell that it cannot be kept.
pub(super) fn foresee(asked: &Asked) -> Result<(), Failure> {
    if asked.length().is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Code::EntityTooLarge.into());
    }
    match asked.header("content-md5").map(|text| STANDARD.decode(text)) {
        None => Ok(()),
        Some(Ok(md5)) if md5.len() == 16 => Ok(()),
        Some(_) => Err(Code::InvalidDigest.into()),
    }
}

fn check(asked: &Asked, received: &Received) -> Result<(), Failure> {
    if asked.length().is_some_and(|length| length != received.size_bytes) {
        return Err(Failure::argument("Content-Length", "the number of bytes that were sent"));
    }
    let wanted = asked.header("content-md5").map(|text| STANDARD.decode(text));
    let found = |md5: &[u8]| md5.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    match wanted {
        Some(Ok(md5)) if found(&md5) != received.md5 => Err(Code::InvalidDigest.into()),
        _ => Ok(()),
    }
}

/// A body that is read into memory, at most `limit` bytes of it.
pub(super) async fn document(body: Body, limit: usize) -> Result<Vec<u8>, Failure> {
    let (mut stream, mut bytes) = (body.into_data_stream(), Vec::new());
    while let Some(piece) = next(&mut stream).await? {
        if bytes.len() + piece.len() > limit {
            return Err(Failure::new(
                Code::EntityTooLarge,
                format!("the body is longer than {limit} bytes"),
            ));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

async fn next(stream: &mut axum::body::BodyDataStream) -> Result<Option<Bytes>, Failure> {
    match tokio::time::timeout(SILENCE, stream.next()).await {
        Err(_) => Err(Code::RequestTimeout.into()),
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(_))) => {
            Err(Failure::new(Code::RequestTimeout, "the body ended before its length was sent"))
        }
    }
}

/// Run what waits for the disk where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work).await.map_err(Failure::internal)?
}
