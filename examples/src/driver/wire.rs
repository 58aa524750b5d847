//! [`Wire`]: the transport with the layers on it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use mail_wire::TlsInfo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{Accept, Connect, TlsStream};

use crate::tls::Tls;

/// A transport in one of its states. The big ones are boxed, so that a plain connection stays small.
pub(super) enum Wire<T> {
    Plain(T),
    Accepting(Box<Accept<T>>),
    Connecting(Box<Connect<T>>),
    Tls(Box<TlsStream<T>>),
    Gone,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(plain) => Pin::new(plain).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(plain) => Pin::new(plain).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Reads into `room`. 0 is the end of input: an end without close_notify counts too, since each of the mail
    /// protocols frames its content itself.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        let outcome = match self {
            Self::Plain(plain) => Pin::new(plain).poll_read(cx, &mut room),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, &mut room),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        outcome.map(|result| match result {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            result => result.map(|()| room.filled().len()),
        })
    }

    /// Reads below TLS.
    pub(super) fn poll_read_raw(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        let outcome = match self {
            Self::Plain(plain) => Pin::new(plain).poll_read(cx, &mut room),
            Self::Tls(tls) => Pin::new(tls.get_mut().0).poll_read(cx, &mut room),
            _ => Poll::Ready(Ok(())),
        };
        outcome.map_ok(|()| room.filled().len())
    }

    /// Ends the sending side, with close_notify where there is TLS.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(plain) => Pin::new(plain).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Whether what was written may lie in here and needs a flush.
    pub(super) fn holds_output(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// Whether TLS has something to say of its own, such as the answer to a key update.
    pub(super) fn wants_write(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.get_ref().1.wants_write(),
            _ => false,
        }
    }

    /// Begins a TLS handshake on a plain transport.
    pub(super) fn begin_handshake(&mut self, tls: &Tls) {
        *self = match (std::mem::replace(self, Self::Gone), tls) {
            (Self::Plain(plain), Tls::Server(server)) => {
                Self::Accepting(Box::new(server.acceptor().accept(plain)))
            }
            (Self::Plain(plain), Tls::Client(client)) => {
                Self::Connecting(Box::new(client.connector().connect(client.name().clone(), plain)))
            }
            _ => Self::Gone,
        };
    }

    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = match self {
            Self::Accepting(accept) => Pin::new(accept.as_mut()).poll(cx).map_ok(TlsStream::from),
            Self::Connecting(connect) => Pin::new(connect.as_mut()).poll(cx).map_ok(TlsStream::from),
            _ => {
                Poll::Ready(Err(io::Error::other("a TLS handshake was asked for where there is TLS already")))
            }
        };
        outcome.map_ok(|stream| *self = Self::Tls(Box::new(stream)))
    }

    pub(super) fn tls_info(&self, tls: &Tls) -> Option<TlsInfo> {
        match self {
            Self::Tls(stream) => Some(tls.describe(stream)),
            _ => None,
        }
    }
}
