//! Responses of IMAP servers, from bytes to a structured value and back: ours beside the `imap-codec` and `imap-proto` crates of
//! the registry.
//!
//! Ours always finds the end of the frame itself, by the scanner that the machines use, and gives values that own what they
//! hold. The peers are given the whole response at once, in which they find the end as they parse, and their values borrow from
//! it, or are made owned (`owned`); `imap-codec, framed` is that crate with its own framer before it, as its readers of streams
//! use it.
//!
//! How often each of ours allocates is counted before anything is measured.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_codec::encode::Encoder;
use imap_codec::fragmentizer::Fragmentizer;
use imap_proto::codec::{Dialect, Found, FrameScanner, Speaker, Style};
use imap_proto::types::Response;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counted.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as asked for.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as asked for.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What a client that lists a mailbox asks for, of a mail with two alternatives and an attachment: 1.1 KiB.
const LISTING: &str = "* 12 FETCH (FLAGS (\\Seen \\Answered) UID 4827 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" \
    RFC822.SIZE 44827 ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" \
    ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
    ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) \
    ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
    \"<B27397-0100000@cac.washington.edu>\") BODYSTRUCTURE (((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \
    \"quoted-printable\" 3028 92 NIL NIL NIL NIL)(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" \
    9120 210 NIL NIL NIL NIL) \"alternative\" (\"boundary\" \"----=_Part_4812_1184291.1092\") NIL NIL NIL)\
    (\"application\" \"pdf\" (\"name\" \"minutes of the meeting.pdf\") \"<960723163407.20117h@cac.washington.edu>\" NIL \
    \"base64\" 31554 NIL (\"attachment\" (\"filename\" \"minutes of the meeting.pdf\")) NIL NIL) \"mixed\" (\"boundary\" \
    \"----=_Part_4811_9128491.1091\") NIL NIL NIL))\r\n";

const FLAGS: &str = "* 4827 FETCH (UID 120931 FLAGS (\\Seen $Forwarded) MODSEQ (71829))\r\n";

/// 10,000 ids, with gaps as in a mailbox that was used.
fn search() -> String {
    let ids: String = (0u32..10_000).map(|at| format!(" {}", 100_000 + at * 7 + at % 3)).collect();
    format!("* SEARCH{ids}\r\n")
}

/// The structure of a mail with 1,000 parts: 77 KiB.
fn structure() -> String {
    let part = |at| {
        format!("(\"image\" \"png\" (\"name\" \"image{at:04}.png\") NIL NIL \"base64\" {at} NIL NIL NIL NIL)")
    };
    let parts: String = (0..1000).map(part).collect();
    format!("* 1 FETCH (BODYSTRUCTURE ({parts} \"mixed\" (\"boundary\" \"x\") NIL NIL NIL))\r\n")
}

fn ours(wire: &[u8]) -> Response {
    let mut scanner = FrameScanner::new(Speaker::Server);
    let Found::Frame { total, ending, .. } = scanner.scan(wire, usize::MAX) else { panic!("a frame") };
    Response::parse(&wire[..total - ending], &Dialect::CLIENT).expect("a response")
}

/// As it comes, read by read: each is looked at once, and the whole is parsed once.
fn ours_trickled(wire: &[u8], read: usize) -> Response {
    let mut scanner = FrameScanner::new(Speaker::Server);
    let mut here = 0;
    loop {
        here = wire.len().min(here + read);
        match scanner.scan(&wire[..here], usize::MAX) {
            Found::Partial => {}
            Found::Frame { total, ending, .. } => {
                return Response::parse(&wire[..total - ending], &Dialect::CLIENT).expect("a response");
            }
            other => panic!("{other:?}"),
        }
    }
}

fn framed(wire: &[u8]) -> usize {
    let mut fragments = Fragmentizer::without_max_message_size();
    fragments.enqueue_bytes(wire);
    while fragments.progress().is_some() {
        if fragments.is_message_complete() {
            let response = fragments.decode_message(&ResponseCodec::new()).expect("a response");
            black_box(&response);
            return 1;
        }
    }
    panic!("a whole message")
}

fn count(name: &str, mut work: impl FnMut()) -> usize {
    let before = ALLOCATIONS.load(Relaxed);
    work();
    let count = ALLOCATIONS.load(Relaxed) - before;
    println!("{name}: {count} allocations");
    count
}

fn allocations(_: &mut Criterion) {
    let listing = LISTING.as_bytes();
    let ours_listing = count("parse/listing ours", || drop(black_box(ours(listing))));
    count("parse/listing imap-codec", || drop(black_box(ResponseCodec::new().decode(listing))));
    count("parse/listing imap-proto", || drop(black_box(peer_imap_proto::Response::parse(listing))));
    count("parse/flags ours", || drop(black_box(ours(FLAGS.as_bytes()))));
    let response = ours(listing);
    let mut out = Vec::with_capacity(4096);
    let encoding = count("encode/listing ours", || response.encode(&mut out, &Style::SERVER));
    assert!(ours_listing <= 20 && encoding == 0, "too many allocations");
}

fn parse(c: &mut Criterion) {
    let search = search();
    for (name, wire) in [("listing", LISTING), ("flags", FLAGS), ("search", &*search)] {
        let wire = wire.as_bytes();
        let mut group = c.benchmark_group(format!("imap/parse/{name}"));
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function("ours", |b| b.iter(|| black_box(ours(black_box(wire)))));
        group.bench_function("imap-codec", |b| {
            b.iter(|| black_box(ResponseCodec::new().decode(black_box(wire)).expect("a response")));
        });
        group.bench_function("imap-codec, framed", |b| b.iter(|| framed(black_box(wire))));
        group.bench_function("imap-proto", |b| {
            b.iter(|| black_box(peer_imap_proto::Response::parse(black_box(wire)).expect("a response")));
        });
        group.bench_function("imap-proto, owned", |b| {
            b.iter(|| {
                let (_, response) = peer_imap_proto::Response::parse(black_box(wire)).expect("a response");
                black_box(response.into_owned())
            });
        });
        group.finish();
    }
}

fn trickled(c: &mut Criterion) {
    let wire = structure();
    let wire = wire.as_bytes();
    let mut group = c.benchmark_group("imap/trickled");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("ours, at once", |b| b.iter(|| black_box(ours(black_box(wire)))));
    group.bench_function("ours, by 1460", |b| b.iter(|| black_box(ours_trickled(black_box(wire), 1460))));
    group.bench_function("imap-codec, at once", |b| {
        b.iter(|| black_box(ResponseCodec::new().decode(black_box(wire)).expect("a response")));
    });
    group.bench_function("imap-proto, at once", |b| {
        b.iter(|| black_box(peer_imap_proto::Response::parse(black_box(wire)).expect("a response")));
    });
    group.finish();
}

fn encode(c: &mut Criterion) {
    let wire = LISTING.as_bytes();
    let mut group = c.benchmark_group("imap/encode/listing");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    let response = ours(wire);
    group.bench_function("ours", |b| {
        b.iter_batched_ref(
            || Vec::with_capacity(2048),
            |out| black_box(&response).encode(out, &Style::SERVER),
            BatchSize::SmallInput,
        );
    });
    let (_, response) = ResponseCodec::new().decode(wire).expect("a response");
    group.bench_function("imap-codec", |b| {
        b.iter(|| black_box(ResponseCodec::new().encode(black_box(&response)).dump()));
    });
    group.finish();
}

criterion_group!(benches, allocations, parse, trickled, encode);
criterion_main!(benches);
