//! The first frame of each side. Its form is fixed for all time, so that two sides of any two
//! versions can at least tell each other which ones they are.

use crate::FrameError;

/// The version of everything behind the greeting. A change of any message is a new one.
pub const PROTOCOL: u16 = 1;

const MAGIC: &[u8; 8] = b"KILNRPC\0";
/// Some lines of text; more is not a greeting.
const MAX_TEXT_BYTES: usize = 4096;

/// What a side says first: 8 bytes `KILNRPC\0`, the protocol in 2 bytes, little endian, then lines
/// `name=value` in UTF-8. Names that the reader does not know are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// [`PROTOCOL`] of the side that speaks.
    pub protocol: u16,
    /// Version of the program that speaks.
    pub version: String,
    /// `uname -r`, from the agent. Empty: not told.
    pub kernel: String,
    /// The time of day in seconds since 1970, from the host: a helper machine has no clock of its
    /// own that could be trusted.
    pub time_s: Option<u64>,
}

impl Greeting {
    /// The bytes of the frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.protocol.to_le_bytes());
        for (name, value) in [("version", &self.version), ("kernel", &self.kernel)] {
            bytes.extend(format!("{name}={}\n", value.replace('\n', " ")).bytes());
        }
        if let Some(time_s) = self.time_s {
            bytes.extend(format!("time={time_s}\n").bytes());
        }
        bytes
    }

    /// Decode a frame.
    ///
    /// # Errors
    ///
    /// [`FrameError::Malformed`] where it is no greeting of any version.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let malformed =
            |reason: &str| FrameError::Malformed { bytes: frame.len(), reason: reason.to_owned() };
        let rest = frame.strip_prefix(MAGIC).ok_or_else(|| malformed("not a greeting"))?;
        let (protocol, text) =
            rest.split_first_chunk().ok_or_else(|| malformed("a greeting without protocol"))?;
        if text.len() > MAX_TEXT_BYTES {
            return Err(malformed("a greeting with too much text"));
        }
        let mut greeting = Self { protocol: u16::from_le_bytes(*protocol), ..Self::default() };
        for line in String::from_utf8_lossy(text).lines() {
            match line.split_once('=') {
                Some(("version", value)) => greeting.version = value.to_owned(),
                Some(("kernel", value)) => greeting.kernel = value.to_owned(),
                Some(("time", value)) => greeting.time_s = value.parse().ok(),
                _ => {}
            }
        }
        Ok(greeting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greeting_survives_the_way_and_a_later_version() {
        let greeting = Greeting {
            protocol: PROTOCOL,
            version: "0.1.0".to_owned(),
            kernel: "6.1.0-40-cloud-amd64".to_owned(),
            time_s: Some(1_700_000_000),
        };
        assert_eq!(Greeting::decode(&greeting.encode()).unwrap(), greeting);

        let mut later = greeting.encode();
        later[8..10].copy_from_slice(&9_u16.to_le_bytes());
        later.extend(b"colour=green\nno equals sign\n\xff\n");
        let told = Greeting::decode(&later).unwrap();
        assert_eq!((told.protocol, told.version.as_str()), (9, "0.1.0"));
    }

    #[test]
    fn what_is_no_greeting_is_refused() {
        let long = [b"KILNRPC\0\x01\0".as_slice(), &[b'x'; 5000]].concat();
        for (frame, reason) in [
            (&b""[..], "not a greeting"),
            (b"KILNRPC", "not a greeting"),
            (b"KILNRPC\0\x01", "a greeting without protocol"),
            (&long, "a greeting with too much text"),
        ] {
            let error = Greeting::decode(frame).unwrap_err().to_string();
            assert!(error.ends_with(reason), "{error}");
        }
    }
}
