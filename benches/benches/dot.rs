//! Un-stuffing a body: 1 MiB of 80-byte lines, ours (which also finds bare CR, bare LF and NUL) beside plain `memcpy`
//! and beside the data receiver of the `smtp-proto` crate of the registry (which does not).
//!
//! `scan` is what the server machine does: look at what lies in the receive buffer and lend it out. `copy` also moves
//! the content to another buffer, as the peer does.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail_wire::dot::{Decoded, Decoder, Framing};
use std::hint::black_box;

const SIZE: usize = 1 << 20;
/// What a server has in its receive buffer at a time.
const CHUNK: usize = 64 * 1024;

/// `SIZE` bytes of lines of 80 bytes, line ending included, with a dotted line for each `dotted` lines, and the end.
fn body(dotted: Option<usize>) -> Vec<u8> {
    let mut body = Vec::with_capacity(SIZE + 100);
    let mut number = 0;
    while body.len() + 80 <= SIZE {
        number += 1;
        let start = if dotted.is_some_and(|every| number % every == 0) { &b".."[..] } else { b"ab" };
        body.extend_from_slice(start);
        body.extend((0..76).map(|at| b' ' + (at * 7 + number % 11) as u8 % 95));
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b".\r\n");
    body
}

/// Decodes `wire` as it would come in pieces of `chunk` bytes; gives the bytes of content.
fn decode(wire: &[u8], chunk: usize, mut content: impl FnMut(&[u8])) -> usize {
    let mut decoder = Decoder::new(Framing::Dots);
    let (mut start, mut end, mut total) = (0, chunk.min(wire.len()), 0);
    loop {
        match decoder.decode(&wire[start..end]) {
            Decoded::Data(n) => {
                content(&wire[start..start + n]);
                start += n;
                total += n;
            }
            Decoded::StuffedDot => start += 1,
            Decoded::End(_) => return total,
            Decoded::NeedMore => end = (end + chunk).min(wire.len()),
            Decoded::Flaw(flaw) => panic!("no {} in this body", flaw.name()),
        }
    }
}

fn dot(c: &mut Criterion) {
    for (name, wire) in [("plain", body(None)), ("a dot in 50 lines", body(Some(50)))] {
        let mut group = c.benchmark_group(format!("dot/{name}"));
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function("ours, scan", |b| {
            b.iter(|| decode(black_box(&wire), CHUNK, |content| _ = black_box(content)));
        });
        group.bench_function("ours, copy", |b| {
            let mut out = Vec::with_capacity(SIZE);
            b.iter(|| {
                out.clear();
                decode(black_box(&wire), CHUNK, |content| out.extend_from_slice(content));
                black_box(&out);
            });
        });
        group.bench_function("memcpy", |b| {
            let mut out = Vec::with_capacity(SIZE + 100);
            b.iter(|| {
                out.clear();
                for piece in black_box(&wire).chunks(CHUNK) {
                    out.extend_from_slice(piece);
                }
                black_box(&out);
            });
        });
        group.bench_function("peer, copy", |b| {
            let mut out = Vec::with_capacity(SIZE + 100);
            b.iter(|| {
                out.clear();
                let mut receiver = peer_smtp_proto::request::receiver::DataReceiver::new();
                for piece in black_box(&wire).chunks(CHUNK) {
                    black_box(receiver.ingest(&mut piece.iter(), &mut out));
                }
                black_box(&out);
            });
        });
        group.finish();
    }
}

criterion_group!(benches, dot);
criterion_main!(benches);
