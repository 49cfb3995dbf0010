//! `DATA/admin.token`: an admin token for whoever can read the data directory, new at each start and void at the end of the
//! process. It is how the first token is made, and the way back in when all others are lost.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::{Fs, write_private};

use super::secret::Secret;

/// The name below the data directory.
const FILE_NAME: &str = "admin.token";

/// The file, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct AdminFile {
    fs: Arc<dyn Fs>,
    path: PathBuf,
}

impl AdminFile {
    /// Writes the token and, below it, the address of the collector; only the owner of the file may read it.
    pub(crate) fn write(fs: Arc<dyn Fs>, data_dir: &Path, secret: &Secret, address: &str) -> io::Result<Self> {
        let path = data_dir.join(FILE_NAME);
        write_private(fs.as_ref(), &path, format!("{}\n{address}\n", secret.as_str()).as_bytes())?;
        Ok(AdminFile { fs, path })
    }
}

impl Drop for AdminFile {
    fn drop(&mut self) {
        // What it holds is void once the process has ended.
        let _ = self.fs.remove_file(&self.path);
    }
}

/// The address under which programs of this machine reach a listener.
pub(crate) fn local_address(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
