//! A configuration of TLS that follows its files.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::error::TlsError;
use crate::file::PemFile;

/// Files from which a configuration is made.
pub trait Source: Clone + PartialEq + std::fmt::Debug {
    /// What is made of them.
    type Config: Send + Sync;

    /// The files, in the order in which [`Source::build`] takes their content.
    fn files(&self) -> Vec<PemFile>;

    /// Makes the configuration of what was read.
    fn build(&self, contents: &[Vec<u8>]) -> Result<Built<Self::Config>, TlsError>;
}

/// What was made of the files.
#[derive(Debug)]
pub struct Built<C> {
    /// The configuration.
    pub(crate) config: Arc<C>,
    /// The own certificate, and the file that it is in.
    pub(crate) own: Option<(PemFile, crate::Certificate)>,
    /// When the first of the authorities is over, in seconds since the epoch.
    pub(crate) authorities_end: Option<i64>,
    /// What is allowed but hardly meant.
    pub(crate) warnings: Vec<String>,
}

/// What a look at the files came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The files are as they were.
    Unchanged,
    /// The files changed, and are in force for new connections.
    Replaced {
        /// What is allowed but hardly meant.
        warnings: Vec<String>,
    },
}

/// What is counted of the files.
#[derive(Debug, Default)]
pub struct Stats {
    /// Times that changed files were taken.
    pub reloads: AtomicU64,
    /// Times that changed files were refused.
    pub reload_failures: AtomicU64,
    own_end: AtomicI64,
    authorities_end: AtomicI64,
}

impl Stats {
    /// Until when the own certificate holds, in seconds since the epoch; `None` without one.
    pub fn certificate_end(&self) -> Option<i64> {
        Some(self.own_end.load(Relaxed)).filter(|end| *end != 0)
    }

    /// Until when the first of the authorities in force holds, in seconds since the epoch; `None` where those of the system are
    /// trusted or nobody is asked for a certificate.
    pub fn authorities_end(&self) -> Option<i64> {
        Some(self.authorities_end.load(Relaxed)).filter(|end| *end != 0)
    }
}

/// A configuration that follows its files: what is no good leaves the old one in force.
pub struct Reloading<S: Source> {
    current: ArcSwap<S::Config>,
    seen: Mutex<Seen<S>>,
    stats: Arc<Stats>,
}

/// What was looked at last, in force or not.
#[derive(Debug)]
struct Seen<S> {
    source: S,
    /// What was read; `None` where a file could not be read.
    contents: Option<Vec<Vec<u8>>>,
    /// The text of the error that was told last, so that each is told once.
    error: Option<String>,
}

impl<S: Source> Reloading<S> {
    /// Reads the files for the first time. `now_s` is in seconds since the epoch. Returns with warnings: what is allowed but
    /// hardly meant. A certificate that is over is among them, because a program that measures and alerts must start.
    pub fn load(source: S, now_s: i64) -> Result<(Self, Vec<String>), TlsError> {
        let contents = read(&source)?;
        let mut built = source.build(&contents)?;
        if let Some((file, own)) = built.own.as_ref().filter(|(_, own)| own.is_expired(now_s)) {
            let (name, at) = (own.name(), crate::certificate::date(own.not_after));
            built.warnings.push(format!("{file}: the certificate of {name} expired at {at}; nobody will accept it"));
        }
        let stats = Arc::new(Stats::default());
        tell_ends(&stats, &built);
        let seen = Mutex::new(Seen { source, contents: Some(contents), error: None });
        Ok((Reloading { current: ArcSwap::new(built.config), seen, stats }, built.warnings))
    }

    /// The configuration for a connection that begins now.
    pub fn config(&self) -> Arc<S::Config> {
        self.current.load_full()
    }

    /// What is counted.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// What the files are.
    pub fn source(&self) -> S {
        self.seen.lock().source.clone()
    }

    /// Looks at the files again, and takes them if their content changed. Existing connections stay as they are.
    ///
    /// An error is returned once for each new content: what stays broken is not told again.
    pub fn refresh(&self, now_s: i64) -> Result<Refreshed, TlsError> {
        let source = self.source();
        self.replace(source, now_s)
    }

    /// As [`Reloading::refresh`], from other files.
    pub fn replace(&self, source: S, now_s: i64) -> Result<Refreshed, TlsError> {
        let mut seen = self.seen.lock();
        let is_same = source == seen.source;
        let contents = read(&source);
        if is_same && contents.as_ref().is_ok_and(|contents| Some(contents) == seen.contents.as_ref()) {
            return Ok(Refreshed::Unchanged);
        }
        let built = contents.and_then(|contents| {
            let built = source.build(&contents).and_then(|built| self.not_expired_now(built, now_s));
            if is_same || built.is_ok() {
                seen.contents = Some(contents);
            }
            built
        });
        match built {
            Ok(built) => {
                tell_ends(&self.stats, &built);
                self.stats.reloads.fetch_add(1, Relaxed);
                self.current.store(built.config);
                (seen.source, seen.error) = (source, None);
                Ok(Refreshed::Replaced { warnings: built.warnings })
            }
            Err(error) => {
                let text = error.to_string();
                if is_same && seen.error.as_ref() == Some(&text) {
                    return Ok(Refreshed::Unchanged);
                }
                self.stats.reload_failures.fetch_add(1, Relaxed);
                seen.error = is_same.then_some(text);
                Err(error)
            }
        }
    }

    /// A certificate that is over does not replace one that holds.
    fn not_expired_now(&self, built: Built<S::Config>, now_s: i64) -> Result<Built<S::Config>, TlsError> {
        let holds = self.stats.certificate_end().is_some_and(|end| end >= now_s);
        match &built.own {
            Some((file, own)) if holds && own.is_expired(now_s) => {
                Err(TlsError::Expired { file: file.clone(), name: own.name().to_owned(), at: own.not_after })
            }
            _ => Ok(built),
        }
    }
}

impl<S: Source> std::fmt::Debug for Reloading<S> {
    /// Without what was read: a private key is among it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading").field("source", &self.source()).field("stats", &self.stats).finish_non_exhaustive()
    }
}

fn read<S: Source>(source: &S) -> Result<Vec<Vec<u8>>, TlsError> {
    source.files().iter().map(PemFile::read).collect()
}

fn tell_ends<C>(stats: &Stats, built: &Built<C>) {
    stats.own_end.store(built.own.as_ref().map_or(0, |(_, own)| own.not_after), Relaxed);
    stats.authorities_end.store(built.authorities_end.unwrap_or(0), Relaxed);
}
