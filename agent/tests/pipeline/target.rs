//! A program with a `/metrics` page that says what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that answers every request with the same page.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    page: Arc<Mutex<(u16, String)>>,
    _server: JoinSet<()>,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let page = Arc::new(Mutex::new((200, String::new())));
        let mut server = JoinSet::new();
        let shared = Arc::clone(&page);
        server.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let page = shared.lock().clone();
                answer(stream, page).await;
            }
        });
        Target { address, page, _server: server }
    }

    /// What is answered from now on; status 0 is a connection that is closed without a word.
    pub(crate) fn serve(&self, status: u16, body: &str) {
        *self.page.lock() = (status, body.to_owned());
    }
}

async fn answer(mut stream: TcpStream, (status, body): (u16, String)) {
    let mut request = [0; 4_096];
    let read = stream.read(&mut request).await.unwrap_or(0);
    if status == 0 || read == 0 {
        return;
    }
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that went away is its own affair.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}
