//! What is imported is read from, and what is exported is written to: files and pipes, compressed or not.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;

use super::args::Compression;
use crate::problem::Problem;

const BUFFER: usize = 1 << 20;
/// Frames of zstd that need more memory than this to be read are refused: 2^27 bytes, what the `zstd` program takes.
const ZSTD_WINDOW_LOG: u32 = 27;

/// A stream that is read, decompressed, with the number of bytes that were taken from the file so far.
pub(super) struct Input {
    reader: Box<dyn BufRead>,
    taken: std::rc::Rc<std::cell::Cell<u64>>,
    /// The size of the file, where it is one.
    pub(super) len: Option<u64>,
}

impl Input {
    /// Opens a file, or standard input for `-`. Whether it is compressed is seen by its first bytes.
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let cannot = |e: io::Error| Problem::new(format!("{}: cannot be read: {e}", path.display()));
        let (file, len): (Box<dyn Read>, _) = if path.as_os_str() == "-" {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(cannot)?;
            let meta = file.metadata().map_err(cannot)?;
            (Box::new(file), Some(meta.len()).filter(|_| meta.is_file()))
        };
        let taken = std::rc::Rc::new(std::cell::Cell::new(0));
        let mut raw = BufReader::with_capacity(BUFFER, Counted { file, taken: std::rc::Rc::clone(&taken) });
        let start = raw.fill_buf().map_err(cannot)?;
        let reader: Box<dyn BufRead> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(raw)))
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut zstd = zstd::stream::read::Decoder::with_buffer(raw).map_err(cannot)?;
            zstd.window_log_max(ZSTD_WINDOW_LOG).map_err(cannot)?;
            Box::new(BufReader::with_capacity(BUFFER, zstd))
        } else {
            Box::new(raw)
        };
        Ok(Input { reader, taken, len })
    }

    /// Bytes that were taken from the file.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// What it holds, decompressed.
    pub(super) fn reader(&mut self) -> &mut dyn BufRead {
        self.reader.as_mut()
    }
}

struct Counted {
    file: Box<dyn Read>,
    taken: std::rc::Rc<std::cell::Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.taken.set(self.taken.get() + n as u64);
        Ok(n)
    }
}

/// A stream that is written, compressed as it goes. A file has its name once it is whole: until then, and where it never
/// becomes so, there is only one that ends in `.partial`, which goes with what writes it.
pub(super) struct Output {
    stream: Stream,
    file: Option<Partial>,
}

type Plain = BufWriter<Box<dyn Write + Send>>;

enum Stream {
    Plain(Plain),
    Gzip(Box<GzEncoder<Plain>>),
    Zstd(zstd::stream::write::Encoder<'static, Plain>),
}

impl Output {
    /// Makes a file, which must not be there, or takes standard output for `-`.
    pub(super) fn create(path: &Path, compression: Compression) -> Result<Self, Problem> {
        let cannot = |e: io::Error| Problem::new(format!("{}: cannot be written: {e}", path.display()));
        let (file, sink): (_, Box<dyn Write + Send>) = if path.as_os_str() == "-" {
            (None, Box::new(io::stdout()))
        } else {
            let (partial, file) = Partial::create(path).map_err(cannot)?;
            (Some(partial), Box::new(file))
        };
        let plain = BufWriter::with_capacity(BUFFER, sink);
        let stream = match compression {
            Compression::None => Stream::Plain(plain),
            Compression::Gzip => Stream::Gzip(Box::new(GzEncoder::new(plain, flate2::Compression::default()))),
            Compression::Zstd => Stream::Zstd(zstd::stream::write::Encoder::new(plain, 0).map_err(cannot)?),
        };
        Ok(Output { stream, file })
    }

    /// Writes what is still held back, and gives the file its name.
    pub(super) fn finish(self) -> io::Result<()> {
        match self.stream {
            Stream::Plain(mut plain) => plain.flush(),
            Stream::Gzip(gzip) => gzip.finish()?.flush(),
            Stream::Zstd(zstd) => zstd.finish()?.flush(),
        }?;
        self.file.map_or(Ok(()), Partial::complete)
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(plain) => plain.write(buf),
            Stream::Gzip(gzip) => gzip.write(buf),
            Stream::Zstd(zstd) => zstd.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(plain) => plain.flush(),
            Stream::Gzip(gzip) => gzip.flush(),
            Stream::Zstd(zstd) => zstd.flush(),
        }
    }
}

/// How a file of this name is compressed.
pub(super) fn by_name(path: &Path) -> Compression {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        _ => Compression::None,
    }
}

/// A file that is not whole yet; it is removed unless it is completed.
struct Partial {
    path: PathBuf,
    whole: PathBuf,
}

impl Partial {
    fn create(whole: &Path) -> io::Result<(Self, File)> {
        absent(whole)?;
        let mut path = whole.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let file = File::create_new(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        Ok((Partial { path, whole: whole.to_owned() }, file))
    }

    fn complete(self) -> io::Result<()> {
        absent(&self.whole)?;
        fs::rename(&self.path, &self.whole)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After completion there is none.
        drop(fs::remove_file(&self.path));
    }
}

/// Whatever has the name already is somebody's.
fn absent(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.om");
        let files = || {
            let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let mut output = Output::create(&path, Compression::None).unwrap();
        output.write_all(b"half").unwrap();
        assert_eq!(files(), ["all.om.partial"]);
        drop(output);
        assert!(files().is_empty(), "what was not finished is gone");

        let mut output = Output::create(&path, Compression::Gzip).unwrap();
        output.write_all(b"whole").unwrap();
        output.finish().unwrap();
        assert_eq!(files(), ["all.om"]);
        assert!(Output::create(&path, Compression::None).is_err(), "what is there stays");
        assert_eq!(fs::read(&path).unwrap()[..2], [0x1f, 0x8b]);

        // What came to be there meanwhile stays, too.
        let other = dir.path().join("other.om");
        let output = Output::create(&other, Compression::None).unwrap();
        fs::write(&other, "mine").unwrap();
        assert!(output.finish().is_err());
        assert_eq!(fs::read(&other).unwrap(), b"mine");
        assert_eq!(files(), ["all.om", "other.om"]);
    }
}
