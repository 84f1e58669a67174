//! One chain as a JSON file (`Blockchain.to_dict`), cut into blocks without holding more than one.
//!
//! The file is gone through twice: [`Layout::read`] finds where the first block and the array of the others
//! lie and reads the small members (the configuration comes after the blocks), [`Layout::for_each_row`] cuts the
//! blocks out. Cutting looks at brackets and quotes only; whether a block's text is JSON is found when it is
//! read. Other members must be JSON. Where the file breaks off or goes on wrongly inside or after the blocks,
//! that place becomes a row without text, so that the blocks before it still get their verdict.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use hubledger_storage::opening::open_regular;

use super::{BLOCK_JSON_MAX_BYTES, ChainInfo, RawRow, RowVisitor, SourceError};
use crate::config::ChainConfig;
use crate::raw::Skip;

const BUFFER_BYTES: usize = 64 << 10;

/// Where the blocks lie in the file.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Where the first block's text starts.
    genesis_start: Option<u64>,
    /// Where the other blocks' array starts.
    blocks_start: Option<u64>,
    /// What is wrong with the document as JSON, if anything.
    broken: Option<String>,
}

/// The small members and what is counted on the way.
#[derive(Debug, Default)]
struct Members {
    chain_id: Option<Vec<u8>>,
    consensus: Option<Vec<u8>>,
    crypto: Option<Vec<u8>>,
    blocks: u64,
}

impl Layout {
    /// Goes through the file once.
    pub(super) fn read(path: &Path) -> Result<(Self, ChainInfo), SourceError> {
        let not_a_store = |reason: String| SourceError::NotAStore {
            path: path.to_owned(),
            reason,
        };
        let file = open_regular(path).map_err(|error| SourceError::io(path, "open", error))?;
        let mut scanner = Scanner::new(file, 0);
        let mut layout = Self::default();
        let mut members = Members::default();
        match read_document(&mut scanner, &mut layout, &mut members) {
            Ok(()) => {}
            Err(ScanError::Io(error)) => return Err(SourceError::io(path, "read", error)),
            Err(ScanError::Syntax(detail)) => {
                if layout.genesis_start.is_none() && layout.blocks_start.is_none() {
                    return Err(not_a_store(format!(
                        "neither a database nor JSON: {detail}"
                    )));
                }
                layout.broken = Some(detail);
            }
        }
        let is_whole = layout.broken.is_none();
        if is_whole && layout.blocks_start.is_none() {
            return Err(not_a_store("the JSON has no member \"blocks\"".into()));
        }
        let id = match &members.chain_id {
            Some(text) => serde_json::from_slice(text)
                .map_err(|error| not_a_store(format!("chain_id: {error}")))?,
            None if is_whole => {
                return Err(not_a_store("the JSON has no member \"chain_id\"".into()));
            }
            None => String::new(),
        };
        let config = match &members.consensus {
            Some(consensus) => ChainConfig::from_json(consensus, members.crypto.as_deref()),
            None if is_whole => Err("consensus_config is missing".into()),
            // Lost with the rest of the file, which is malformed at the place where it broke off.
            None => Ok(ChainConfig::default()),
        };
        Ok((
            layout,
            ChainInfo {
                id,
                config,
                blocks: members.blocks,
            },
        ))
    }

    /// Hands out the first block, then the others.
    pub(super) fn for_each_row(
        &self,
        path: &Path,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), SourceError> {
        let fault = match self.visit_rows(path, visit) {
            Ok(ControlFlow::Break(())) => return Ok(()),
            Ok(ControlFlow::Continue(())) => self.broken.clone(),
            Err(ScanError::Syntax(detail)) => Some(detail),
            Err(ScanError::Io(error)) => return Err(SourceError::io(path, "read", error)),
        };
        if let Some(detail) = fault {
            let _ = visit(row(Err(detail)));
        }
        Ok(())
    }

    fn visit_rows(
        &self,
        path: &Path,
        visit: &mut RowVisitor<'_>,
    ) -> Result<ControlFlow<()>, ScanError> {
        let mut text = Vec::new();
        let mut file = open_regular(path)?;
        let Some(genesis_start) = self.genesis_start else {
            return Err(ScanError::Syntax("genesis_block is missing".into()));
        };
        file.seek(SeekFrom::Start(genesis_start))?;
        let mut scanner = Scanner::new(&file, genesis_start);
        let cut = scanner.value(Some(&mut text))?;
        if visit(row(cut.map(|()| &*text))).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let Some(blocks_start) = self.blocks_start else {
            return Ok(ControlFlow::Continue(()));
        };
        file.seek(SeekFrom::Start(blocks_start))?;
        let mut scanner = Scanner::new(&file, blocks_start);
        scanner.array(|scanner| {
            let cut = scanner.value(Some(&mut text))?;
            Ok(visit(row(cut.map(|()| &*text))))
        })
    }
}

const fn row(json: Result<&[u8], String>) -> RawRow<'_> {
    RawRow {
        height: None,
        hash: None,
        timestamp: None,
        json,
    }
}

fn read_document(
    scanner: &mut Scanner<File>,
    layout: &mut Layout,
    members: &mut Members,
) -> Result<(), ScanError> {
    scanner.expect(b'{')?;
    if scanner.peek_token()? == Some(b'}') {
        scanner.advance();
    } else {
        loop {
            read_member(scanner, layout, members)?;
            if scanner.separator(b'}')?.is_break() {
                break;
            }
        }
    }
    match scanner.peek_token()? {
        None => Ok(()),
        Some(_) => Err(scanner.syntax("something follows the document")),
    }
}

fn read_member(
    scanner: &mut Scanner<File>,
    layout: &mut Layout,
    members: &mut Members,
) -> Result<(), ScanError> {
    if scanner.peek_token()? != Some(b'"') {
        return Err(scanner.syntax("a member's name is expected"));
    }
    let name = scanner.small_value()?;
    let name: String = scanner.parse(&name)?;
    scanner.expect(b':')?;
    let first = scanner.peek_token()?;
    let start = scanner.offset();
    match name.as_str() {
        "genesis_block" => {
            layout.genesis_start = Some(start);
            let _ = scanner.value(None)?;
            members.blocks += 1;
        }
        "blocks" if first == Some(b'[') => {
            layout.blocks_start = Some(start);
            let _ = scanner.array(|scanner| {
                let _ = scanner.value(None)?;
                members.blocks += 1;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        _ => {
            let text = scanner.small_value()?;
            let _: Skip = scanner.parse(&text)?;
            match name.as_str() {
                "chain_id" => members.chain_id = Some(text),
                "consensus_config" => members.consensus = Some(text),
                "crypto_config" => members.crypto = Some(text),
                "blocks" => layout.blocks_start = None,
                _ => {}
            }
        }
    }
    Ok(())
}

#[derive(Debug)]
enum ScanError {
    Io(io::Error),
    Syntax(String),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Cuts values out of a stream of JSON. Memory: its buffer, and the one value that the caller keeps.
struct Scanner<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What of `buffer` is still to be looked at.
    position: usize,
    filled: usize,
    /// Where in the file the buffer starts.
    buffer_offset: u64,
}

impl<R: Read> Scanner<R> {
    fn new(reader: R, offset: u64) -> Self {
        let buffer = vec![0; BUFFER_BYTES];
        Self {
            reader,
            buffer,
            position: 0,
            filled: 0,
            buffer_offset: offset,
        }
    }

    fn offset(&self) -> u64 {
        self.buffer_offset + self.position as u64
    }

    fn syntax(&self, detail: &str) -> ScanError {
        ScanError::Syntax(format!("{detail} at byte {}", self.offset()))
    }

    fn parse<'t, T: serde::Deserialize<'t>>(&self, text: &'t [u8]) -> Result<T, ScanError> {
        serde_json::from_slice(text).map_err(|error| self.syntax(&format!("{error}, ending")))
    }

    /// What is read and not yet looked at, or more; empty at the end of the file.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.position == self.filled {
            self.buffer_offset += self.filled as u64;
            (self.position, self.filled) = (0, 0);
            match self.reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => self.filled = count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.position..self.filled])
    }

    /// Passes the byte that was peeked at.
    fn advance(&mut self) {
        self.position += 1;
    }

    /// The next byte that isn't white space, without passing it.
    fn peek_token(&mut self) -> Result<Option<u8>, ScanError> {
        loop {
            match self.fill()?.first().copied() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.advance(),
                other => return Ok(other),
            }
        }
    }

    fn expect(&mut self, token: u8) -> Result<(), ScanError> {
        if self.peek_token()? == Some(token) {
            self.advance();
            return Ok(());
        }
        Err(self.syntax(&format!("{:?} is expected", char::from(token))))
    }

    /// Passes a comma (continue) or `end` (break).
    fn separator(&mut self, end: u8) -> Result<ControlFlow<()>, ScanError> {
        let token = self.peek_token()?;
        if token == Some(b',') {
            self.advance();
            return Ok(ControlFlow::Continue(()));
        }
        self.expect(end)?;
        Ok(ControlFlow::Break(()))
    }

    /// Calls `element` at the start of each element of the array that starts here.
    fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<ControlFlow<()>, ScanError>,
    ) -> Result<ControlFlow<()>, ScanError> {
        self.expect(b'[')?;
        if self.peek_token()? == Some(b']') {
            self.advance();
            return Ok(ControlFlow::Continue(()));
        }
        loop {
            if element(self)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.separator(b']')?.is_break() {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    fn small_value(&mut self) -> Result<Vec<u8>, ScanError> {
        let mut text = Vec::new();
        match self.value(Some(&mut text))? {
            Ok(()) => Ok(text),
            Err(detail) => Err(self.syntax(&detail)),
        }
    }

    /// Passes one value and copies its text to `keep`, replacing what is there. A text beyond the limit is passed
    /// too, and reported inside.
    fn value(&mut self, mut keep: Option<&mut Vec<u8>>) -> Result<Result<(), String>, ScanError> {
        if let Some(keep) = &mut keep {
            keep.clear();
        }
        let mut end = match self.peek_token()? {
            Some(b'"' | b'{' | b'[') => EndFinder::compound(),
            Some(byte) if !b",:]}".contains(&byte) => EndFinder::plain(),
            _ => return Err(self.syntax("a value is expected")),
        };
        let mut length = 0;
        loop {
            let chunk = self.fill()?;
            if chunk.is_empty() {
                if end.is_plain {
                    break;
                }
                return Err(self.syntax("the file ends inside a value"));
            }
            let found = end.find(chunk);
            let taken = found.unwrap_or(chunk.len());
            length += taken;
            if let Some(keep) = &mut keep
                // Beyond the limit the text is only passed over, so that a file can't make us hold more than one block may have.
                && length <= BLOCK_JSON_MAX_BYTES
            {
                keep.extend_from_slice(&chunk[..taken]);
            }
            self.position += taken;
            if found.is_some() {
                break;
            }
        }
        if length > BLOCK_JSON_MAX_BYTES {
            return Ok(Err(format!(
                "a text of {length} bytes, the limit is {BLOCK_JSON_MAX_BYTES}"
            )));
        }
        Ok(Ok(()))
    }
}

/// Finds where a value ends, over chunks.
struct EndFinder {
    is_plain: bool,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl EndFinder {
    /// For a string, an array or an object.
    const fn compound() -> Self {
        Self {
            is_plain: false,
            depth: 0,
            in_string: false,
            is_escaped: false,
        }
    }

    /// For a number or a word, which ends before the next delimiter.
    const fn plain() -> Self {
        Self {
            is_plain: true,
            depth: 0,
            in_string: false,
            is_escaped: false,
        }
    }

    /// How much of `chunk` still belongs to the value, if it ends there.
    fn find(&mut self, chunk: &[u8]) -> Option<usize> {
        if self.is_plain {
            return chunk
                .iter()
                .position(|byte| b" \t\n\r,:]}\"[{".contains(byte));
        }
        for (index, byte) in chunk.iter().enumerate() {
            if self.is_escaped {
                self.is_escaped = false;
                continue;
            }
            match (byte, self.in_string) {
                (b'\\', true) => self.is_escaped = true,
                (b'"', _) => self.in_string = !self.in_string,
                (b'{' | b'[', false) => self.depth += 1,
                (b'}' | b']', false) => self.depth = self.depth.saturating_sub(1),
                _ => continue,
            }
            if self.depth == 0 && !self.in_string {
                return Some(index + 1);
            }
        }
        None
    }
}
