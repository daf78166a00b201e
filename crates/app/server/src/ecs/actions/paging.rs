//! Both ways to take a list in pieces: numbered pages, and tokens that say where to go on.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kiln_ecs::error::ApiError;
use sha2::{Digest, Sha256};

/// Items of a page where the request does not say.
const DEFAULT_SIZE: i64 = 10;
/// Most items of a page.
const MAX_SIZE: i64 = 100;
/// Bytes of the digest that ties a token to its list.
const N_DIGEST: usize = 12;

/// A numbered page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Its number, from 1.
    pub number: i64,
    /// Most items on it, 1 to 100.
    pub size: i64,
}

impl Page {
    /// The page that a request asks for.
    ///
    /// # Errors
    ///
    /// 400 `InvalidParameter` where the number is below 1 or the size is not 1 to 100.
    pub(super) fn of(number: Option<i64>, size: Option<i64>) -> Result<Self, ApiError> {
        let (number, size) = (number.unwrap_or(1), size.unwrap_or(DEFAULT_SIZE));
        if number < 1 {
            return Err(ApiError::invalid_parameter("PageNumber", "The first page is 1."));
        }
        if !(1..=MAX_SIZE).contains(&size) {
            return Err(ApiError::invalid_parameter("PageSize", "It is 1 to 100."));
        }
        Ok(Self { number, size })
    }

    /// How many items come before it.
    #[must_use]
    pub(super) fn skip(self) -> usize {
        usize::try_from((self.number - 1).saturating_mul(self.size)).unwrap_or(usize::MAX)
    }

    /// How many items it holds at most.
    #[must_use]
    pub(super) fn take(self) -> usize {
        usize::try_from(self.size).unwrap_or_default()
    }
}

/// A number of items as the wire has it.
#[must_use]
pub(super) fn count(total: u64) -> i64 {
    i64::try_from(total).unwrap_or(i64::MAX)
}

/// A token for the place `at` of the list that `list` names: account, region, action and filters.
///
/// It is no secret and needs none: whoever makes one up sees a place of a list that is theirs.
#[must_use]
pub(super) fn token(list: &[&str], at: [u64; 2]) -> String {
    let mut bytes = digest(list);
    for number in at {
        bytes.extend(number.to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a token stands for; `None` where it is not one of this list.
#[must_use]
pub(super) fn place(list: &[&str], token: &str) -> Option<[u64; 2]> {
    if token.len() > 64 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let rest = bytes.strip_prefix(digest(list).as_slice())?;
    let (first, second) = rest.split_first_chunk()?;
    let second = second.try_into().ok()?;
    Some([u64::from_be_bytes(*first), u64::from_be_bytes(second)])
}

fn digest(list: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in list {
        // The length keeps ["a", "b"] and ["ab"] apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into_iter().take(N_DIGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_bounds_and_no_number_overflows() {
        let page = |number, size| Page::of(number, size).map_err(|error| error.code);
        assert_eq!(page(None, None), Ok(Page { number: 1, size: 10 }));
        assert_eq!(page(Some(3), Some(100)).map(Page::skip), Ok(200));
        assert_eq!(page(Some(i64::MAX), Some(100)).map(Page::take), Ok(100));
        assert!(page(Some(i64::MAX), Some(100)).is_ok_and(|page| page.skip() > 1 << 60));
        for (number, size) in [(0, 10), (-1, 10), (1, 0), (1, 101), (i64::MIN, 1)] {
            let refused = Err("InvalidParameter".to_owned());
            assert_eq!(page(Some(number), Some(size)), refused, "{number} {size}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_list_only() {
        let list = ["1", "cn-a", "ListTagResources", "Tag.1.Key=a"];
        let token = token(&list, [7, u64::MAX]);
        assert_eq!(place(&list, &token), Some([7, u64::MAX]));
        assert_eq!(place(&["2", "cn-a", "ListTagResources", "Tag.1.Key=a"], &token), None);
        assert_eq!(place(&["1c", "n-a", "ListTagResources", "Tag.1.Key=a"], &token), None);
        for bad in ["", "x", &token[1..], &format!("{token}AA"), &"A".repeat(1000)] {
            assert_eq!(place(&list, bad), None, "{bad}");
        }
    }
}
