//! The driver under a toy protocol: lines that are echoed, `TLS` to go over to TLS, `QUIT` to end.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail_wire::{Connection, Io, Layer, LayerInfo, RecvBuffer, SendBuffer, Step, TlsInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::tls::{ClientTls, SelfSigned, ServerTls, Trust};

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
struct Fault(&'static str);

/// Either side of the toy protocol. Lines come out as events; what is said goes in by `say`.
struct Toy {
    recv: RecvBuffer,
    send: SendBuffer,
    deadline: Option<Instant>,
    upgrade: bool,
    close: Option<Result<(), Fault>>,
    ended: bool,
    info: Option<TlsInfo>,
}

impl Toy {
    fn new() -> Self {
        Self {
            recv: RecvBuffer::new(4096),
            send: SendBuffer::new(64 * 1024),
            deadline: None,
            upgrade: false,
            close: None,
            ended: false,
            info: None,
        }
    }

    fn with_deadline(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..Self::new() }
    }

    fn say(&mut self, text: &str) {
        self.send.push(text.as_bytes());
    }
}

impl Connection for Toy {
    type Event = String;
    type Error = Fault;

    fn io(&mut self) -> Io<'_> {
        Io { recv: self.recv.spare(), send: self.send.data() }
    }

    fn received(&mut self, n: usize, _now: Instant) {
        self.recv.filled(n);
        self.ended |= n == 0;
    }

    fn sent(&mut self, n: usize, _now: Instant) {
        self.send.sent(n);
    }

    fn poll(&mut self) -> Step<String, Fault> {
        if let Some(result) = self.close.take() {
            return Step::Close(result);
        }
        if self.upgrade {
            return Step::Upgrade(Layer::Tls);
        }
        if self.send.is_high() {
            return Step::Blocked;
        }
        let Some(end) = self.recv.data().iter().position(|&b| b == b'\n') else {
            return if self.ended { Step::Close(Ok(())) } else { Step::Blocked };
        };
        let line = String::from_utf8(self.recv.data()[..end].to_vec()).unwrap();
        self.recv.consume(end + 1);
        match line.as_str() {
            "TLS" => {
                self.recv.purge();
                self.say("GO\n");
                self.upgrade = true;
                Step::Upgrade(Layer::Tls)
            }
            "GO" => {
                self.recv.purge();
                self.upgrade = true;
                Step::Upgrade(Layer::Tls)
            }
            "QUIT" => {
                self.say("BYE\n");
                Step::Close(Ok(()))
            }
            _ => Step::Event(line),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.say("TIMEOUT\n");
            self.close = Some(Err(Fault("timeout")));
        }
    }

    fn upgraded(&mut self, layer: LayerInfo, _now: Instant) {
        self.upgrade = false;
        if let LayerInfo::Tls(info) = layer {
            self.info = Some(info);
        }
    }
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings::new())
}

/// TLS settings for both sides, with a certificate made here.
fn tls_settings() -> (Arc<Settings>, Arc<Settings>) {
    let made = SelfSigned::generate(["localhost"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, made.certificate_pem()).unwrap();
    let server = Settings::new().with_tls(ServerTls::from_self_signed(&made).unwrap());
    let client = Settings::client().with_tls(ClientTls::new(&Trust::CaFile(ca), "localhost").unwrap());
    (Arc::new(server), Arc::new(client))
}

async fn echo<T: AsyncRead + AsyncWrite + Unpin>(conn: &mut Conn<Toy, T>) -> Closed<Fault> {
    loop {
        match conn.next().await {
            Ok(line) => conn.say(&format!("{line}\n")),
            Err(closed) => return closed,
        }
    }
}

fn is_done(closed: &Closed<Fault>) -> bool {
    matches!(closed, Closed::Done)
}

async fn read_all(stream: &mut DuplexStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn pipelined_lines_are_answered_in_order_in_one_write() {
    let (mut peer, ours) = duplex(1024);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    peer.write_all(b"a\nb\nQUIT\n").await.unwrap();
    assert_eq!(conn.next().await.unwrap(), "a");
    conn.say("A\n");
    assert_eq!(conn.next().await.unwrap(), "b");
    conn.say("B\n");
    let server = tokio::spawn(async move { conn.next().await });
    let mut buffer = [0; 64];
    let n = peer.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..n], b"A\nB\nBYE\n");
    drop(peer);
    assert!(is_done(&server.await.unwrap().unwrap_err()));
}

#[tokio::test]
async fn a_peer_that_ends_its_input_still_gets_its_replies() {
    let (mut peer, ours) = duplex(1024);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    peer.write_all(b"a\nb\n").await.unwrap();
    peer.shutdown().await.unwrap();
    assert!(is_done(&echo(&mut conn).await));
    assert_eq!(read_all(&mut peer).await, "a\nb\n");
    assert!(is_done(&conn.next().await.unwrap_err()), "and again");
}

#[tokio::test]
async fn a_next_that_is_dropped_at_every_await_loses_nothing() {
    let (peer, ours) = duplex(1);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    let text: String = (0..200).map(|n| format!("line {n}\n")).collect();
    let sent = text.clone();
    let client = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(peer);
        let writer = async {
            for byte in sent.as_bytes() {
                write.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            write.shutdown().await.unwrap();
        };
        let mut got = String::new();
        tokio::join!(writer, async { read.read_to_string(&mut got).await.unwrap() });
        got
    });
    let mut cancelled = 0;
    loop {
        tokio::select! {
            biased;
            event = conn.next() => match event {
                Ok(line) => conn.say(&format!("{line}\n")),
                Err(closed) => break assert!(is_done(&closed)),
            },
            () = tokio::task::yield_now() => cancelled += 1,
        }
    }
    assert_eq!(client.await.unwrap(), text);
    assert!(cancelled > 500, "{cancelled}");
}

/// Polls `future` again and again as a new future each time.
macro_rules! with_cancellations {
    ($conn:expr) => {
        loop {
            tokio::select! {
                biased;
                event = $conn.next() => break event,
                () = tokio::task::yield_now() => {}
            }
        }
    };
}

#[tokio::test]
async fn both_sides_go_over_to_tls_though_every_await_is_cancelled() {
    let (server_settings, client_settings) = tls_settings();
    let (theirs, ours) = duplex(7);
    let mut server = Conn::new(Toy::new(), ours, server_settings);
    let mut client = Conn::new(Toy::new(), theirs, client_settings);
    client.say("TLS\n");
    let server_side = async {
        assert_eq!(with_cancellations!(server).unwrap(), "hello");
        server.say("world\n");
        assert!(is_done(&with_cancellations!(server).unwrap_err()));
        server.info.clone().unwrap()
    };
    let client_side = async {
        loop {
            if client.is_tls() {
                break;
            }
            tokio::select! {
                biased;
                event = client.next() => panic!("{event:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        client.say("hello\n");
        assert_eq!(with_cancellations!(client).unwrap(), "world");
        let info = client.info.clone().unwrap();
        client.say("QUIT\n");
        assert_eq!(with_cancellations!(client).unwrap(), "BYE");
        assert!(is_done(&with_cancellations!(client).unwrap_err()));
        info
    };
    let (server_info, client_info) = tokio::join!(server_side, client_side);
    assert_eq!(server_info.version.as_deref(), Some("TLSv1.3"));
    assert!(server_info.cipher.as_deref().unwrap().starts_with("TLS_"), "{server_info:?}");
    assert_eq!(server_info.server_name.as_deref(), Some("localhost"));
    assert_eq!(server_info.channel_bindings.len(), 2, "{server_info:?}");
    assert_eq!(server_info.channel_bindings, client_info.channel_bindings);
}

#[tokio::test]
async fn implicit_tls_comes_before_the_first_byte() {
    let (server_settings, client_settings) = tls_settings();
    let (theirs, ours) = duplex(4096);
    let mut server = Conn::implicit_tls(Toy::new(), ours, server_settings);
    let mut client = Conn::implicit_tls(Toy::new(), theirs, client_settings);
    client.say("hello\nQUIT\n");
    let (served, said) = tokio::join!(echo(&mut server), async {
        let said = [client.next().await.unwrap(), client.next().await.unwrap()];
        assert!(is_done(&client.next().await.unwrap_err()));
        said
    });
    assert!(is_done(&served));
    assert_eq!(said, ["hello", "BYE"]);
    assert!(server.info.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_given_up() {
    let (server_settings, _) = tls_settings();
    let (mut peer, ours) = duplex(4096);
    let mut server = Conn::new(Toy::new(), ours, server_settings);
    peer.write_all(b"TLS\n").await.unwrap();
    let began = tokio::time::Instant::now();
    let closed = server.next().await.unwrap_err();
    assert!(matches!(closed, Closed::HandshakeTimeout(_)), "{closed}");
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(read_all(&mut peer).await, "GO\n");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_an_error_of_the_handshake() {
    let (server_settings, client_settings) = tls_settings();
    let Some(crate::tls::Tls::Client(client_tls)) = &client_settings.tls else { panic!() };
    let other = Settings::client().with_tls(client_tls.with_name("elsewhere.test").unwrap());
    let (theirs, ours) = duplex(4096);
    let mut server = Conn::implicit_tls(Toy::new(), ours, server_settings);
    let mut client = Conn::implicit_tls(Toy::new(), theirs, Arc::new(other));
    let (served, closed) = tokio::join!(server.next(), client.next());
    assert!(matches!(closed.unwrap_err(), Closed::Handshake(_)));
    assert!(matches!(served.unwrap_err(), Closed::Handshake(_)));
}

#[tokio::test]
async fn tls_that_is_not_configured_is_our_fault() {
    let (mut peer, ours) = duplex(64);
    let mut server = Conn::new(Toy::new(), ours, settings());
    peer.write_all(b"TLS\n").await.unwrap();
    assert!(matches!(server.next().await.unwrap_err(), Closed::NoTls));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_machine_is_kept_and_its_last_words_are_sent() {
    let (mut peer, ours) = duplex(64);
    let now = tokio::time::Instant::now().into_std();
    let mut conn = Conn::new(Toy::with_deadline(now + Duration::from_secs(300)), ours, settings());
    let reader = tokio::spawn(async move { read_all(&mut peer).await });
    let closed = conn.next().await.unwrap_err();
    assert!(matches!(closed, Closed::Protocol(Fault("timeout"))), "{closed}");
    assert_eq!(tokio::time::Instant::now().into_std().duration_since(now).as_secs(), 300);
    assert_eq!(reader.await.unwrap(), "TIMEOUT\n");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_moves_is_kept_where_it_stands_at_last() {
    let (_peer, ours) = duplex(64);
    let now = tokio::time::Instant::now().into_std();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut conn = Conn::new(Toy::with_deadline(at(100)), ours, settings());
    for deadline in [100, 500, 50, 200] {
        conn.deadline = Some(at(deadline));
        tokio::select! {
            biased;
            _ = conn.next() => panic!("too early"),
            () = tokio::task::yield_now() => {}
        }
    }
    let closed = conn.next().await.unwrap_err();
    assert!(matches!(closed, Closed::Protocol(_)), "{closed}");
    // Nobody reads on, so the closing takes its linger besides.
    assert_eq!(tokio::time::Instant::now().into_std().duration_since(now).as_secs(), 202);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_without_reading_is_held_back_and_given_up_at_last() {
    let (mut peer, ours) = duplex(1024);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    let flood = tokio::spawn(async move {
        let mut sent = 0;
        while peer.write_all(b"twelve bytes\n").await.is_ok() {
            sent += 1;
        }
        sent
    });
    let began = tokio::time::Instant::now();
    let mut answered = 0;
    let closed = loop {
        match conn.next().await {
            Ok(_) => conn.say(&"reply".repeat(100)),
            Err(closed) => break closed,
        }
        answered += 1;
        assert!(conn.send.data().len() < 64 * 1024 + 500);
    };
    assert!(matches!(closed, Closed::Stalled(_)), "{closed}");
    assert_eq!(began.elapsed().as_secs(), 120);
    assert!(answered < 150, "{answered}");
    // What it could send fits into both buffers and the transport's.
    assert!(flood.await.unwrap() < 1000);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_not_given_up() {
    let (mut peer, ours) = duplex(16);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    conn.say(&"x".repeat(160));
    let reader = tokio::spawn(async move {
        let mut got = 0;
        let mut byte = [0; 16];
        while got < 160 {
            tokio::time::sleep(Duration::from_secs(100)).await;
            got += peer.read(&mut byte).await.unwrap();
        }
        got
    });
    conn.flush().await.unwrap();
    assert_eq!(reader.await.unwrap(), 160);
}

#[tokio::test]
async fn two_peers_that_both_have_much_to_say_do_not_lock_each_other_up() {
    let (theirs, ours) = duplex(64);
    let mut a = Conn::new(Toy::new(), ours, settings());
    let mut b = Conn::new(Toy::new(), theirs, settings());
    let text = "0123456789abcde\n".repeat(250);
    a.say(&text);
    b.say(&text);
    let (x, y) = tokio::join!(a.flush(), b.flush());
    x.unwrap();
    y.unwrap();
    for _ in 0..250 {
        assert_eq!(a.next().await.unwrap(), "0123456789abcde");
    }
}

#[tokio::test]
async fn ready_waits_for_the_low_water_mark_only() {
    let (mut peer, ours) = duplex(1024);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    conn.say(&"x".repeat(60_000));
    let reader = tokio::spawn(async move {
        let mut bytes = vec![0; 43_000];
        peer.read_exact(&mut bytes).await.unwrap();
        peer
    });
    conn.ready().await.unwrap();
    let left = conn.send.data().len();
    assert!(left > 0 && left <= LOW_WATER, "{left}");
    drop(reader.await.unwrap());
}

#[tokio::test]
async fn what_the_peer_said_before_it_went_is_read_though_writing_fails() {
    /// Reads what it was given; every write fails.
    struct Broken(&'static [u8]);
    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let n = self.0.len().min(buf.remaining());
            buf.put_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Poll::Ready(Ok(()))
        }
    }
    impl AsyncWrite for Broken {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let mut conn = Conn::new(Toy::new(), Broken(b"421 going down\n"), settings());
    conn.say("hello\n");
    assert_eq!(conn.next().await.unwrap(), "421 going down");
    let closed = conn.next().await.unwrap_err();
    assert!(matches!(closed, Closed::Done | Closed::Transport(_)), "{closed}");
}

#[tokio::test]
async fn a_close_sends_what_is_left() {
    let (mut peer, ours) = duplex(8);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    conn.say("good bye, all of you\n");
    let reader = tokio::spawn(async move { read_all(&mut peer).await });
    conn.close().await;
    assert_eq!(reader.await.unwrap(), "good bye, all of you\n");
    assert!(is_done(&conn.next().await.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn input_after_the_end_is_swallowed_for_a_moment_only() {
    let (mut peer, ours) = duplex(64);
    let began = tokio::time::Instant::now();
    let deadline = began.into_std() + Duration::from_secs(1);
    let mut conn = Conn::new(Toy::with_deadline(deadline), ours, settings());
    let endless = tokio::spawn(async move {
        let mut sent = 0;
        while peer.write_all(b"more ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            sent += 1;
        }
        sent
    });
    let closed = conn.next().await.unwrap_err();
    assert!(matches!(closed, Closed::Protocol(Fault("timeout"))), "{closed}");
    assert_eq!(began.elapsed().as_secs(), 3, "the deadline and the linger");
    assert!(endless.await.unwrap() >= 30);
}

#[tokio::test]
async fn a_close_in_order_does_not_linger_where_nothing_lies_unread() {
    let (mut peer, ours) = duplex(64);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    peer.write_all(b"QUIT\n").await.unwrap();
    assert!(is_done(&conn.next().await.unwrap_err()));
    assert_eq!(read_all(&mut peer).await, "BYE\n");
}

#[test]
fn a_plain_connection_and_its_futures_are_small() {
    assert!(size_of::<Conn<Toy, tokio::net::TcpStream>>() < size_of::<Toy>() + 256);
    let (_, ours) = duplex(1);
    let mut conn = Conn::new(Toy::new(), ours, settings());
    let next = conn.next();
    assert!(size_of_val(&next) <= 32, "{}", size_of_val(&next));
    fn is_send(_: &impl Future) {}
    is_send(&next);
}
