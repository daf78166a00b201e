//! `GET` of a bucket: its objects, in the order of their keys' bytes.
//!
//! A local bucket is walked in that order, one directory at a time and of each only so many names
//! as can still be answered, so that a directory of a million files costs time and no memory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::TryStreamExt;
use jiff::Timestamp;
use kiln_oss::address::MAX_KEY_BYTES;
use kiln_oss::documents::{CommonPrefix, ListBucketResult, ObjectEntry, url_encoded};
use kiln_store::Bucket;

use super::failure::Failure;
use super::receive::blocking;
use super::sidecar::{self, Sidecar};
use super::{Answered, Call, document};

/// Objects on a page where the client names no number, and the most it may name.
const PAGE: (u32, u32) = (100, 1000);

/// Names of one directory that are held at a time.
const BATCH: usize = 1024;

/// What to list.
#[derive(Clone, Debug, Default)]
struct Wanted {
    prefix: String,
    delimiter: String,
    after: String,
    max: usize,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Page {
    objects: Vec<ObjectEntry>,
    prefixes: Vec<String>,
    /// The last key or prefix on the page.
    last: String,
    is_truncated: bool,
}

/// What to do with a key.
#[derive(Debug, PartialEq)]
enum Place {
    Skip,
    Object,
    Prefix(String),
}

/// `GET`, version 1 or `list-type=2`.
pub(super) async fn list(call: &Call<'_>, bucket: &Bucket) -> Answered {
    call.authorize("oss:ListObjects", bucket, None)?;
    let asked = call.asked;
    let is_v2 = asked.parameter("list-type") == Some("2");
    let text = |name: &str| asked.parameter(name).unwrap_or_default().to_owned();
    let max = asked.number("max-keys", 1, PAGE.1)?.unwrap_or(PAGE.0);
    let after = match (is_v2, asked.parameter("continuation-token")) {
        (true, Some(token)) => after_token(token)?,
        (true, None) => text("start-after"),
        (false, _) => text("marker"),
    };
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    for (name, value) in [("prefix", &prefix), ("delimiter", &delimiter), ("marker", &after)] {
        if value.len() > MAX_KEY_BYTES {
            return Err(Failure::argument(name, "at most 1023 bytes long"));
        }
    }
    let wanted = Wanted { prefix, delimiter, after, max: max as usize };
    let page = page(bucket, wanted.clone()).await?;
    document(&result(call, bucket, is_v2, wanted, page))
}

fn after_token(token: &str) -> Result<String, Failure> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Failure::argument("continuation-token", "the token of the page before"))
}

fn result(
    call: &Call<'_>,
    bucket: &Bucket,
    is_v2: bool,
    wanted: Wanted,
    page: Page,
) -> ListBucketResult {
    let asked = call.asked;
    let is_encoded = asked.parameter("encoding-type") == Some("url");
    let shown = |text: &str| if is_encoded { url_encoded(text) } else { text.to_owned() };
    let count = page.objects.len() + page.prefixes.len();
    let given = |name: &str| asked.parameter(name).map(shown);
    let encoded = |mut entry: ObjectEntry| {
        entry.key = shown(&entry.key);
        entry
    };
    let next = page.is_truncated.then_some(page.last);
    let prefix = |prefix: &String| CommonPrefix { prefix: shown(prefix) };
    ListBucketResult {
        name: bucket.settings.name.clone(),
        prefix: shown(&wanted.prefix),
        marker: (!is_v2).then(|| shown(&wanted.after)),
        start_after: is_v2.then(|| given("start-after")).flatten(),
        continuation_token: asked.parameter("continuation-token").map(Into::into),
        max_keys: u32::try_from(wanted.max).unwrap_or(PAGE.1),
        delimiter: shown(&wanted.delimiter),
        encoding_type: is_encoded.then_some("url"),
        is_truncated: page.is_truncated,
        next_marker: if is_v2 { None } else { next.as_deref().map(shown) },
        next_continuation_token: next.filter(|_| is_v2).map(|last| URL_SAFE_NO_PAD.encode(last)),
        common_prefixes: page.prefixes.iter().map(prefix).collect(),
        contents: page.objects.into_iter().map(encoded).collect(),
        key_count: is_v2.then(|| u32::try_from(count).unwrap_or(PAGE.1)),
    }
}

async fn page(bucket: &Bucket, wanted: Wanted) -> Result<Page, Failure> {
    if let Some(root) = bucket.root().map(ToOwned::to_owned) {
        return blocking(move || {
            let mut page = Page::default();
            walk(&root, "", &wanted, &mut page)?;
            Ok(page)
        })
        .await;
    }
    let mut page = Page::default();
    let mut list = bucket.operator().lister_with(&wanted.prefix).recursive(true);
    if !wanted.after.is_empty() {
        list = list.start_after(&wanted.after);
    }
    let mut lister = list.await?;
    while let Some(entry) = lister.try_next().await? {
        let meta = entry.metadata();
        if !meta.is_file() {
            continue;
        }
        let object = || ObjectEntry {
            key: entry.path().into(),
            last_modified: meta.last_modified().map_or(Timestamp::UNIX_EPOCH, Into::into),
            e_tag: meta.etag().unwrap_or_default().into(),
            r#type: "Normal",
            size: meta.content_length(),
            storage_class: "Standard".into(),
            owner: None,
        };
        if !page.add(entry.path(), &wanted, || Ok(Some(object())))? {
            break;
        }
    }
    Ok(page)
}

impl Wanted {
    fn place(&self, key: &str, last: &str) -> Place {
        let Some(rest) = key.strip_prefix(self.prefix.as_str()) else { return Place::Skip };
        if key <= self.after.as_str() {
            return Place::Skip;
        }
        let cut = match self.delimiter.as_str() {
            "" => None,
            delimiter => rest.find(delimiter).map(|at| at + delimiter.len()),
        };
        match cut.and_then(|cut| key.get(..self.prefix.len() + cut)) {
            None => Place::Object,
            // Shown already, on this page or as the last of the one before.
            Some(prefix) if prefix == last || prefix == self.after => Place::Skip,
            Some(prefix) => Place::Prefix(prefix.into()),
        }
    }

    /// Whether any key below `directory`, which ends in a slash, may be wanted.
    fn is_entered(&self, directory: &str, page: &Page) -> bool {
        let may_match = directory.starts_with(&self.prefix) || self.prefix.starts_with(directory);
        let is_past = directory > self.after.as_str() || self.after.starts_with(directory);
        // All below a prefix that was shown is in it.
        let ends = |prefix: &str| {
            !self.delimiter.is_empty()
                && prefix.len() > self.prefix.len()
                && prefix.ends_with(&self.delimiter)
                && directory.starts_with(prefix)
        };
        let is_shown = page.prefixes.last().is_some_and(|prefix| ends(prefix)) || ends(&self.after);
        may_match && is_past && !is_shown
    }
}

impl Page {
    /// Take `key` in, the next one in order; `false` where the page is full. `entry` has none
    /// for a key that went away meanwhile.
    fn add(
        &mut self,
        key: &str,
        wanted: &Wanted,
        entry: impl FnOnce() -> io::Result<Option<ObjectEntry>>,
    ) -> io::Result<bool> {
        let place = wanted.place(key, self.prefixes.last().map_or("", String::as_str));
        if place == Place::Skip {
            return Ok(true);
        }
        if self.objects.len() + self.prefixes.len() >= wanted.max {
            self.is_truncated = true;
            return Ok(false);
        }
        match place {
            Place::Prefix(prefix) => {
                self.last.clone_from(&prefix);
                self.prefixes.push(prefix);
            }
            _ => {
                if let Some(entry) = entry()? {
                    self.last = key.into();
                    self.objects.push(entry);
                }
            }
        }
        Ok(true)
    }
}

/// List what lies in `directory`, empty or ending in a slash; `false` where the page is full. A
/// key has at most 1,023 bytes, which bounds the depth.
fn walk(root: &Path, directory: &str, wanted: &Wanted, page: &mut Page) -> io::Result<bool> {
    let mut after = String::new();
    loop {
        let names = names(&root.join(directory), directory, &after)?;
        for name in &names {
            let key = format!("{directory}{name}");
            let goes_on = if name.ends_with('/') {
                !wanted.is_entered(&key, page) || walk(root, &key, wanted, page)?
            } else {
                page.add(&key, wanted, || object(root, &key))?
            };
            if !goes_on {
                return Ok(false);
            }
        }
        let is_all = names.len() < BATCH;
        match names.into_iter().next_back() {
            Some(last) if !is_all => after = last,
            _ => return Ok(true),
        }
    }
}

/// The first names of a directory past `after`, a subdirectory's with its slash, as keys sort. No
/// symbolic links to directories: they may lead in a circle.
fn names(path: &Path, directory: &str, after: &str) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if directory.is_empty() && name == ".kiln" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        if name.as_str() <= after || directory.len() + name.len() > MAX_KEY_BYTES {
            continue;
        }
        names.insert(name);
        if names.len() > BATCH {
            names.pop_last();
        }
    }
    Ok(names)
}

fn object(root: &Path, key: &str) -> io::Result<Option<ObjectEntry>> {
    let meta = match fs::metadata(root.join(key)) {
        Ok(meta) if meta.is_file() => meta,
        // Gone since, a link to nothing, or no file at all.
        _ => return Ok(None),
    };
    let known = Sidecar::of(root, key, &meta);
    Ok(Some(ObjectEntry {
        key: key.into(),
        last_modified: sidecar::modified(&meta),
        r#type: if known.etag.contains('-') { "Multipart" } else { "Normal" },
        e_tag: known.etag,
        size: meta.len(),
        storage_class: "Standard".into(),
        owner: None,
    }))
}
