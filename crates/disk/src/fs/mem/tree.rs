//! The names of a file system in memory: what a program sees and what the disk holds.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use fastrand::Rng;

use super::MemFile;
use crate::fs::{Entry, parent_of};

/// A tree of directories; the root always exists. Directories are never freed: tests are short.
#[derive(Debug)]
pub(super) struct Tree {
    dirs: Vec<Dir>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Dir(usize),
    File(Arc<MemFile>),
}

#[derive(Debug, Default)]
struct Dir {
    current: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// What happened to names since the last sync of the directory.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, Node),
    Unlink(String),
    Rename(String, String, Node),
}

const ROOT: usize = 0;

impl Default for Tree {
    fn default() -> Self {
        Self { dirs: vec![Dir::default()] }
    }
}

impl Tree {
    pub(super) fn create(&mut self, path: &Path, node: Node) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        let dir = &mut self.dirs[dir];
        if dir.current.contains_key(&name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} exists", path.display())));
        }
        dir.apply(Change::Link(name, node));
        Ok(())
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Arc<MemFile>> {
        match self.node(path)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(io::Error::new(io::ErrorKind::IsADirectory, format!("{}", path.display()))),
        }
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.node(path).is_ok()
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let entries = self.dirs[self.dir(path)?].current.iter().map(|(name, node)| match node {
            Node::Dir(_) => Entry { name: name.clone(), is_dir: true, len: 0 },
            Node::File(file) => Entry { name: name.clone(), is_dir: false, len: file.len() },
        });
        Ok(entries.collect())
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for name in names(path)? {
            at = match self.dirs[at].current.get(&name) {
                Some(Node::Dir(dir)) => *dir,
                Some(Node::File(_)) => return Err(io::Error::new(io::ErrorKind::NotADirectory, name)),
                None => {
                    let created = self.dirs.len();
                    self.dirs.push(Dir::default());
                    self.dirs[at].current.insert(name.clone(), Node::Dir(created));
                    self.dirs[at].durable.insert(name, Node::Dir(created));
                    created
                }
            };
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        if let Some(Node::Dir(_)) = self.dirs[to_dir].current.get(&to_name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is a directory", to.display())));
        }
        if from_dir == to_dir {
            self.dirs[from_dir].apply(Change::Rename(from_name, to_name, node));
        } else {
            self.dirs[to_dir].apply(Change::Link(to_name, node));
            self.dirs[from_dir].apply(Change::Unlink(from_name));
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        let (dir, name) = self.parent(path)?;
        self.dirs[dir].apply(Change::Unlink(name));
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        self.dir(path)?;
        let (dir, name) = self.parent(path)?;
        self.dirs[dir].apply(Change::Unlink(name));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.dir(path)?;
        let dir = &mut self.dirs[dir];
        dir.durable = dir.current.clone();
        dir.unsynced.clear();
        Ok(())
    }

    pub(super) fn used(&self) -> u64 {
        self.used_below(ROOT)
    }

    pub(super) fn crash(&self, rng: &mut Rng) -> Self {
        let mut after = Self::default();
        self.crash_dir(ROOT, &mut after, ROOT, rng);
        after
    }

    pub(super) fn fork(&self) -> Self {
        // A file may be reachable by several names, the old and the new of a rename: it must stay one file.
        let mut forked: HashMap<*const MemFile, Arc<MemFile>> = HashMap::new();
        let mut fork = |node: &Node| match node {
            Node::Dir(dir) => Node::Dir(*dir),
            Node::File(file) => {
                let fork = forked.entry(Arc::as_ptr(file)).or_insert_with(|| Arc::new(file.fork()));
                Node::File(Arc::clone(fork))
            }
        };
        let dirs = self.dirs.iter().map(|dir| Dir {
            current: dir.current.iter().map(|(name, node)| (name.clone(), fork(node))).collect(),
            durable: dir.durable.iter().map(|(name, node)| (name.clone(), fork(node))).collect(),
            unsynced: dir.unsynced.iter().map(|change| change.map_node(&mut fork)).collect(),
        });
        Self { dirs: dirs.collect() }
    }

    fn used_below(&self, dir: usize) -> u64 {
        let sizes = self.dirs[dir].current.values().map(|node| match node {
            Node::Dir(dir) => self.used_below(*dir),
            Node::File(file) => file.len(),
        });
        sizes.sum()
    }

    fn crash_dir(&self, dir: usize, after: &mut Self, target: usize, rng: &mut Rng) {
        for (name, node) in self.dirs[dir].after_power_cut(rng) {
            let node = match node {
                Node::File(file) => Node::File(Arc::new(file.crash(rng))),
                Node::Dir(child) => {
                    let created = after.dirs.len();
                    after.dirs.push(Dir::default());
                    self.crash_dir(child, after, created, rng);
                    Node::Dir(created)
                }
            };
            after.dirs[target].current.insert(name.clone(), node.clone());
            after.dirs[target].durable.insert(name, node);
        }
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let mut at = Node::Dir(ROOT);
        for name in names(path)? {
            let Node::Dir(dir) = at else { return Err(not_found(path)) };
            at = self.dirs[dir].current.get(&name).cloned().ok_or_else(|| not_found(path))?;
        }
        Ok(at)
    }

    fn dir(&self, path: &Path) -> io::Result<usize> {
        match self.node(path)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{}", path.display()))),
        }
    }

    fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = names(path)?.pop().ok_or_else(|| not_found(path))?;
        Ok((self.dir(parent_of(path))?, name))
    }
}

impl Dir {
    fn apply(&mut self, change: Change) {
        change.clone().apply(&mut self.current);
        self.unsynced.push(change);
    }

    /// File systems with a journal keep the first changes, others any of them.
    fn after_power_cut(&self, rng: &mut Rng) -> BTreeMap<String, Node> {
        let mut names = self.durable.clone();
        let keep_first = rng.bool().then(|| rng.usize(..=self.unsynced.len()));
        for (index, change) in self.unsynced.iter().enumerate() {
            if keep_first.map_or_else(|| rng.bool(), |n| index < n) {
                change.clone().apply(&mut names);
            }
        }
        names
    }
}

impl Change {
    fn map_node(&self, map: &mut impl FnMut(&Node) -> Node) -> Self {
        match self {
            Self::Link(name, node) => Self::Link(name.clone(), map(node)),
            Self::Unlink(name) => Self::Unlink(name.clone()),
            Self::Rename(from, to, node) => Self::Rename(from.clone(), to.clone(), map(node)),
        }
    }

    fn apply(self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Link(name, node) => {
                names.insert(name, node);
            }
            Self::Unlink(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to, node) => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a path in memory has no `..` and no prefix"));
            }
        }
    }
    Ok(names)
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}
