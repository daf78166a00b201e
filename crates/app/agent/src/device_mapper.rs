//! Logical volumes as device-mapper tables, set up by ioctl: linear and striped is all that LVM
//! needs, and the tools of LVM are larger than the rest of this machine.
//!
//! Layout: Linux include/uapi/linux/dm-ioctl.h, Documentation/admin-guide/device-mapper.

use std::fs::File;

use rustix::io::Errno;

use crate::failure::{Context, Result, failure};

const CONTROL: &str = "/dev/mapper/control";
/// `sizeof(struct dm_ioctl)`.
const HEADER_BYTES: usize = 312;
/// `sizeof(struct dm_target_spec)`.
const TARGET_BYTES: usize = 40;
/// A logical volume of a thousand segments fits.
const BUFFER_BYTES: usize = 128 << 10;
/// `DM_VERSION_MAJOR`; the minor version is what the kernel must at least have.
const VERSION: [u32; 3] = [4, 0, 0];

/// A run of the mapped device, in sectors of 512 bytes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) start: u64,
    pub(crate) length: u64,
    /// Of a stripe; not looked at where there is only one.
    pub(crate) chunk: u64,
    /// The device as `major:minor`, and the first sector on it.
    pub(crate) stripes: Vec<(String, u64)>,
}

/// A mapped device.
#[derive(Debug)]
pub(crate) struct Mapped {
    name: String,
    minor: u64,
}

impl Mapped {
    /// Create the device `name` with `targets`.
    pub(crate) fn create(name: &str, targets: &[Target]) -> Result<Self> {
        let control = control()?;
        let mut buffer = Buffer::new(name)?;
        ioctl::create(&control, &mut buffer).when("create a mapped device")?;
        let mapped = Self { name: name.to_owned(), minor: buffer.minor() };
        let loaded = mapped.load(&control, targets);
        if loaded.is_err() {
            // The failure to tell is that of the table.
            let _ = mapped.remove();
        }
        loaded.map(|()| mapped)
    }

    fn load(&self, control: &File, targets: &[Target]) -> Result<()> {
        let mut buffer = Buffer::new(&self.name)?;
        buffer.put_targets(targets)?;
        ioctl::load_table(control, &mut buffer).when("load the table of a mapped device")?;
        ioctl::resume(control, &mut Buffer::new(&self.name)?).when("start a mapped device")
    }

    pub(crate) fn path(&self) -> String {
        format!("/dev/dm-{}", self.minor)
    }

    pub(crate) fn remove(&self) -> Result<()> {
        let removed = ioctl::remove(&control()?, &mut Buffer::new(&self.name)?);
        removed.when(&format!("remove the mapped device {}", self.name))
    }
}

fn control() -> Result<File> {
    File::options().read(true).write(true).open(CONTROL).when(CONTROL)
}

/// `struct dm_ioctl` and what follows it. Of words, for its alignment.
struct Buffer(Box<[u64; BUFFER_BYTES / 8]>);

impl Buffer {
    fn new(name: &str) -> Result<Self> {
        let mut buffer = Self(Box::new([0; BUFFER_BYTES / 8]));
        for (at, number) in [0, 4, 8].into_iter().zip(VERSION) {
            buffer.put(at, &number.to_ne_bytes())?;
        }
        buffer.put(12, &length32(BUFFER_BYTES)?)?;
        buffer.put(16, &length32(HEADER_BYTES)?)?;
        // The name has 128 bytes with its zero.
        if name.len() > 127 {
            return Err(failure(Errno::NAMETOOLONG, "name of a mapped device"));
        }
        buffer.put(48, name.as_bytes())?;
        Ok(buffer)
    }

    fn put_targets(&mut self, targets: &[Target]) -> Result<()> {
        let mut at = HEADER_BYTES;
        for target in targets {
            let (kind, parameters) = target.table()?;
            // Each starts on a word; `next` leads from one to the other.
            let next = (TARGET_BYTES + parameters.len() + 1).next_multiple_of(8);
            self.put(at, &target.start.to_ne_bytes())?;
            self.put(at + 8, &target.length.to_ne_bytes())?;
            self.put(at + 20, &length32(next)?)?;
            self.put(at + 24, kind.as_bytes())?;
            self.put(at + TARGET_BYTES, parameters.as_bytes())?;
            at += next;
        }
        self.put(20, &length32(targets.len())?)
    }

    /// Of `dev`, in the kernel's wide encoding of device numbers.
    fn minor(&self) -> u64 {
        let device = self.0[5];
        (device & 0xFF) | ((device >> 12) & 0xF_FF00)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        for (at, &byte) in (at..).zip(bytes) {
            let word = self.0.get_mut(at / 8);
            let word = word.ok_or_else(|| failure(Errno::TOOBIG, "too many segments"))?;
            let mut bytes = word.to_ne_bytes();
            bytes[at % 8] = byte;
            *word = u64::from_ne_bytes(bytes);
        }
        Ok(())
    }
}

fn length32(length: usize) -> Result<[u8; 4]> {
    let length = u32::try_from(length).map_err(|_| failure(Errno::TOOBIG, "too many segments"))?;
    Ok(length.to_ne_bytes())
}

impl Target {
    /// Kind and parameters, as `dmsetup table` shows them.
    fn table(&self) -> Result<(&'static str, String)> {
        let devices: Vec<String> =
            self.stripes.iter().map(|(device, sector)| format!("{device} {sector}")).collect();
        match devices.as_slice() {
            [] => Err(failure(Errno::INVAL, "a segment without stripes")),
            [one] => Ok(("linear", one.clone())),
            many => Ok(("striped", format!("{} {} {}", many.len(), self.chunk, many.join(" ")))),
        }
    }
}

/// The kernel reads and writes a buffer whose length the buffer itself tells, which no safe call
/// can express.
#[expect(unsafe_code, reason = "ioctl on a buffer")]
mod ioctl {
    use std::fs::File;

    use rustix::io::Result;
    use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

    use super::{BUFFER_BYTES, Buffer, HEADER_BYTES};

    const CREATE: Opcode = number(3);
    const REMOVE: Opcode = number(4);
    const SUSPEND: Opcode = number(6);
    const LOAD_TABLE: Opcode = number(9);

    const fn number(command: u8) -> Opcode {
        opcode::read_write::<[u8; HEADER_BYTES]>(0xFD, command)
    }

    pub(super) fn create(control: &File, buffer: &mut Buffer) -> Result<()> {
        call::<CREATE>(control, buffer)
    }

    pub(super) fn remove(control: &File, buffer: &mut Buffer) -> Result<()> {
        call::<REMOVE>(control, buffer)
    }

    /// Suspending without the flag that asks for it is resuming.
    pub(super) fn resume(control: &File, buffer: &mut Buffer) -> Result<()> {
        call::<SUSPEND>(control, buffer)
    }

    pub(super) fn load_table(control: &File, buffer: &mut Buffer) -> Result<()> {
        call::<LOAD_TABLE>(control, buffer)
    }

    fn call<const OPCODE: Opcode>(control: &File, buffer: &mut Buffer) -> Result<()> {
        let words: &mut [u64; BUFFER_BYTES / 8] = &mut buffer.0;
        // SAFETY: these opcodes of /dev/mapper/control take a `struct dm_ioctl`, whose field
        // `data_size`, set to BUFFER_BYTES by `Buffer::new` and nowhere else, is the number of
        // bytes that the kernel may read and write; `words` is that long, aligned, and borrowed
        // exclusively until the call returns.
        unsafe { ioctl(control, Updater::<OPCODE, _>::new(words)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(buffer: &Buffer) -> Vec<u8> {
        buffer.0.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn a_table_is_laid_out_as_the_kernel_reads_it() {
        let targets = [
            Target { start: 0, length: 8192, chunk: 0, stripes: vec![("254:2".to_owned(), 2048)] },
            Target {
                start: 8192,
                length: 16384,
                chunk: 128,
                stripes: vec![("254:2".to_owned(), 10240), ("254:16".to_owned(), 2048)],
            },
        ];
        let mut buffer = Buffer::new("kiln-0").unwrap();
        buffer.put_targets(&targets).unwrap();
        let bytes = bytes(&buffer);
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!([word(0), word(12), word(16), word(20)], [4, 131_072, 312, 2]);
        assert_eq!(&bytes[48..55], b"kiln-0\0");
        let first = &bytes[312..];
        assert_eq!(&first[24..31], b"linear\0");
        assert_eq!(&first[40..51], b"254:2 2048\0");
        assert_eq!(word(312 + 20), 56);
        let second = &bytes[312 + 56..];
        assert_eq!(second[..8], 8192_u64.to_ne_bytes());
        assert_eq!(&second[24..32], b"striped\0");
        assert_eq!(&second[40..70], b"2 128 254:2 10240 254:16 2048\0");
    }

    #[test]
    fn a_table_without_stripes_or_without_end_is_refused() {
        let empty = Target { start: 0, length: 8, chunk: 0, stripes: Vec::new() };
        let mut buffer = Buffer::new("x").unwrap();
        assert_eq!(buffer.put_targets(&[empty]).unwrap_err().message, "a segment without stripes");
        let one = || Target { start: 0, length: 8, chunk: 0, stripes: vec![("1:1".to_owned(), 0)] };
        let many: Vec<_> = std::iter::repeat_with(one).take(4000).collect();
        assert_eq!(buffer.put_targets(&many).unwrap_err().message, "too many segments");
    }
}
