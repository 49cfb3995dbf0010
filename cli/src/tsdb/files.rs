//! What is imported is read from, and what is exported is written to: files and pipes, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

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

/// A stream that is written, compressed as it goes.
pub(super) enum Output {
    Plain(Box<dyn Write>),
    Gzip(Box<GzEncoder<Box<dyn Write>>>),
    Zstd(zstd::stream::write::Encoder<'static, Box<dyn Write>>),
}

impl Output {
    /// Makes a file, which must not be there, or takes standard output for `-`.
    pub(super) fn create(path: &Path, compression: Option<Compression>) -> Result<Self, Problem> {
        let cannot = |e: io::Error| Problem::new(format!("{}: cannot be written: {e}", path.display()));
        let by_name = match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        };
        let file: Box<dyn Write> = if path.as_os_str() == "-" {
            Box::new(io::stdout())
        } else {
            Box::new(File::create_new(path).map_err(cannot)?)
        };
        let file: Box<dyn Write> = Box::new(BufWriter::with_capacity(BUFFER, file));
        Ok(match compression.unwrap_or(by_name) {
            Compression::None => Output::Plain(file),
            Compression::Gzip => Output::Gzip(Box::new(GzEncoder::new(file, flate2::Compression::default()))),
            Compression::Zstd => Output::Zstd(zstd::stream::write::Encoder::new(file, 0).map_err(cannot)?),
        })
    }

    /// Writes what is still held back.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Output::Plain(mut file) => file.flush(),
            Output::Gzip(gzip) => gzip.finish()?.flush(),
            Output::Zstd(zstd) => zstd.finish()?.flush(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(file) => file.write(buf),
            Output::Gzip(gzip) => gzip.write(buf),
            Output::Zstd(zstd) => zstd.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Plain(file) => file.flush(),
            Output::Gzip(gzip) => gzip.flush(),
            Output::Zstd(zstd) => zstd.flush(),
        }
    }
}
