//! The attributes of XCLIENT and XFORWARD, from and to their text.
//!
//! Values are xtext; `[UNAVAILABLE]` and `[TEMPUNAVAIL]` say that a value is not known.

use super::CommandErrorKind;
use super::cursor::Cursor;
use crate::types::{XclientAttributes, Xtext};
use core::fmt::Write as _;
use core::net::IpAddr;

/// Reads `NAME=value …`. With `xclient` the attributes of XCLIENT are known, else those of XFORWARD.
pub(super) fn parse(cursor: &mut Cursor<'_>, xclient: bool) -> Result<XclientAttributes, CommandErrorKind> {
    let mut attributes = XclientAttributes::default();
    let mut any = false;
    loop {
        let (at, word) = cursor.text_word()?;
        if word.is_empty() {
            return if any { Ok(attributes) } else { Err(CommandErrorKind::MissingArgument) };
        }
        any = true;
        attribute(&mut attributes, word, xclient)
            .ok_or(CommandErrorKind::Argument { expected: "a known attribute with its value", at })?;
    }
}

fn attribute(attributes: &mut XclientAttributes, word: &str, xclient: bool) -> Option<()> {
    let (name, value) = word.split_once('=')?;
    let unknown = value.eq_ignore_ascii_case("[UNAVAILABLE]") || value.eq_ignore_ascii_case("[TEMPUNAVAIL]");
    let value = if unknown { None } else { Some(Xtext::decode(value).ok()?) };
    let value = value.as_ref().map(Xtext::as_str);
    let text = || value.map(Into::into);
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("NAME") {
        attributes.name = Some(text());
    } else if is("ADDR") {
        attributes.addr = Some(value.map(address).transpose_option()?);
    } else if is("PORT") {
        attributes.port = Some(value.map(|v| v.parse().ok()).transpose_option()?);
    } else if is("PROTO") {
        attributes.proto = Some(text());
    } else if is("HELO") {
        attributes.helo = Some(text());
    } else if is("LOGIN") && xclient {
        attributes.login = Some(text());
    } else if is("DESTADDR") && xclient {
        attributes.dest_addr = Some(value.map(address).transpose_option()?);
    } else if is("DESTPORT") && xclient {
        attributes.dest_port = Some(value.map(|v| v.parse().ok()).transpose_option()?);
    } else if is("IDENT") && !xclient {
        attributes.ident = Some(text());
    } else if is("SOURCE") && !xclient {
        attributes.source = Some(text());
    } else {
        return None;
    }
    Some(())
}

/// `Some(None)` is a value that did not parse.
trait TransposeOption<T> {
    fn transpose_option(self) -> Option<Option<T>>;
}

impl<T> TransposeOption<T> for Option<Option<T>> {
    fn transpose_option(self) -> Option<Option<T>> {
        match self {
            None => Some(None),
            Some(None) => None,
            Some(Some(value)) => Some(Some(value)),
        }
    }
}

/// An address as XCLIENT writes it: IPv6 with the prefix `IPV6:`.
fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("IPV6:") => text[5..].parse().ok().map(IpAddr::V6),
        _ => text.parse().ok().map(IpAddr::V4),
    }
}

/// Appends ` NAME=value` for each attribute that is set.
pub(super) fn encode(attributes: &XclientAttributes, out: &mut String) {
    let ip = |addr: &IpAddr| match addr {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("IPV6:{v6}"),
    };
    let text = |value: &Option<Option<Box<str>>>| value.as_ref().map(|v| v.as_ref().map(ToString::to_string));
    let all = [
        ("NAME", text(&attributes.name)),
        ("ADDR", attributes.addr.as_ref().map(|v| v.as_ref().map(ip))),
        ("PORT", attributes.port.map(|v| v.map(|port| port.to_string()))),
        ("PROTO", text(&attributes.proto)),
        ("HELO", text(&attributes.helo)),
        ("LOGIN", text(&attributes.login)),
        ("DESTADDR", attributes.dest_addr.as_ref().map(|v| v.as_ref().map(ip))),
        ("DESTPORT", attributes.dest_port.map(|v| v.map(|port| port.to_string()))),
        ("IDENT", text(&attributes.ident)),
        ("SOURCE", text(&attributes.source)),
    ];
    for (name, value) in all {
        match value {
            None => {}
            // What xtext cannot hold is not known to the peer either.
            Some(value) => match value.and_then(|value| Xtext::new(&value).ok()) {
                Some(value) => _ = write!(out, " {name}={value}"),
                None => _ = write!(out, " {name}=[UNAVAILABLE]"),
            },
        }
    }
}
