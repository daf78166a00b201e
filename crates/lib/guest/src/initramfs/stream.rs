//! Bytes on the way from a file through decompressors to the archive parser: large reads, one
//! buffer a stage, and nothing copied that is only skipped.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use kiln_volume::FileReader;

/// File systems and image formats answer large reads faster.
const READ_BYTES: usize = 1 << 20;
/// Fits in the second-level cache: what a decompressor wrote is still there when it is parsed.
const UNPACK_BYTES: usize = 256 << 10;
/// Below this, starting a thread costs more than it hides.
pub(super) const PREFETCH_FROM_BYTES: u64 = 2 << 20;

/// A part of a file: a whole initrd, or the `.initrd` section of a unified kernel image.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its name, for messages.
    pub(crate) path: String,
    /// The file.
    pub(crate) file: FileReader,
    /// Where the part starts, in bytes.
    pub(crate) offset_bytes: u64,
    /// Its length in bytes.
    pub(crate) length_bytes: u64,
}

impl Part {
    /// The whole of a file.
    pub(crate) fn whole(path: &str, file: FileReader) -> Self {
        let length_bytes = file.size_bytes();
        Self { path: path.to_owned(), file, offset_bytes: 0, length_bytes }
    }

    /// Its bytes from `position` on, counted from the start of the part.
    pub(crate) fn from(&self, position: u64) -> Range {
        let end = self.offset_bytes.saturating_add(self.length_bytes).min(self.file.size_bytes());
        Range { file: self.file.clone(), at: self.offset_bytes.saturating_add(position), end }
    }
}

/// Where [`Chunks`] come from.
pub(super) trait Stage: Read {
    /// Pass over up to `n` bytes without reading them; how many were passed over. 0: cannot.
    fn pass_over(&mut self, _n: u64) -> u64 {
        0
    }
}

/// A run of bytes of a file.
pub(crate) struct Range {
    file: FileReader,
    at: u64,
    end: u64,
}

impl Range {
    /// Bytes from here to the end.
    pub(super) fn remaining_bytes(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// Read in a thread of `scope`, two buffers ahead of who decompresses.
    pub(super) fn prefetch<'scope>(
        mut self,
        scope: &'scope std::thread::Scope<'scope, '_>,
    ) -> Prefetched {
        let (sender, receiver) = sync_channel(2);
        scope.spawn(move || self.send_all(&sender));
        Prefetched { receiver, current: Vec::new(), at: 0 }
    }

    /// Ends when the file does, at the first failure, or when nobody listens any more.
    fn send_all(&mut self, sender: &SyncSender<io::Result<Vec<u8>>>) {
        loop {
            let mut buffer = vec![0; READ_BYTES];
            let result = self.read(&mut buffer);
            let is_last = !matches!(result, Ok(n) if n > 0);
            let sent = sender.send(result.map(|n| {
                buffer.truncate(n);
                buffer
            }));
            if is_last || sent.is_err() {
                return;
            }
        }
    }
}

impl Read for Range {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.remaining_bytes()).unwrap_or(usize::MAX).min(buf.len());
        let n = self.file.read_at(self.at, &mut buf[..limit]).map_err(io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Stage for Range {
    fn pass_over(&mut self, n: u64) -> u64 {
        let n = n.min(self.remaining_bytes());
        self.at += n;
        n
    }
}

/// A [`Range`] that is read by another thread.
pub(super) struct Prefetched {
    receiver: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Prefetched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            self.current = match self.receiver.recv() {
                Ok(next) => next?,
                // The sender ends after the last buffer, which is empty.
                Err(_) => Vec::new(),
            };
            self.at = 0;
        }
        let n = (&self.current[self.at..]).read(buf)?;
        self.at += n;
        Ok(n)
    }
}

impl Stage for Prefetched {}

/// What a decompressor gives, counted against the budget.
pub(super) struct Unpacked<'a> {
    pub(super) decoder: Box<dyn Read + 'a>,
    pub(super) budget: &'a Budget,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.decoder.read(buf)?;
        self.budget.unpacked(n as u64)?;
        Ok(n)
    }
}

impl Stage for Unpacked<'_> {}

/// How much may come out of what was read, over all segments and levels.
#[derive(Debug, Default)]
pub(super) struct Budget {
    read_bytes: Cell<u64>,
    unpacked_bytes: Cell<u64>,
}

impl Budget {
    /// Larger than any initramfs that fits in the memory of a small instance.
    const MAX_UNPACKED_BYTES: u64 = 2 << 30;
    /// Real ones are below 20. Only what is large counts: a small zero-filled file is no bomb.
    const MAX_RATIO: u64 = 200;
    const RATIO_FROM_BYTES: u64 = 256 << 20;

    pub(super) fn read(&self, n: u64) {
        self.read_bytes.set(self.read_bytes.get().saturating_add(n));
    }

    fn unpacked(&self, n: u64) -> io::Result<()> {
        let unpacked = self.unpacked_bytes.get().saturating_add(n);
        self.unpacked_bytes.set(unpacked);
        if unpacked > Self::MAX_UNPACKED_BYTES {
            return Err(io::Error::other("unpacks to more than the 2 GiB that kiln reads"));
        }
        let read = self.read_bytes.get().max(1);
        if unpacked > Self::RATIO_FROM_BYTES && unpacked / read > Self::MAX_RATIO {
            return Err(io::Error::other(format!(
                "unpacks {read} bytes to more than {} MiB: a decompression bomb",
                unpacked >> 20
            )));
        }
        Ok(())
    }
}

/// A buffered stage: bytes can be looked at before they are taken, and skipped.
pub(super) struct Chunks<'a> {
    stage: Box<dyn Stage + 'a>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    position: u64,
    ended: bool,
    /// Counts what is read, for stages that read a file.
    budget: Option<&'a Budget>,
}

impl<'a> Chunks<'a> {
    /// Over a file.
    pub(super) fn of_file(stage: impl Stage + 'a, budget: &'a Budget) -> Self {
        Self::new(Box::new(stage), READ_BYTES, Some(budget))
    }

    /// Over what a decompressor gives.
    pub(super) fn of_decoder(stage: Unpacked<'a>) -> Self {
        Self::new(Box::new(stage), UNPACK_BYTES, None)
    }

    fn new(stage: Box<dyn Stage + 'a>, capacity: usize, budget: Option<&'a Budget>) -> Self {
        let buffer = vec![0; capacity].into_boxed_slice();
        Self { stage, buffer, start: 0, end: 0, position: 0, ended: false, budget }
    }

    /// Bytes taken so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// At least `n` bytes from here on without taking them; fewer only where the stream ends.
    /// `n` is at most 64 KiB.
    pub(super) fn window(&mut self, n: usize) -> io::Result<&[u8]> {
        debug_assert!(n <= 64 << 10, "the buffer must hold what is looked at");
        while self.end - self.start < n && !self.ended {
            if self.buffer.len() - self.start < n {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            self.refill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn refill(&mut self) -> io::Result<()> {
        let n = loop {
            match self.stage.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += n;
        self.ended = n == 0;
        if let Some(budget) = self.budget {
            budget.read(n as u64);
        }
        Ok(())
    }

    /// Take `n` bytes that [`Chunks::window`] has shown.
    pub(super) fn take_shown(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.position += n as u64;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Take `n` bytes unseen. `false`: the stream ends before.
    pub(super) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        while n > 0 {
            let shown = (self.end - self.start) as u64;
            if shown == 0 {
                let passed = self.stage.pass_over(n);
                self.position += passed;
                n -= passed;
                if n == 0 {
                    break;
                }
                if self.window(1)?.is_empty() {
                    return Ok(false);
                }
                continue;
            }
            let step = shown.min(n);
            self.take_shown(usize::try_from(step).unwrap_or(usize::MAX));
            n -= step;
        }
        Ok(true)
    }

    /// Take `n` bytes, or fewer where the stream ends before.
    pub(super) fn take(&mut self, n: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < n {
            let shown = self.window(1)?;
            if shown.is_empty() {
                break;
            }
            let step = shown.len().min(n - bytes.len());
            bytes.extend_from_slice(&shown[..step]);
            self.take_shown(step);
        }
        Ok(bytes)
    }

    /// Skip zeroes. `false`: the stream ends.
    pub(super) fn skip_zeroes(&mut self) -> io::Result<bool> {
        loop {
            let shown = self.window(1)?;
            let n = shown.iter().position(|&byte| byte != 0);
            match (n, shown.len()) {
                (_, 0) => return Ok(false),
                (Some(n), _) => {
                    self.take_shown(n);
                    return Ok(true);
                }
                (None, all) => self.take_shown(all),
            }
        }
    }
}

impl Read for Chunks<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let shown = self.window(1)?;
        let n = shown.len().min(buf.len());
        buf[..n].copy_from_slice(&shown[..n]);
        self.take_shown(n);
        Ok(n)
    }
}

impl BufRead for Chunks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.window(1)
    }

    fn consume(&mut self, n: usize) {
        self.take_shown(n);
    }
}
