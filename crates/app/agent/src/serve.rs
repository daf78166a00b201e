//! Calls in, events out, until the host says that it is enough or goes away.

use std::fs::File;
use std::time::{Duration, Instant};

use kiln_rpc::{
    Answer, CHUNK_BYTES, Call, Edited, Event, Failure, FrameError, Greeting, PROTOCOL, Request,
};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::content::Content;
use crate::failure::{Result, failure};
use crate::node::Tree;
use crate::volume::{self, Volumes};
use crate::{boot, exec, read, write};

/// Between two notes of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Greet, then answer calls. Ends well when the host is done or gone.
pub(crate) fn run(mut port: File) -> Result<()> {
    let host = greet(&mut port)?;
    if let Some(time_s) = host.time_s {
        let time = Timespec { tv_sec: time_s.try_into().unwrap_or(0), tv_nsec: 0 };
        if let Err(error) = clock_settime(ClockId::Realtime, time) {
            boot::say(&format!("set the clock: {error}"));
        }
    }
    Server { port, volumes: Volumes::default(), tree: None }.serve()
}

/// Say who this is, and learn who the host is.
pub(crate) fn greet(port: &mut File) -> Result<Greeting> {
    let greeting = Greeting {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        time_s: None,
    };
    kiln_rpc::write(port, &greeting.encode()).map_err(lost)?;
    let host = kiln_rpc::read(port).and_then(|frame| Greeting::decode(&frame));
    let host = host.map_err(lost)?;
    if host.protocol != PROTOCOL {
        let message = format!("kiln speaks protocol {}, this agent {PROTOCOL}", host.protocol);
        return Err(failure(Errno::PROTO, message));
    }
    Ok(host)
}

pub(crate) fn lost(error: FrameError) -> Failure {
    failure(Errno::IO, format!("the port: {error}"))
}

struct Server {
    port: File,
    volumes: Volumes,
    /// `None` until the root is mounted.
    tree: Option<Tree>,
}

impl Server {
    fn serve(&mut self) -> Result<()> {
        loop {
            let call: Call = match kiln_rpc::receive(&mut self.port) {
                // The host is gone, and with it whoever wanted the disks.
                Err(FrameError::Closed) => return Ok(()),
                other => other.map_err(lost)?,
            };
            let is_last = call.request == Request::PowerOff;
            let result = self.answer(call.id, call.request);
            self.send(&Event::Done { id: call.id, result })?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn send(&mut self, event: &Event) -> Result<()> {
        kiln_rpc::send(&mut self.port, event).map_err(lost)
    }

    fn answer(&mut self, id: u32, request: Request) -> Result<Answer> {
        match &request {
            Request::Disks => Ok(Answer::Disks(volume::disks()?)),
            Request::PowerOff => Ok(Answer::Done),
            Request::Finish => {
                self.tree = None;
                self.volumes.finish()?;
                Ok(Answer::Done)
            }
            Request::Mount(mount) => {
                self.volumes.mount(self.tree.as_ref(), mount)?;
                if self.tree.is_none() {
                    self.tree = Some(Tree::open()?);
                }
                Ok(Answer::Done)
            }
            Request::Put { .. } | Request::Append { .. } => self.receive(&request),
            request => self.work(id, request),
        }
    }

    fn work(&mut self, id: u32, request: &Request) -> Result<Answer> {
        let Self { port, tree, .. } = self;
        let tree = mounted(tree)?;
        let mut told = Instant::now();
        let progress = |done_bytes, total_bytes| {
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                // A host that is gone is noticed at the end of the call.
                let _ = kiln_rpc::send(port, &Event::Progress { id, done_bytes, total_bytes });
            }
        };
        match request {
            Request::Stat { path } => Ok(Answer::Stat(read::stat(tree, path)?)),
            Request::Digest { path } => Ok(Answer::Digest(read::digest(tree, path, progress)?)),
            Request::Read { path, offset_bytes, length_bytes } => {
                let content = read::content(tree, path, *offset_bytes, *length_bytes)?;
                Ok(Answer::Content(content.into()))
            }
            Request::List { path, after } => {
                read::list(tree, path, after.as_ref().map(|after| &after[..]))
            }
            Request::FreeSpace { path } => Ok(Answer::Space(read::space(tree, path)?)),
            Request::Copy { from, to } => edited(write::copy(tree, from, to, progress)),
            Request::Remove { path, recursive } => edited(write::remove(tree, path, *recursive)),
            Request::Rename { from, to } => edited(write::rename(tree, from, to)),
            Request::Symlink { path, target, attributes } => {
                edited(write::symlink(tree, path, target, attributes))
            }
            Request::MakeDir { path, attributes } => {
                edited(write::make_dir(tree, path, attributes))
            }
            Request::SetAttributes { path, change } => {
                edited(write::set_attributes(tree, path, change))
            }
            Request::Exec(exec) => Ok(Answer::Exec(exec::run(tree, exec)?)),
            Request::Disks
            | Request::Mount(_)
            | Request::Put { .. }
            | Request::Append { .. }
            | Request::Finish
            | Request::PowerOff => Err(failure(Errno::INVAL, "not a call on the tree")),
        }
    }

    /// Calls that content follows, which is taken from the port whatever comes of them.
    fn receive(&mut self, request: &Request) -> Result<Answer> {
        let Self { port, tree, .. } = self;
        let mut content = Content::new(port, request.content_bytes());
        let result = mounted(tree).and_then(|tree| match request {
            Request::Put { path, attributes, .. } => {
                edited(write::put(tree, path, attributes, &mut content))
            }
            Request::Append { path, expected_size_bytes, .. } => {
                edited(write::append(tree, path, *expected_size_bytes, &mut content))
            }
            _ => Err(failure(Errno::INVAL, "no content belongs to this call")),
        });
        content.drain();
        result
    }
}

fn mounted(tree: &Option<Tree>) -> Result<&Tree> {
    tree.as_ref().ok_or_else(|| failure(Errno::NOENT, "nothing is mounted"))
}

fn edited(result: Result<Edited>) -> Result<Answer> {
    result.map(Answer::Edited)
}

// A chunk and its message fit a frame.
const _: () = assert!(CHUNK_BYTES * 2 <= kiln_rpc::MAX_FRAME_BYTES);
