//! A client that says what it is told to, byte for byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mail_wire::sasl::{
    ChannelBinding, ChannelBindingKind, Client as Sasl, ClientParams, Credentials, Mechanism, MechanismSet,
    Nonce, wire,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) struct Client {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    bindings: Vec<ChannelBinding>,
}

impl Client {
    /// Connects and reads the greeting.
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let mut client = Self::silent(addr).await;
        client.expect("220").await;
        client
    }

    /// Connects and reads nothing.
    pub(crate) async fn silent(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        Self { stream: Box::new(stream), received: Vec::new(), bindings: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Ends the sending side.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next reply, all its lines.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("the connection ended after {reply:?}"));
            let last = line.as_bytes().get(3) != Some(&b'-');
            reply.push_str(&line);
            if last {
                return reply;
            }
        }
    }

    /// The next line with its end, or `None` at the end of the connection.
    async fn line(&mut self) -> Option<String> {
        self.octets().await.map(|line| String::from_utf8(line).unwrap())
    }

    /// The same, which need be no text.
    async fn octets(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.received.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                assert!(
                    line.ends_with(b"\r\n"),
                    "a reply line ends by CRLF: {:?}",
                    line.escape_ascii().to_string()
                );
                return Some(line);
            }
            let mut room = [0; 4096];
            let read =
                tokio::time::timeout(LONG, self.stream.read(&mut room)).await.expect("a reply in time");
            match read {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.received.extend_from_slice(&room[..n]),
            }
        }
    }

    /// A command of POP3, and what stands behind the status, up to the dot and as it was before dots were stuffed.
    pub(crate) async fn text(&mut self, command: &str) -> Vec<u8> {
        self.say(command, "+OK").await;
        let mut text = Vec::new();
        loop {
            match self.octets().await.unwrap().as_slice() {
                b".\r\n" => return text,
                [b'.', line @ ..] | line => text.extend_from_slice(line),
            }
        }
    }

    /// The next reply, which begins like this.
    pub(crate) async fn expect(&mut self, beginning: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(beginning), "expected {beginning}, got {reply:?}");
        reply
    }

    /// A command and its reply.
    pub(crate) async fn say(&mut self, command: &str, beginning: &str) -> String {
        self.send(format!("{command}\r\n")).await;
        let reply = self.reply().await;
        assert!(reply.starts_with(beginning), "{command}: expected {beginning}, got {reply:?}");
        reply
    }

    /// Nothing more comes but the end.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.line().await, None, "and nothing else was sent");
    }

    /// All that comes up to the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.received);
        let read = self.stream.read_to_end(&mut rest);
        // A reset is an end, too.
        let _ = tokio::time::timeout(LONG, read).await.expect("the end in time");
        rest
    }

    /// EHLO, MAIL, RCPT, DATA, up to the 354.
    pub(crate) async fn begin(&mut self, to: &str) {
        self.say("EHLO client.test", "250").await;
        self.say("MAIL FROM:<sender@client.test>", "250 2.1.0").await;
        self.say(&format!("RCPT TO:<{to}>"), "250 2.1.5").await;
        self.say("DATA", "354").await;
    }

    /// Delivers a message and gives the reply to its end.
    pub(crate) async fn deliver(&mut self, to: &str, message: &str) -> String {
        self.begin(to).await;
        self.send(format!("{message}\r\n.\r\n")).await;
        self.reply().await
    }

    /// STARTTLS and the handshake, trusting this certificate.
    pub(crate) async fn starttls(mut self, certificate: &str) -> Self {
        self.say("STARTTLS", "220").await;
        self.tls(certificate).await
    }

    /// The handshake alone.
    pub(crate) async fn tls(self, certificate: &str) -> Self {
        self.tls_as(certificate, None).await
    }

    /// The handshake alone, showing a certificate of our own with its key.
    pub(crate) async fn tls_as(self, certificate: &str, own: Option<(&str, &str)>) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        roots.add(certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, self.stream).await.unwrap();
        let mut exported = [0; 32];
        stream
            .get_ref()
            .1
            .export_keying_material(&mut exported, b"EXPORTER-Channel-Binding", Some(&[]))
            .unwrap();
        let bindings = vec![ChannelBinding::new(ChannelBindingKind::TlsExporter, exported)];
        Self { stream: Box::new(stream), received: Vec::new(), bindings }
    }

    /// AUTH by this mechanism; gives the last reply.
    pub(crate) async fn auth(&mut self, mechanism: Mechanism, credentials: &Credentials) -> String {
        let mut params = ClientParams::new(Nonce::from_random([3; 18]), MechanismSet::ALL);
        if let Some(binding) = self.bindings.first().filter(|_| mechanism.uses_channel_binding()) {
            params = params.with_channel_binding(binding.clone());
        }
        let mut sasl = Sasl::new(mechanism, credentials, params).unwrap();
        let initial = sasl.take_initial_response().map(|initial| wire::encode_initial(initial.expose()));
        let initial = initial.as_ref().and_then(|initial| initial.expose_str()).unwrap_or_default();
        self.send(format!("AUTH {mechanism} {initial}").trim_end().to_owned() + "\r\n").await;
        loop {
            let reply = self.reply().await;
            let Some(challenge) = reply.strip_prefix("334 ") else {
                if reply.starts_with("235") {
                    sasl.success(None).unwrap();
                }
                return reply;
            };
            let challenge = wire::decode_challenge(challenge.trim_end().as_bytes(), wire::MAX_LINE).unwrap();
            let response = sasl.step(&challenge).unwrap();
            self.send(wire::encode(response.expose()).expose()).await;
            self.send("\r\n").await;
        }
    }
}
