//! The driver: runs any protocol machine of this project over any tokio transport.
//!
//! [`Conn`] puts a [`Connection`] and a transport together and gives straight-line code:
//!
//! ```no_run
//! # use mail_wire::Connection;
//! # use mailwright::driver::{Closed, Conn, Settings};
//! # async fn serve<M: Connection>(machine: M, stream: tokio::net::TcpStream, settings: std::sync::Arc<Settings>)
//! # -> Result<(), Closed<M::Error>> {
//! let mut conn = Conn::new(machine, stream, settings);
//! loop {
//!     let event = conn.next().await?;
//!     // answer by the machine's own methods, which `conn` derefs to
//! #   drop(event);
//! }
//! # }
//! ```
//!
//! There is no protocol in here. What there is:
//!
//! - **Writing and reading at once.** Neither waits for the other, so two peers that both have much to say cannot lock
//!   each other up. Replies gather while the machine has input to parse and leave in one write.
//! - **Cancel safety.** All state lies in the [`Conn`]: a future of [`next`](Conn::next), [`ready`](Conn::ready) or
//!   [`flush`](Conn::flush) may be dropped at any await, in the middle of a TLS handshake too, and nothing is lost. So
//!   each can stand in a `select!`.
//! - **Deadlines on everything**: the machine's own, the TLS handshake, a peer that does not read, the closing.
//!   See [`Settings`].
//! - **A close that arrives**: the last reply is flushed, TLS says close_notify, the sending side is shut down, and
//!   what the peer still sends is swallowed for a moment, so that no reset overtakes the reply.
//! - **Half-close**: a peer that sends its end of input first still gets its replies.
//!
//! The clock enters the machine here, once per round of I/O, from tokio's clock, so that tests may pause it.

mod settings;
#[cfg(test)]
mod tests;
mod wire;

use std::future::{Future, poll_fn};
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use mail_wire::{Connection, Layer, LayerInfo, Step};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

pub use settings::{Closed, Settings};
use wire::Wire;

/// Up to this much output may wait for [`Conn::ready`] to call the connection ready, in bytes.
const LOW_WATER: usize = 16 * 1024;
/// How much a peer may still send after the end before its connection is cut, in bytes.
const LINGER_BYTES: usize = 1024 * 1024;

/// A protocol machine on a transport. Derefs to the machine.
///
/// See the [module docs](self).
pub struct Conn<M: Connection, T> {
    machine: M,
    wire: Wire<T>,
    phase: Phase<M::Error>,
    settings: Arc<Settings>,
    timer: Option<Pin<Box<Sleep>>>,
    /// When to give up on a peer that takes no output.
    stall: Option<Instant>,
    /// Output may lie in the TLS session.
    unflushed: bool,
    /// The peer has sent its end of input.
    ended: bool,
    /// Why nothing can be sent any more. What the peer sent before is still read: it may say why.
    broken: Option<io::Error>,
}

enum Phase<X: core::error::Error> {
    /// TLS comes first, before anything is sent.
    Secure,
    Open,
    /// Sends what is left before a layer goes on.
    Draining(Layer),
    Handshake {
        deadline: Instant,
    },
    Closing(Box<Closing<X>>),
    Closed,
}

struct Closing<X: core::error::Error> {
    why: Closed<X>,
    step: CloseStep,
    deadline: Instant,
}

enum CloseStep {
    Flush,
    Shutdown,
    Linger { left: usize },
}

/// What a round of I/O came to.
enum Round {
    Moved,
    Timeout,
}

impl<M, T> Conn<M, T>
where
    M: Connection,
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// Drives `machine` over `transport`. Nothing happens before the first await.
    pub fn new(machine: M, transport: T, settings: Arc<Settings>) -> Self {
        Self {
            machine,
            wire: Wire::Plain(transport),
            phase: Phase::Open,
            settings,
            timer: None,
            stall: None,
            unflushed: false,
            ended: false,
            broken: None,
        }
    }

    /// Like [`new`](Self::new), with TLS before the first byte of the protocol (implicit TLS, RFC 8314).
    ///
    /// If the settings have no TLS, [`next`](Self::next) gives [`Closed::NoTls`].
    pub fn implicit_tls(machine: M, transport: T, settings: Arc<Settings>) -> Self {
        Self { phase: Phase::Secure, ..Self::new(machine, transport, settings) }
    }

    /// The next event of the machine. Moves bytes, sets layers up and keeps deadlines meanwhile.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Closed`], once the connection is over and closed: by the protocol's own end, or by a failure. Any later call
    /// gives [`Closed::Done`].
    pub async fn next(&mut self) -> Result<M::Event, Closed<M::Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits until little output is left to send, for a machine that is fed with outward content. Comes back early
    /// when the machine's own deadline has passed: then [`next`](Self::next) tells what becomes of it.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Closed`], if the connection fails meanwhile.
    pub async fn ready(&mut self) -> Result<(), Closed<M::Error>> {
        poll_fn(|cx| self.poll_output(cx, LOW_WATER)).await
    }

    /// Waits until all output is handed to the operating system; else like [`ready`](Self::ready).
    ///
    /// # Errors
    ///
    /// [`Closed`], if the connection fails meanwhile.
    pub async fn flush(&mut self) -> Result<(), Closed<M::Error>> {
        poll_fn(|cx| self.poll_output(cx, 0)).await
    }

    /// Sends what is left and closes, whatever the machine thinks of it. Takes no longer than
    /// [`Settings::close_timeout`] and [`Settings::linger`] together.
    pub async fn close(&mut self) {
        match self.phase {
            Phase::Closing(_) | Phase::Closed => {}
            Phase::Secure | Phase::Handshake { .. } => {
                self.abandon();
            }
            Phase::Open | Phase::Draining(_) => self.begin_close(Closed::Done),
        }
        // The reason is known to the caller, who closes.
        let _ = poll_fn(|cx| self.poll_next(cx)).await;
    }

    /// Whether TLS is on.
    pub fn is_tls(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<M::Event, Closed<M::Error>>> {
        loop {
            let outcome = match &mut self.phase {
                Phase::Open => match self.machine.poll() {
                    Step::Event(event) => return Poll::Ready(Ok(event)),
                    Step::Upgrade(layer) => {
                        self.phase = Phase::Draining(layer);
                        continue;
                    }
                    Step::Close(result) => {
                        self.begin_close(result.map_or_else(Closed::Protocol, |()| Closed::Done));
                        continue;
                    }
                    Step::Blocked => std::task::ready!(self.poll_exchange(cx)).map(|_| ()),
                },
                Phase::Secure => self.begin_handshake(clock()),
                Phase::Draining(_) => std::task::ready!(self.poll_drain(cx)),
                Phase::Handshake { .. } => std::task::ready!(self.poll_handshake(cx)),
                Phase::Closing(_) => return self.poll_close(cx).map(Err),
                Phase::Closed => return Poll::Ready(Err(Closed::Done)),
            };
            if let Err(why) = outcome {
                self.abandon();
                return Poll::Ready(Err(why));
            }
        }
    }

    fn poll_output(&mut self, cx: &mut Context<'_>, low: usize) -> Poll<Result<(), Closed<M::Error>>> {
        loop {
            match self.phase {
                Phase::Closed => return Poll::Ready(Err(Closed::Done)),
                Phase::Open => {}
                // Only `next` can go on from here, and it sends what is left by itself.
                _ => return Poll::Ready(Ok(())),
            }
            let left = self.machine.io().send.len();
            if left <= low && (low > 0 || !self.unflushed) {
                return Poll::Ready(Ok(()));
            }
            match std::task::ready!(self.poll_exchange(cx)) {
                Ok(Round::Moved) => {}
                Ok(Round::Timeout) => return Poll::Ready(Ok(())),
                Err(why) => {
                    self.abandon();
                    return Poll::Ready(Err(why));
                }
            }
        }
    }

    /// One round of I/O: writes and reads what can be, or waits for either or the earliest deadline.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<Round, Closed<M::Error>>> {
        let now = clock();
        let written = self.write_out(cx, now);
        let read = match self.read_in(cx, now) {
            Ok(read) => read,
            // What broke first says more.
            Err(error) => return Poll::Ready(Err(Closed::Transport(self.broken.take().unwrap_or(error)))),
        };
        if written || read {
            return Poll::Ready(Ok(Round::Moved));
        }
        if (self.ended || self.machine.io().recv.is_empty())
            && let Some(error) = self.broken.take()
        {
            return Poll::Ready(Err(Closed::Transport(error)));
        }
        let due = earliest(self.machine.deadline(), self.stall);
        if !self.timer_fired(cx, due, now) {
            return Poll::Pending;
        }
        let now = clock();
        if self.stall.is_some_and(|at| at <= now) {
            return Poll::Ready(Err(Closed::Stalled(self.settings.write_timeout)));
        }
        self.machine.handle_timeout(now);
        Poll::Ready(Ok(Round::Timeout))
    }

    /// Writes until nothing is left or the transport takes no more. Returns whether anything moved.
    fn write_out(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        while self.broken.is_none() {
            let send = self.machine.io().send;
            let outcome = if !send.is_empty() {
                self.wire.poll_write(cx, send)
            } else if self.unflushed {
                self.wire.poll_flush(cx).map_ok(|()| 0)
            } else {
                break;
            };
            match outcome {
                Poll::Ready(Ok(0)) if self.machine.io().send.is_empty() => {
                    self.unflushed = false;
                    self.stall = None;
                }
                Poll::Ready(Ok(0)) => self.broken = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.machine.sent(n, now);
                    self.unflushed = self.wire.holds_output();
                    self.stall = None;
                    moved = true;
                }
                Poll::Ready(Err(error)) => self.broken = Some(error),
                Poll::Pending => {
                    self.stall.get_or_insert(now + self.settings.write_timeout);
                    break;
                }
            }
        }
        if self.broken.is_some() {
            self.stall = None;
        }
        moved
    }

    /// Reads once, if the machine has room. Returns whether it was told anything.
    fn read_in(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let recv = self.machine.io().recv;
        if recv.is_empty() {
            return Ok(false);
        }
        match self.wire.poll_read(cx, recv) {
            Poll::Ready(Ok(n)) => {
                self.ended = n == 0;
                self.unflushed |= self.wire.wants_write();
                self.machine.received(n, now);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }

    /// Sends what is left, then begins to set the layer up.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed<M::Error>>> {
        let Phase::Draining(layer) = self.phase else { return Poll::Ready(Ok(())) };
        let now = clock();
        self.write_out(cx, now);
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Err(Closed::Transport(error)));
        }
        if !self.machine.io().send.is_empty() || self.unflushed {
            if self.timer_fired(cx, self.stall, now) {
                return Poll::Ready(Err(Closed::Stalled(self.settings.write_timeout)));
            }
            return Poll::Pending;
        }
        if layer != Layer::Tls {
            return Poll::Ready(Err(Closed::UnsupportedLayer(layer)));
        }
        Poll::Ready(self.begin_handshake(now))
    }

    fn begin_handshake(&mut self, now: Instant) -> Result<(), Closed<M::Error>> {
        let Some(tls) = &self.settings.tls else { return Err(Closed::NoTls) };
        self.wire.begin_handshake(tls);
        self.phase = Phase::Handshake { deadline: now + self.settings.handshake_timeout };
        Ok(())
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed<M::Error>>> {
        let Phase::Handshake { deadline } = self.phase else { return Poll::Ready(Ok(())) };
        match self.wire.poll_handshake(cx) {
            Poll::Ready(Ok(())) => {
                let info =
                    self.settings.tls.as_ref().and_then(|tls| self.wire.tls_info(tls)).unwrap_or_default();
                self.machine.upgraded(LayerInfo::Tls(info), clock());
                self.phase = Phase::Open;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Closed::Handshake(error))),
            Poll::Pending if self.timer_fired(cx, Some(deadline), clock()) => {
                Poll::Ready(Err(Closed::HandshakeTimeout(self.settings.handshake_timeout)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn begin_close(&mut self, why: Closed<M::Error>) {
        let deadline = clock() + self.settings.close_timeout;
        self.phase = Phase::Closing(Box::new(Closing { why, step: CloseStep::Flush, deadline }));
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Closed<M::Error>> {
        loop {
            let Phase::Closing(closing) = &mut self.phase else { return Poll::Ready(Closed::Done) };
            let now = clock();
            let deadline = closing.deadline;
            match closing.step {
                CloseStep::Flush => {
                    self.write_out(cx, now);
                    let Phase::Closing(closing) = &mut self.phase else { return Poll::Ready(Closed::Done) };
                    if self.broken.is_some() {
                        break;
                    }
                    if self.machine.io().send.is_empty() && !self.unflushed {
                        // After the protocol's own end the peer has nothing more to say. Where nothing of it lies
                        // unread, closing sends no reset, and there is nothing to linger for.
                        let done = matches!(closing.why, Closed::Done);
                        if done
                            && matches!(self.wire, Wire::Plain(_))
                            && (self.ended || self.wire.poll_read_raw(cx, &mut [0; 1]).is_pending())
                        {
                            break;
                        }
                        let Phase::Closing(closing) = &mut self.phase else {
                            return Poll::Ready(Closed::Done);
                        };
                        closing.step = CloseStep::Shutdown;
                        continue;
                    }
                }
                CloseStep::Shutdown => match self.wire.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) if !self.ended && !self.settings.linger.is_zero() => {
                        closing.step = CloseStep::Linger { left: LINGER_BYTES };
                        closing.deadline = now + self.settings.linger;
                        continue;
                    }
                    Poll::Ready(_) => break,
                    Poll::Pending => {}
                },
                CloseStep::Linger { left } => {
                    let mut swallowed = [0; 4096];
                    match self.wire.poll_read_raw(cx, &mut swallowed) {
                        Poll::Ready(Ok(n)) if n > 0 && n <= left => {
                            closing.step = CloseStep::Linger { left: left - n };
                            continue;
                        }
                        Poll::Ready(_) => break,
                        Poll::Pending => {}
                    }
                }
            }
            if self.timer_fired(cx, Some(deadline), now) {
                break;
            }
            return Poll::Pending;
        }
        match self.abandon() {
            Phase::Closing(closing) => Poll::Ready(closing.why),
            _ => Poll::Ready(Closed::Done),
        }
    }

    /// Drops the transport and returns the phase that was.
    fn abandon(&mut self) -> Phase<M::Error> {
        self.wire = Wire::Gone;
        self.timer = None;
        std::mem::replace(&mut self.phase, Phase::Closed)
    }

    /// Whether `at` has come; if not, the task is woken then.
    ///
    /// Deadlines mostly move later with each command. The timer is left where it was then, and set again only when it
    /// fires, so that a busy connection does not touch the timer wheel at all.
    fn timer_fired(&mut self, cx: &mut Context<'_>, at: Option<Instant>, now: Instant) -> bool {
        let Some(at) = at else { return false };
        if at <= now {
            return true;
        }
        let at = tokio::time::Instant::from_std(at);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if at <= tokio::time::Instant::now() {
                return true;
            }
            timer.as_mut().reset(at);
        }
        false
    }
}

impl<M: Connection, T> Deref for Conn<M, T> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.machine
    }
}

impl<M: Connection, T> DerefMut for Conn<M, T> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.machine
    }
}

impl<M: Connection, T> core::fmt::Debug for Conn<M, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Conn").field("stall", &self.stall).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// The time, from tokio's clock, which tests may pause.
fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
