//! [`BodyStructure`]: the parts of a message, and what each is (RFC 9051 §7.5.2).

use super::{Envelope, Raw, Text};

/// A part of a message, with the parts in it. BODY tells the same as BODYSTRUCTURE, without the extension data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BodyStructure {
    /// A part without parts, or a message in a message.
    Single(Box<SinglePart>),
    /// multipart/….
    Multi(Box<MultiPart>),
}

/// A part that is no multipart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SinglePart {
    /// Media type, such as `text`.
    pub media_type: Text,
    /// Media subtype, such as `plain`.
    pub subtype: Text,
    /// Parameters of Content-Type.
    pub parameters: Vec<Parameter>,
    /// `Content-ID`.
    pub id: Option<Text>,
    /// `Content-Description`.
    pub description: Option<Text>,
    /// `Content-Transfer-Encoding`.
    pub encoding: Text,
    /// Octets of the part as it is encoded.
    pub octets: u64,
    /// What is told of this media type alone.
    pub kind: PartKind,
    /// Extension data.
    pub extension: Extension,
}

/// What is told of some media types alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// Any other type.
    Basic,
    /// text/…
    Text {
        /// Lines of the part as it is encoded.
        lines: u64,
    },
    /// message/rfc822 and message/global
    Message(Box<MessagePart>),
}

/// What is in a message/rfc822 part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessagePart {
    /// The header of the message.
    pub envelope: Envelope,
    /// Its parts.
    pub body: BodyStructure,
    /// Lines of the part as it is encoded.
    pub lines: u64,
}

/// A multipart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultiPart {
    /// The parts in it.
    pub parts: Vec<BodyStructure>,
    /// Media subtype, such as `mixed`.
    pub subtype: Text,
    /// Parameters of Content-Type; part of the extension data, so only there if [`Extension::fields`] is 1 at least.
    pub parameters: Vec<Parameter>,
    /// Extension data.
    pub extension: Extension,
}

/// A parameter of Content-Type or Content-Disposition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// Its name.
    pub name: Text,
    /// Its value.
    pub value: Text,
}

/// `Content-Disposition`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Disposition {
    /// What to do with the part, such as `attachment`.
    pub kind: Text,
    /// Parameters, such as the file's name.
    pub parameters: Vec<Parameter>,
}

/// What BODYSTRUCTURE tells and BODY does not (RFC 9051 §9, body-ext-1part and body-ext-mpart).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Extension {
    /// How many fields were told, up to [`Extension::ALL`], in this order: MD5 (of a multipart the parameters),
    /// disposition, language, location.
    pub fields: u8,
    /// `Content-MD5`; not of a multipart.
    pub md5: Option<Text>,
    /// `Content-Disposition`.
    pub disposition: Option<Disposition>,
    /// `Content-Language`.
    pub language: Vec<Text>,
    /// `Content-Location`.
    pub location: Option<Text>,
    /// What else was told.
    pub others: Option<Raw>,
}

impl Extension {
    /// The number of [`fields`](Self::fields) where all are told.
    pub const ALL: u8 = 4;
}
