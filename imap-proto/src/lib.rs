//! IMAP4rev1 and IMAP4rev2 on the wire: the [`types`] that are said, and the [`codec`] that reads and writes them.
//!
//! Nothing here does I/O. There are no state machines yet: this crate finds [frames](codec::FrameScanner), reads and writes them.
//!
//! # Reading what a server says
//!
//! ```
//! use imap_proto::codec::{Dialect, Found, FrameScanner, Speaker};
//! use imap_proto::types::{Data, FetchItem, Response};
//!
//! let mut received: &[u8] = b"* 7 FETCH (UID 42 X-NEW (1 2) BODY[] {5}\r\nhello)\r\na1 OK done\r\n";
//! let mut scanner = FrameScanner::new(Speaker::Server);
//! let mut responses = Vec::new();
//! while !received.is_empty() {
//!     match scanner.scan(received, 65_536) {
//!         Found::Frame { total, ending, .. } => {
//!             responses.push(Response::parse(&received[..total - ending], &Dialect::CLIENT)?);
//!             received = &received[total..];
//!         }
//!         Found::Literal { literal, .. } => scanner.literal(literal.len as usize),
//!         Found::Partial | Found::TooLong => break, // here more would be received, or the connection closed
//!     }
//! }
//! let Response::Data(Data::Fetch(fetch)) = &responses[0] else { panic!() };
//! assert!(matches!(fetch.items[0], FetchItem::Uid(uid) if uid.get() == 42));
//! assert!(matches!(fetch.items[1], FetchItem::Other(_)), "what is not known is kept");
//! assert_eq!(responses.len(), 2);
//! # Ok::<(), imap_proto::codec::SyntaxError>(())
//! ```
//!
//! # What is let pass
//!
//! Commands are read strictly. Of responses, what is not known or misses its grammar is kept as it came and written again so;
//! by how much known servers miss the grammar is a list of named [`Quirks`](codec::Quirks).

pub mod codec;
pub mod types;
