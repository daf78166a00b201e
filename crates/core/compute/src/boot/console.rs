//! Lines out of what a guest writes to its serial console.
//!
//! Firmware and boot loaders draw screens: escape sequences move the cursor, colour and erase. Those
//! are dropped, and a moved cursor ends a line. All of it is hostile: a line has a longest length,
//! and a sequence that never ends is given up.

/// No line that kiln looks for is longer; a longer one is cut into lines.
const MAX_LINE_BYTES: usize = 1024;

/// Real sequences are shorter; after that many bytes it is taken for text again.
const MAX_SEQUENCE_BYTES: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC [, until a final byte.
    Control(usize),
    /// After ESC ], P, X, ^ or _, until BEL or the next ESC.
    Quoted(usize),
}

/// Bytes in, lines without escape sequences out.
#[derive(Debug, Default)]
pub(super) struct Lines {
    place: Place,
    line: Vec<u8>,
}

impl Lines {
    /// Take `byte`; give the line that it ends, if it ends one that holds anything.
    pub(super) fn push(&mut self, byte: u8) -> Option<String> {
        match self.place {
            Place::Text => return self.text(byte),
            Place::Escape => {
                self.place = match byte {
                    b'[' => Place::Control(0),
                    b']' | b'P' | b'X' | b'^' | b'_' => Place::Quoted(0),
                    // An intermediate byte: the final one follows.
                    b' '..=b'/' => Place::Escape,
                    _ => Place::Text,
                };
            }
            Place::Control(_) if (0x40..=0x7e).contains(&byte) => {
                self.place = Place::Text;
                // The cursor moves, or what stood there is erased.
                if matches!(byte, b'A'..=b'H' | b'J' | b'K' | b'd' | b'f') {
                    return self.end();
                }
            }
            Place::Control(_) if byte < b' ' && byte != 0x1b => {
                self.place = Place::Text;
                return self.text(byte);
            }
            Place::Quoted(_) if byte == 0x07 => self.place = Place::Text,
            Place::Control(_) | Place::Quoted(_) if byte == 0x1b => self.place = Place::Escape,
            Place::Control(n) => self.place = longer(n, Place::Control),
            Place::Quoted(n) => self.place = longer(n, Place::Quoted),
        }
        None
    }

    fn text(&mut self, byte: u8) -> Option<String> {
        match byte {
            0x1b => self.place = Place::Escape,
            b'\n' | b'\r' => return self.end(),
            b'\t' => self.line.push(b' '),
            0..=0x1f | 0x7f => {}
            _ => self.line.push(byte),
        }
        if self.line.len() >= MAX_LINE_BYTES { self.end() } else { None }
    }

    fn end(&mut self) -> Option<String> {
        let line = self.unfinished();
        self.line.clear();
        Some(line).filter(|line| !line.is_empty())
    }

    /// What the line holds that has not ended. Prompts are never ended.
    pub(super) fn unfinished(&self) -> String {
        String::from_utf8_lossy(&self.line).trim_end().to_owned()
    }
}

fn longer(n: usize, place: fn(usize) -> Place) -> Place {
    if n < MAX_SEQUENCE_BYTES { place(n + 1) } else { Place::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all: Vec<String> = bytes.iter().filter_map(|byte| lines.push(*byte)).collect();
        all.push(lines.unfinished());
        all
    }

    #[test]
    fn screens_become_lines() {
        for (bytes, expected) in [
            (&b"one\r\ntwo"[..], &["one", "two"][..]),
            (
                b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16)\r\nBoot",
                &["SeaBIOS (version 1.16)", "Boot"],
            ),
            (b"\x1b[4;2H+--+\x1b[5;2H|", &["+--+", "|"]),
            (b"[  \x1b[0;32mOK\x1b[0m  ] Reached", &["[  OK  ] Reached"]),
            (b"\x1b]0;title\x07text \x1b]8;;http://x\x1b\\link", &["text link"]),
            (b"a\tb\x08\x00\x07c\x1b(B", &["a bc"]),
            (b"\x1b[31\nnext line", &["next line"]),
            (b"not utf8 \xff\xfe", &["not utf8 \u{fffd}\u{fffd}"]),
            (b"\n\n \n", &[""]),
        ] {
            assert_eq!(lines(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn lines_and_sequences_have_a_longest_length() {
        let long = lines(&[b'x'; 3000]);
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [1024, 1024, 952]);
        for start in [&b"\x1b["[..], b"\x1b]"] {
            let endless = [start, &[b'1'; 400]].concat();
            assert!(lines(&endless).concat().ends_with("111"), "{start:?} swallows what follows");
        }
    }
}
