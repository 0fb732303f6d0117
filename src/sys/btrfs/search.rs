//! Searching the trees (BTRFS_IOC_TREE_SEARCH_V2).

use std::ops::ControlFlow;
use std::os::fd::AsFd;

use linux_raw_sys::btrfs as raw;
use linux_raw_sys::ioctl::BTRFS_IOC_TREE_SEARCH_V2;

use super::call::{Numbers, SEARCH_ROOM, Search, call};

/// `struct btrfs_ioctl_search_header`.
const HEADER: usize = 32;

/// A key of a tree; ordered as the tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) objectid: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}

impl Key {
    /// The key right behind; `None` behind the last one.
    fn next(self) -> Option<Self> {
        if let Some(offset) = self.offset.checked_add(1) {
            return Some(Self { offset, ..self });
        }
        if let Some(kind) = self.kind.checked_add(1) {
            return Some(Self {
                kind,
                offset: 0,
                ..self
            });
        }
        let objectid = self.objectid.checked_add(1)?;
        Some(Self {
            objectid,
            kind: 0,
            offset: 0,
        })
    }
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// 0 is the subvolume in which the descriptor lies.
    pub(super) tree: u64,
    pub(super) from: Key,
    /// Inclusive.
    pub(super) to: Key,
    /// Leaves that are older are passed over unread.
    pub(super) min_generation: u64,
}

/// An item that was found.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) key: Key,
    pub(super) data: &'a [u8],
}

/// Shows every item of the range to `visit`, in the tree's order, until it breaks.
pub(super) fn search(
    descriptor: impl AsFd,
    range: &Range,
    visit: &mut dyn FnMut(&Item<'_>) -> ControlFlow<()>,
) -> rustix::io::Result<()> {
    let mut from = range.from;
    let mut argument = Box::new(Search::zeroed());
    loop {
        argument.key = search_key(range, from);
        argument.room = SEARCH_ROOM as u64;
        call::<BTRFS_IOC_TREE_SEARCH_V2, _>(&descriptor, argument.as_mut())?;
        let mut rest: &[u8] = &argument.items;
        let mut last = None;
        for _ in 0..argument.key.nr_items {
            let Some((item, after)) = split_item(rest) else {
                break;
            };
            if visit(&item).is_break() {
                return Ok(());
            }
            last = Some(item.key);
            rest = after;
        }
        match last.and_then(Key::next) {
            Some(next) if next <= range.to => from = next,
            _ => return Ok(()),
        }
    }
}

fn search_key(range: &Range, from: Key) -> raw::btrfs_ioctl_search_key {
    raw::btrfs_ioctl_search_key {
        tree_id: range.tree,
        min_objectid: from.objectid,
        max_objectid: range.to.objectid,
        min_offset: from.offset,
        max_offset: range.to.offset,
        min_transid: range.min_generation,
        max_transid: u64::MAX,
        min_type: from.kind.into(),
        max_type: range.to.kind.into(),
        nr_items: u32::MAX,
        unused: 0,
        unused1: 0,
        unused2: 0,
        unused3: 0,
        unused4: 0,
    }
}

/// A header (transid, objectid, offset: u64; type, length: u32; the machine's byte order) and its
/// data; `None` when the buffer ends early.
fn split_item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let wide = |at: usize| Some(u64::from_ne_bytes(header.get(at..at + 8)?.try_into().ok()?));
    let narrow = |at: usize| Some(u32::from_ne_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let kind = u8::try_from(narrow(24)?).ok()?;
    let key = Key {
        objectid: wide(8)?,
        kind,
        offset: wide(16)?,
    };
    let (data, rest) = rest.split_at_checked(usize::try_from(narrow(28)?).ok()?)?;
    Some((Item { key, data }, rest))
}

/// A little-endian number inside an item, as they all are on disk.
pub(super) fn number(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        data.get(at..at.checked_add(8)?)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_key_carries() {
        let key = |objectid, kind, offset| Key {
            objectid,
            kind,
            offset,
        };
        assert_eq!(key(5, 1, 0).next(), Some(key(5, 1, 1)));
        assert_eq!(key(5, 1, u64::MAX).next(), Some(key(5, 2, 0)));
        assert_eq!(key(5, u8::MAX, u64::MAX).next(), Some(key(6, 0, 0)));
        assert_eq!(key(u64::MAX, u8::MAX, u64::MAX).next(), None);
    }

    #[test]
    fn a_cut_buffer_ends_the_items() {
        let mut bytes = [0_u8; 40];
        bytes[8] = 7;
        bytes[24] = 1;
        bytes[28] = 8;
        let (item, rest) = split_item(&bytes).unwrap();
        assert_eq!(
            (item.key.objectid, item.key.kind, item.data.len()),
            (7, 1, 8)
        );
        assert!(rest.is_empty());
        assert!(split_item(&bytes[..39]).is_none());
        assert!(split_item(&bytes[..31]).is_none());
    }
}
