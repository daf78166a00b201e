//! LZO1X, decompression only.
//!
//! Kept here because the crates that have it are bindings or unmaintained, and because the input
//! is hostile: every copy is checked against what has been read and written so far.
//! Source: the kernel's `Documentation/staging/lzo.rst`, bitstream version 0, which is all that
//! btrfs writes.

/// What the instruction before left to the meaning of the next one.
#[derive(Clone, Copy, PartialEq)]
enum Literals {
    /// None were copied.
    None,
    /// One to three, which came with a copy.
    Few,
    /// Four or more.
    Many,
}

/// Unpack `packed` to the start of `unpacked`; the number of bytes that were written.
///
/// # Errors
///
/// What is wrong with the data: it ends early, has more than `unpacked` takes, or copies from
/// before its own start.
pub(super) fn unpack(packed: &[u8], unpacked: &mut [u8]) -> Result<usize, &'static str> {
    let mut stream = Stream { packed, at: 0, unpacked, written: 0 };
    let mut literals = Literals::None;
    // The first byte has a meaning of its own, as there is nothing to copy from yet.
    if let Some(first @ 18..) = packed.first().copied() {
        stream.at = 1;
        literals = stream.literals(usize::from(first).saturating_sub(17))?;
    }
    loop {
        let code = usize::from(stream.byte()?);
        let (length, distance, n_literals) = match (code, literals) {
            (0..16, Literals::None) => {
                let length = stream.length(code, 15)?.saturating_add(3);
                literals = stream.literals(length)?;
                continue;
            }
            (0..16, Literals::Few) => (2, stream.short_distance(code)?.saturating_add(1), code & 3),
            (0..16, Literals::Many) => {
                (3, stream.short_distance(code)?.saturating_add(2049), code & 3)
            }
            (16..32, _) => {
                let length = stream.length(code & 7, 7)?.saturating_add(2);
                let (low, n_literals) = stream.long_distance()?;
                let distance = ((code & 8) << 11).saturating_add(low).saturating_add(16384);
                if distance == 16384 {
                    return Ok(stream.written);
                }
                (length, distance, n_literals)
            }
            (32..64, _) => {
                let length = stream.length(code & 31, 31)?.saturating_add(2);
                let (low, n_literals) = stream.long_distance()?;
                (length, low.saturating_add(1), n_literals)
            }
            _ => {
                let high = usize::from(stream.byte()?) << 3;
                let distance = high.saturating_add(code >> 2 & 7).saturating_add(1);
                // 64..128 copy 3 or 4, 128..256 copy 5 to 8: the top bits, plus one.
                ((code >> 5).saturating_add(1), distance, code & 3)
            }
        };
        stream.copy(length, distance)?;
        literals = stream.literals(n_literals)?;
    }
}

struct Stream<'a> {
    packed: &'a [u8],
    at: usize,
    unpacked: &'a mut [u8],
    written: usize,
}

impl Stream<'_> {
    fn byte(&mut self) -> Result<u8, &'static str> {
        let byte = *self.packed.get(self.at).ok_or("it ends inside an instruction")?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// A length whose bits are in the instruction, or, where those are 0, `base` and more bytes.
    fn length(&mut self, bits: usize, base: usize) -> Result<usize, &'static str> {
        if bits != 0 {
            return Ok(bits);
        }
        let mut length = base;
        loop {
            match self.byte()? {
                0 => length = length.saturating_add(255),
                last => return Ok(length.saturating_add(usize::from(last))),
            }
        }
    }

    fn short_distance(&mut self, code: usize) -> Result<usize, &'static str> {
        Ok((usize::from(self.byte()?) << 2).saturating_add(code >> 2 & 3))
    }

    /// A distance of 14 bits and the number of literals that follow.
    fn long_distance(&mut self) -> Result<(usize, usize), &'static str> {
        let word = usize::from(u16::from_le_bytes([self.byte()?, self.byte()?]));
        Ok((word >> 2, word & 3))
    }

    fn literals(&mut self, n: usize) -> Result<Literals, &'static str> {
        let end = self.at.saturating_add(n);
        let from = self.packed.get(self.at..end).ok_or("it ends inside literals")?;
        let written_end = self.written.saturating_add(n);
        let to = self.unpacked.get_mut(self.written..written_end).ok_or(TOO_MUCH)?;
        to.copy_from_slice(from);
        (self.at, self.written) = (end, written_end);
        Ok(match n {
            0 => Literals::None,
            1..=3 => Literals::Few,
            _ => Literals::Many,
        })
    }

    /// Copy what was written `distance` bytes ago. The two may overlap, which repeats a pattern.
    fn copy(&mut self, length: usize, distance: usize) -> Result<(), &'static str> {
        let from = self.written.checked_sub(distance).ok_or("a copy from before its start")?;
        let end = self.written.saturating_add(length);
        if end > self.unpacked.len() {
            return Err(TOO_MUCH);
        }
        if distance >= length {
            self.unpacked.copy_within(from..from.saturating_add(length), self.written);
        } else {
            let tail = self.unpacked.get_mut(from..end).unwrap_or_default();
            for index in distance..tail.len() {
                tail[index] = tail[index.saturating_sub(distance)];
            }
        }
        self.written = end;
        Ok(())
    }
}

const TOO_MUCH: &str = "it has more than its sector takes";

#[cfg(test)]
mod tests {
    use super::*;

    const END: [u8; 3] = [17, 0, 0];

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut room = vec![0; 50_000];
        unpack(packed, &mut room).map(|n| room[..n].to_vec())
    }

    #[test]
    fn literals_and_copies() {
        let hello = [&[17 + 5][..], b"hello", &END].concat();
        assert_eq!(unpacked(&hello).unwrap(), b"hello");
        // Code 64: 3 bytes, distance 1 + 1 (from the bits) = 2, then one literal.
        let repeated = [&[17 + 4][..], b"abcd", &[64 | 1 << 2 | 1, 0], b"!", &END].concat();
        assert_eq!(unpacked(&repeated).unwrap(), b"abcdcdc!");
        // 0 at the start: a long literal string of 3 + 15 + 2.
        let long = [&[0, 2][..], &[b'x'; 20], &END].concat();
        assert_eq!(unpacked(&long).unwrap(), [b'x'; 20]);
        // Code 32 with distance 1 repeats the last byte 2 + 8 times.
        let run = [&[17 + 4][..], b"abcd", &[32 | 8, 0, 0], &END].concat();
        assert_eq!(unpacked(&run).unwrap(), b"abcddddddddddd"[..14]);
    }

    /// `abcd`, then `d` repeated until there are `n` bytes.
    fn filled(n: usize) -> Vec<u8> {
        let rest = n - 4 - 2 - 31 - 1;
        [
            &[17 + 4][..],
            b"abcd",
            &[32],
            &vec![0; rest / 255],
            &[u8::try_from(rest % 255 + 1).unwrap(), 0, 0],
        ]
        .concat()
    }

    /// The instructions that the kernel's compressor has no use for in sectors of 4 KiB.
    #[test]
    fn rare_copies() {
        assert_eq!(unpacked(&[&filled(3000)[..], &END].concat()).unwrap().len(), 3000);
        // After one to three literals: 2 bytes, distance 1 + 1.
        let few = [&[17 + 4][..], b"abcd", &[64 | 1 << 2 | 1, 0], b"!", &[1 << 2, 0], &END];
        assert_eq!(unpacked(&few.concat()).unwrap(), b"abcdcdc!c!");
        // After four literals: 3 bytes, distance 2049 + 4 * 14 + 3, which is all there is.
        let many = [&filled(2104)[..], &[1], b"wxyz", &[3 << 2 | 1, 14], b"!", &END].concat();
        assert_eq!(unpacked(&many).unwrap()[2104..], *b"wxyzabc!");
        // Beyond 16 KiB: 3 bytes; beyond 32 KiB: 4 bytes, and with a long length 2 + 7 + 255 + 1.
        let d = |n: usize| u16::try_from(n << 2).unwrap().to_le_bytes();
        let far = [&filled(20_000)[..], &[16 | 1], &d(20_000 - 16_384), &END].concat();
        assert_eq!(unpacked(&far).unwrap()[20_000..], *b"abc");
        let farther = [&filled(40_000)[..], &[16 | 8 | 2], &d(40_000 - 32_768), &END].concat();
        assert_eq!(unpacked(&farther).unwrap()[40_000..], *b"abcd");
        let long = [&filled(40_000)[..], &[16 | 8, 0, 1], &d(40_000 - 32_768), &END].concat();
        let long = unpacked(&long).unwrap();
        assert_eq!((long.len(), &long[40_000..40_006]), (40_265, &b"abcddd"[..]));
    }

    #[test]
    fn each_fault_is_named() {
        for (packed, message) in [
            (&b""[..], "it ends inside an instruction"),
            (&[17 + 5, b'a'], "it ends inside literals"),
            (&[17 + 1, b'a', 32 | 1, 255, 0], "a copy from before its start"),
            (&[&filled(50_000)[..], &[32 | 1, 0, 0]].concat(), "it has more than its sector takes"),
            (&[0, 0, 0, 0], "it ends inside an instruction"),
        ] {
            assert_eq!(unpacked(packed).unwrap_err(), message, "{packed:?}");
        }
    }
}
