//! A TCP proxy that cuts a connection after so many bytes, wherever in a message that is.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens for one connection, passes it on to the server, and cuts it once so many bytes have come
/// from there. Returns where it listens.
pub async fn that_cuts_after(bytes: usize, server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(server).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let upwards = tokio::spawn(async move {
            tokio::io::copy(&mut from_client, &mut to_server).await.ok();
        });
        let mut left = bytes;
        let mut buffer = vec![0; 4_096];
        while left > 0 {
            let wanted = left.min(buffer.len());
            match from_server.read(&mut buffer[..wanted]).await {
                Ok(read @ 1..) if to_client.write_all(&buffer[..read]).await.is_ok() => {
                    left -= read;
                }
                _ => break,
            }
        }
        // Both directions end with this task and its child: the sockets close.
        upwards.abort();
    });
    address
}
