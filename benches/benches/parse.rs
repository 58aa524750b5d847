//! Commands and EHLO answers, from bytes to a structured value: ours beside the `smtp-proto` crate of the registry.
//!
//! Both sides start from the same bytes with their line endings, and both find the end of the line themselves: ours
//! by the line scanner that the server machine uses, the peer by its own. Ours gives values that own their text; the
//! peer's borrow from the input (`peer, borrowed`) or are made owned (`peer, owned`), which is what a server that
//! goes on reading needs. The EHLO answers of both sides own theirs.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mail_wire::line::{LineScanner, Scan};
use smtp_proto::codec::{Leniency, ReplyReader};
use smtp_proto::types::{Capabilities, Command};
use std::hint::black_box;

/// MAIL and RCPT as real clients send them, with and without parameters.
const ENVELOPES: &[&str] = &[
    "MAIL FROM:<alice@example.org>\r\n",
    "RCPT TO:<bob@example.net>\r\n",
    "MAIL FROM:<> SIZE=3571\r\n",
    "MAIL FROM:<bounces+12345-bob=example.net@mail.news.example.com> SIZE=48211 BODY=8BITMIME\r\n",
    "RCPT TO:<firstname.lastname@department.example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first.last@example.com\r\n",
    "MAIL FROM:<carol@example.org> SIZE=1024 RET=HDRS ENVID=QQ314159\r\n",
    "RCPT TO:<dave@xn--bcher-kva.example> NOTIFY=NEVER\r\n",
    "mail from:<erin@example.com> size=500 smtputf8 body=8bitmime\r\n",
];

/// A whole transaction's commands.
const SESSION: &[&str] = &[
    "EHLO mail.example.org\r\n",
    "MAIL FROM:<alice@example.org> SIZE=4096\r\n",
    "RCPT TO:<bob@example.net>\r\n",
    "DATA\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
];

const EHLO_POSTFIX: &str = "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-VRFY\r\n250-ETRN\r\n\
    250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n\
    250 CHUNKING\r\n";
const EHLO_LARGE: &str = "250-mx.example.org you had me at EHLO\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN CRAM-MD5 \
    SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER\r\n250-SMTPUTF8\r\n250-SIZE 104857600\r\n250-REQUIRETLS\r\n\
    250-PIPELINING\r\n250-MT-PRIORITY MIXER\r\n250-FUTURERELEASE 604800 2030-01-01T00:00:00Z\r\n\
    250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-DELIVERBY 300\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 8BITMIME\r\n";
const EHLO_SMALL: &str = "250-localhost\r\n250-8BITMIME\r\n250 SIZE\r\n";

fn ours(line: &[u8]) -> Command {
    let Scan::Line(found) = LineScanner::new().scan(line, 4096) else { panic!("a line") };
    assert!(found.flaw.is_none());
    Command::parse(&line[..found.text], Leniency::STRICT).expect("a valid command")
}

fn ours_ehlo(mut wire: &[u8]) -> Capabilities {
    let (mut scanner, mut reader) = (LineScanner::new(), ReplyReader::new());
    loop {
        let Scan::Line(line) = scanner.scan(wire, 4096) else { panic!("a line") };
        assert!(line.flaw.is_none());
        if let Some(reply) = reader.line(&wire[..line.text]).expect("a valid reply") {
            return Capabilities::from_reply(&reply);
        }
        wire = &wire[line.total..];
    }
}

fn commands(c: &mut Criterion) {
    for (name, lines) in [("envelope", ENVELOPES), ("session", SESSION)] {
        let mut group = c.benchmark_group(format!("parse/{name}"));
        group.throughput(Throughput::Elements(lines.len() as u64));
        group.bench_function("ours", |b| {
            b.iter(|| {
                for line in lines {
                    black_box(ours(black_box(line.as_bytes())));
                }
            });
        });
        group.bench_function("peer, borrowed", |b| {
            b.iter(|| {
                for line in lines {
                    let mut bytes = black_box(line.as_bytes()).iter();
                    black_box(peer_smtp_proto::Request::parse(&mut bytes).expect("a valid command"));
                }
            });
        });
        group.bench_function("peer, owned", |b| {
            b.iter(|| {
                for line in lines {
                    let mut bytes = black_box(line.as_bytes()).iter();
                    let request = peer_smtp_proto::Request::parse(&mut bytes).expect("a valid command");
                    black_box(request.into_owned());
                }
            });
        });
        group.finish();
    }
}

fn ehlo(c: &mut Criterion) {
    for (name, wire) in [("small", EHLO_SMALL), ("postfix", EHLO_POSTFIX), ("large", EHLO_LARGE)] {
        let mut group = c.benchmark_group(format!("ehlo/{name}"));
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function("ours", |b| {
            b.iter_batched(
                || (),
                |()| black_box(ours_ehlo(black_box(wire.as_bytes()))),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("peer", |b| {
            b.iter_batched(
                || (),
                |()| {
                    let mut bytes = black_box(wire.as_bytes()).iter();
                    black_box(peer_smtp_proto::EhloResponse::parse(&mut bytes).expect("a valid answer"))
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, commands, ehlo);
criterion_main!(benches);
