//! What POP3 servers say: first lines, and the lines of listings and capabilities.

use mail_wire::ReplyText;
use pop3_proto::codec::{LineKind, MAX_REPLY, ReplyLine, encode_reply};
use pop3_proto::types::{
    ApopTimestamp, Capabilities, Capability, DropListing, LanguageListing, ScanListing, UniqueIdListing,
};

/// Reads each line of `data` as all that it may be; writes and reads again what was read.
pub fn check(data: &[u8]) {
    let mut capabilities = Capabilities::default();
    for line in data.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Ok(reply) = ReplyLine::parse(line) {
            check_reply(reply);
        }
        if let Some(timestamp) = ApopTimestamp::find(line) {
            assert_eq!(ApopTimestamp::find(timestamp.as_str().as_bytes()), Some(timestamp));
        }
        if let Ok(capability) = Capability::parse(line) {
            let wire = written(|out| capability.encode(out));
            assert_eq!(Capability::parse(&wire), Ok(capability.clone()));
            capabilities.insert(capability);
        }
        check_listings(line);
    }
    assert!(capabilities.others.len() <= Capabilities::MAX_OTHERS);
}

fn check_reply(line: ReplyLine<'_>) {
    assert!(!format!("{line:?}").contains(char::is_control));
    let LineKind::Status(status) = line.kind() else { return };
    let reply = line.to_reply().expect("it has a status");
    assert_eq!((reply.code(), reply.text()), (line.code().as_ref(), line.text()));
    let text = core::str::from_utf8(line.text()).ok().and_then(|text| ReplyText::new(text.to_owned()).ok());
    if let Some(text) = text {
        let wire = written(|out| encode_reply(out, status, line.code().as_ref(), &text));
        assert!(wire.len() <= MAX_REPLY);
        let again = ReplyLine::parse(wire.strip_suffix(b"\r\n").expect("CRLF")).expect("a reply");
        assert_eq!((again.kind(), again.code()), (line.kind(), line.code()));
    }
}

fn check_listings(line: &[u8]) {
    if let Ok(listing) = DropListing::parse(line) {
        assert_eq!(DropListing::parse(&written(|out| listing.encode(out))), Ok(listing));
    }
    if let Ok(listing) = ScanListing::parse(line) {
        assert_eq!(ScanListing::parse(&written(|out| listing.encode(out))), Ok(listing));
    }
    if let Ok(listing) = UniqueIdListing::parse(line) {
        assert_eq!(UniqueIdListing::parse(&written(|out| listing.encode(out))), Ok(listing));
    }
    if let Ok(listing) = LanguageListing::parse(line) {
        assert_eq!(LanguageListing::parse(&written(|out| listing.encode(out))), Ok(listing));
    }
}

fn written(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}
