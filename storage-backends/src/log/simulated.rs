//! Files that fail, stop and forget, for tests.
//!
//! Every operation is passed on to a real directory, so reading works as it does. Beside it is kept what a disk would
//! have: for each file the content of the last sync and what was done since, for the directory the names of
//! its last sync and what was done since. A loss of power keeps any subset of the latter, writes by sector.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::{FileHandle, Files, ReadHandle, SystemFiles};

const SECTOR_BYTES: usize = 64;
/// What the system says of a sector that can't be read.
const EIO: i32 = 5;

/// A generator of numbers that looks random and can be repeated.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What happens at the operation of a number, counted from the fault's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It and everything after it fails; of a write, a part may have happened.
    Stop(u64),
    /// It alone fails; of a write, a part may have happened, and what a failed sync was to save may be lost.
    Fail(u64),
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
    Punch(u64, u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                let start = *offset as usize;
                let end = start + bytes.len();
                content.resize(content.len().max(end), 0);
                content[start..end].copy_from_slice(bytes);
            }
            Self::Cut(length) => content.resize(*length as usize, 0),
            Self::Punch(offset, length) => {
                let end = ((offset + length) as usize).min(content.len());
                content[(*offset as usize).min(end)..end].fill(0);
            }
        }
    }

    /// Applies what survives of the change, sector by sector.
    fn apply_partly(&self, content: &mut Vec<u8>, dice: &mut Dice, percent: u64) {
        let Self::Write(offset, bytes) = self else {
            if dice.chance(percent) {
                self.apply(content);
            }
            return;
        };
        for (number, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            if dice.chance(percent) {
                let at = offset + (number * SECTOR_BYTES) as u64;
                Self::Write(at, sector.to_vec()).apply(content);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, usize),
    Rename(String, String),
    Unlink(String),
}

impl NameChange {
    /// The directory whose names it changes.
    fn directory(&self) -> &str {
        let (Self::Link(name, _) | Self::Rename(_, name) | Self::Unlink(name)) = self;
        name.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    pending: Vec<Change>,
    is_directory: bool,
}

#[derive(Debug)]
struct Disk {
    dice: Dice,
    operations: u64,
    fault: Option<Fault>,
    /// Readings so far, and the number of the one that fails.
    reads: u64,
    unreadable: Option<u64>,
    stopped: bool,
    /// Files of heads that took the place of others: of sealed segments, and of the open one.
    stripped: [u64; 2],
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
}

/// What an operation that is about to begin has to do.
enum Turn {
    Go,
    Break(io::Error),
}

impl Disk {
    fn turn(&mut self) -> Turn {
        if self.stopped {
            return Turn::Break(io::Error::other("the machine stopped"));
        }
        self.operations += 1;
        match self.fault {
            Some(Fault::Stop(at)) if at == self.operations => {
                self.stopped = true;
                Turn::Break(io::Error::other("the machine stops"))
            }
            Some(Fault::Fail(at)) if at == self.operations => {
                Turn::Break(io::Error::other("a fault"))
            }
            _ => Turn::Go,
        }
    }
}

/// The simulated file system of one directory.
#[derive(Debug, Clone)]
pub(super) struct SimulatedFiles {
    root: PathBuf,
    disk: Arc<Mutex<Disk>>,
}

impl SimulatedFiles {
    /// Begins with what a directory has, all of it durable.
    pub(super) fn of(directory: &Path, dice: Dice) -> Self {
        let mut inodes = Vec::new();
        let mut names = BTreeMap::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(folder) = directories.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let is_directory = path.is_dir();
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap();
                names.insert(name.to_owned(), inodes.len());
                inodes.push(Inode {
                    durable: match is_directory {
                        true => Vec::new(),
                        false => fs::read(&path).unwrap(),
                    },
                    pending: Vec::new(),
                    is_directory,
                });
                if is_directory {
                    directories.push(path);
                }
            }
        }
        Self {
            root: directory.to_owned(),
            disk: Arc::new(Mutex::new(Disk {
                dice,
                operations: 0,
                fault: None,
                reads: 0,
                unreadable: None,
                stopped: false,
                stripped: [0; 2],
                inodes,
                durable_names: names.clone(),
                names,
                pending_names: Vec::new(),
            })),
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// Sets what goes wrong, counted from now.
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        let mut disk = self.disk();
        disk.operations = 0;
        disk.fault = fault;
    }

    /// Goes on after a stop, since it was the process that ended: the system has what was written, but not yet on the disk.
    pub(super) fn restart(&self) {
        let mut disk = self.disk();
        disk.stopped = false;
        disk.fault = None;
    }

    /// Has the reading of a number, counted from now, fail as one of a bad sector does.
    pub(super) fn set_unreadable(&self, reading: Option<u64>) {
        let mut disk = self.disk();
        disk.reads = 0;
        disk.unreadable = reading;
    }

    /// Readings since that was set.
    pub(super) fn reads(&self) -> u64 {
        self.disk().reads
    }

    pub(super) fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// How often the heads of sealed segments, and of the open one, were rewritten.
    pub(super) fn stripped(&self) -> [u64; 2] {
        self.disk().stripped
    }

    /// Whether the fault has happened.
    pub(super) fn is_stopped(&self) -> bool {
        self.disk().stopped
    }

    /// Writes what a loss of power leaves into an empty directory.
    pub(super) fn lose_power(&self, to: &Path) {
        let mut disk = self.disk();
        let survives = [0, 10, 50, 90, 100];
        let percent = survives[disk.dice.below(5) as usize];
        let mut names = disk.durable_names.clone();
        for change in disk.pending_names.clone() {
            if disk.dice.chance(percent) {
                change.apply(&mut names);
            }
        }
        // A directory comes before what is in it.
        for (name, inode) in names {
            if disk.inodes[inode].is_directory {
                fs::create_dir(to.join(name)).unwrap();
                continue;
            }
            // Whoever loses the directory loses its files.
            if !to.join(&name).parent().unwrap().is_dir() {
                continue;
            }
            let mut content = disk.inodes[inode].durable.clone();
            for change in disk.inodes[inode].pending.clone() {
                change.apply_partly(&mut content, &mut disk.dice, percent);
            }
            fs::write(to.join(name), content).unwrap();
        }
    }

    /// A path within the root.
    fn name(&self, path: &Path) -> String {
        let name = path.strip_prefix(&self.root).unwrap_or(path);
        name.to_str().unwrap().to_owned()
    }

    fn handle(&self, inode: usize, file: Box<dyn FileHandle>) -> Box<dyn FileHandle> {
        Box::new(SimulatedFile {
            files: self.clone(),
            inode,
            file,
        })
    }
}

impl Files for SimulatedFiles {
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        SystemFiles.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.names.contains_key(&self.name(path)) {
            return Ok(());
        }
        if let Turn::Break(error) = disk.turn() {
            return Err(error);
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode {
            is_directory: true,
            ..Inode::default()
        });
        disk.names.insert(self.name(path), inode);
        let change = NameChange::Link(self.name(path), inode);
        disk.pending_names.push(change);
        SystemFiles.create_directory(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileHandle>> {
        let inode = {
            let mut disk = self.disk();
            if let Turn::Break(error) = disk.turn() {
                return Err(error);
            }
            match disk.names.get(&self.name(path)).copied() {
                Some(inode) => {
                    disk.inodes[inode].pending.push(Change::Cut(0));
                    inode
                }
                None => {
                    let inode = disk.inodes.len();
                    disk.inodes.push(Inode::default());
                    disk.names.insert(self.name(path), inode);
                    disk.pending_names
                        .push(NameChange::Link(self.name(path), inode));
                    inode
                }
            }
        };
        Ok(self.handle(inode, SystemFiles.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FileHandle>> {
        let file = SystemFiles.open(path)?;
        let inode = self.disk().names[&self.name(path)];
        Ok(self.handle(inode, file))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn ReadHandle>> {
        let file = SystemFiles.open_to_read(path)?;
        let files = self.clone();
        Ok(Box::new(SimulatedRead { files, file }))
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        SystemFiles.allocated(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if let Turn::Break(error) = disk.turn() {
            return Err(error);
        }
        let is_heads = |name: &&String| name.starts_with("heads") && !name.ends_with(".new");
        if disk
            .names
            .keys()
            .filter(is_heads)
            .any(|held| *held == self.name(to))
        {
            let is_open = disk.names.keys().rfind(is_heads) == Some(&self.name(to));
            disk.stripped[usize::from(is_open)] += 1;
        }
        let change = NameChange::Rename(self.name(from), self.name(to));
        change.apply(&mut disk.names);
        disk.pending_names.push(change);
        SystemFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if let Turn::Break(error) = disk.turn() {
            return Err(error);
        }
        let change = NameChange::Unlink(self.name(path));
        change.apply(&mut disk.names);
        disk.pending_names.push(change);
        SystemFiles.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if let Turn::Break(error) = disk.turn() {
            return Err(error);
        }
        let disk = &mut *disk;
        let directory = self.name(directory);
        for change in std::mem::take(&mut disk.pending_names) {
            match change.directory() == directory {
                true => change.apply(&mut disk.durable_names),
                false => disk.pending_names.push(change),
            }
        }
        Ok(())
    }

    fn sync(&self, files: &[&dyn FileHandle]) -> Result<(), (usize, io::Error)> {
        files
            .iter()
            .enumerate()
            .try_for_each(|(number, file)| file.sync().map_err(|error| (number, error)))
    }
}

/// A file that is read from, of which a reading can fail.
#[derive(Debug)]
struct SimulatedRead {
    files: SimulatedFiles,
    file: Box<dyn ReadHandle>,
}

impl SimulatedRead {
    fn turn(&self) -> io::Result<()> {
        let mut disk = self.files.disk();
        disk.reads += 1;
        match disk.unreadable == Some(disk.reads) {
            true => Err(io::Error::from_raw_os_error(EIO)),
            false => Ok(()),
        }
    }
}

impl ReadHandle for SimulatedRead {
    fn length(&self) -> u64 {
        self.file.length()
    }

    fn pin(&self) -> io::Result<()> {
        self.file.pin()
    }

    fn fill(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.turn()?;
        self.file.fill(into, offset)
    }

    fn append(&self, into: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<usize> {
        self.turn()?;
        self.file.append(into, length, offset)
    }
}

#[derive(Debug)]
struct SimulatedFile {
    files: SimulatedFiles,
    inode: usize,
    file: Box<dyn FileHandle>,
}

impl SimulatedFile {
    fn change(&self, change: Change, real: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut disk = self.files.disk();
        match disk.turn() {
            Turn::Go => {
                disk.inodes[self.inode].pending.push(change);
                real()
            }
            Turn::Break(error) => {
                if let Change::Write(offset, bytes) = change {
                    let kept = disk.dice.below(bytes.len() as u64 + 1) as usize;
                    let part = Change::Write(offset, bytes[..kept].to_vec());
                    self.file.write_at(&bytes[..kept], offset)?;
                    disk.inodes[self.inode].pending.push(part);
                }
                Err(error)
            }
        }
    }
}

impl FileHandle for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(Change::Write(offset, bytes.to_vec()), || {
            self.file.write_at(bytes, offset)
        })
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.change(Change::Cut(length), || self.file.cut(length))
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<bool> {
        self.change(Change::Punch(offset, length), || {
            self.file.punch(offset, length).map(drop)
        })?;
        Ok(true)
    }

    fn begin_sync(&self, _offset: u64, _length: u64) {}

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.files.disk();
        let turn = disk.turn();
        let disk = &mut *disk;
        let inode = &mut disk.inodes[self.inode];
        match turn {
            Turn::Go => {
                for change in inode.pending.drain(..) {
                    change.apply(&mut inode.durable);
                }
                Ok(())
            }
            Turn::Break(error) => {
                // The system forgets that pages are dirty: no later sync will write them.
                if !disk.stopped {
                    inode.pending.retain(|_| disk.dice.chance(50));
                }
                Err(error)
            }
        }
    }
}

/// A directory and its simulated file system.
#[derive(Debug)]
pub(super) struct Machine {
    place: tempfile::TempDir,
    pub(super) files: SimulatedFiles,
}

impl Machine {
    /// Makes a directory with `fill` and boots with it.
    pub(super) fn boot(dice: Dice, fill: impl FnOnce(&Path)) -> Self {
        let place = tempfile::tempdir().unwrap();
        fill(place.path());
        let files = SimulatedFiles::of(place.path(), dice);
        Self { place, files }
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.place.path().to_owned()
    }

    /// What comes up after a loss of power.
    pub(super) fn after_power_loss(&self, dice: Dice) -> Self {
        Self::boot(dice, |to| self.files.lose_power(to))
    }
}
