//! The allocation map of a source, with equal neighbours merged.

use crate::{BlockSource, Extent, Result};

/// Every extent of `source` in order, as the offset it begins at and what it is; neighbours of the
/// same kind come as one. Ends after the first error.
pub fn map(source: &dyn BlockSource) -> impl Iterator<Item = Result<(u64, Extent)>> {
    Map { source, offset: 0, ahead: None, failed: false }
}

struct Map<'a> {
    source: &'a dyn BlockSource,
    /// Where the next extent that was not asked for yet begins.
    offset: u64,
    /// The extent that ended the previous run, or the error that did.
    ahead: Option<Result<(u64, Extent)>>,
    failed: bool,
}

impl Map<'_> {
    fn ask(&mut self) -> Option<Result<(u64, Extent)>> {
        if let Some(ahead) = self.ahead.take() {
            return Some(ahead);
        }
        let begin = self.offset;
        if begin >= self.source.size_bytes() {
            return None;
        }
        let extent = match self.source.extent_at(begin) {
            Ok(extent) => extent,
            Err(error) => return Some(Err(error)),
        };
        self.offset = begin.saturating_add(extent.length_bytes.max(1));
        Some(Ok((begin, extent)))
    }
}

impl Iterator for Map<'_> {
    type Item = Result<(u64, Extent)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let (begin, mut run) = match self.ask()? {
            Ok(first) => first,
            Err(error) => {
                self.failed = true;
                return Some(Err(error));
            }
        };
        while let Some(next) = self.ask() {
            match next {
                Ok((_, extent)) if extent.kind == run.kind => {
                    run.length_bytes = run.length_bytes.saturating_add(extent.length_bytes);
                }
                other => {
                    self.ahead = Some(other);
                    break;
                }
            }
        }
        Some(Ok((begin, run)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ExtentKind};

    #[derive(Debug)]
    struct Striped;

    impl BlockSource for Striped {
        fn size_bytes(&self) -> u64 {
            10
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> Result<()> {
            Ok(())
        }
        fn extent_at(&self, offset: u64) -> Result<Extent> {
            match offset {
                0..4 => Ok(Extent { length_bytes: 1, kind: ExtentKind::Data }),
                4..8 => Ok(Extent { length_bytes: 2, kind: ExtentKind::Zero }),
                _ => Err(Error::corrupt("no entry").at(offset)),
            }
        }
    }

    #[test]
    fn neighbours_merge_and_the_first_error_ends_it() {
        let mut told = map(&Striped).map(|item| item.map(|(at, e)| (at, e.length_bytes, e.kind)));
        assert_eq!(told.next().unwrap().unwrap(), (0, 4, ExtentKind::Data));
        assert_eq!(told.next().unwrap().unwrap(), (4, 4, ExtentKind::Zero));
        assert_eq!(told.next().unwrap().unwrap_err().to_string(), "no entry (at byte 8)");
        assert!(told.next().is_none());
    }
}
