//! Takes all mail and throws it away: `mailin-sink THREADS`. Prints the address it listens on.

use mailin_embedded::{Handler, Server, SslConfig};
use std::net::TcpListener;

/// Takes everything, as the default methods do.
#[derive(Clone)]
struct Discard;

impl Handler for Discard {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).ok_or("expected the number of threads")?.parse()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening smtp {}", listener.local_addr()?);
    let mut server = Server::new(Discard);
    server.with_name("mx.example").with_ssl(SslConfig::None)?.with_num_threads(threads);
    server.with_tcp_listener(listener);
    server.serve()?;
    Ok(())
}
