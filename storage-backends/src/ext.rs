//! Conveniences for those who read stores. Backends don't implement these.

use std::ops::Range;

use crate::{BlockReader, Result, StoredBlock, StoredHeader};

/// What every [`BlockReader`] can do besides.
pub trait BlockReaderExt: BlockReader {
    /// The height of the last block.
    fn tip(&self) -> Result<Option<u64>> {
        Ok(self.extent()?.tip())
    }

    /// The headers of a range of heights, upwards, each with its height. Ends at the end of the store, and
    /// after the first error. Each step is a read of its own moment.
    fn headers(&self, range: Range<u64>) -> impl Iterator<Item = Result<(u64, StoredHeader)>> {
        walk(range, |height| self.header(height))
    }

    /// The blocks of a range of heights, upwards, each with its height. Ends at the end of the store, and
    /// after the first error. Each step is a read of its own moment.
    fn blocks(&self, range: Range<u64>) -> impl Iterator<Item = Result<(u64, StoredBlock)>> {
        walk(range, |height| self.block(height))
    }
}

impl<R: BlockReader + ?Sized> BlockReaderExt for R {}

fn walk<T>(
    mut range: Range<u64>,
    fetch: impl Fn(u64) -> Result<Option<T>>,
) -> impl Iterator<Item = Result<(u64, T)>> {
    std::iter::from_fn(move || {
        let height = range.next()?;
        let step = fetch(height)
            .transpose()
            .map(|found| found.map(|item| (height, item)));
        if !matches!(step, Some(Ok(_))) {
            range.start = range.end;
        }
        step
    })
    .fuse()
}
