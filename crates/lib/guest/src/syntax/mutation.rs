//! Seeded mutations of a sound sample, for tests that a reader survives whatever an image holds.

/// Call `read` with a few thousand spoiled versions of `sound`, the same ones every time.
pub(crate) fn mutated(sound: &[u8], mut read: impl FnMut(&[u8])) {
    const SPECIAL: &[u8] = b"\0\n\r\t \"'\\#:-[]{}&*!|>%@`=,.~\xff0";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    for _ in 0..2000 {
        let mut bytes = sound.to_vec();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            let special = SPECIAL[random(SPECIAL.len())];
            match random(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), special),
                2 => bytes.extend_from_within(at..),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = special,
                _ => {}
            }
        }
        read(&bytes);
    }
}
