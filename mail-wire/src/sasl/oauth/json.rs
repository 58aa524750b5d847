//! The JSON of a token's refusal (RFC 7628 §3.2.2): one flat object.

use super::TokenError;

/// How deep values that are passed over may nest.
const MAX_DEPTH: usize = 16;

/// Writes the object.
pub(super) fn encode(error: &TokenError) -> Vec<u8> {
    let members = [
        ("status", Some(&error.status)),
        ("schemes", error.schemes.as_ref()),
        ("scope", error.scope.as_ref()),
        ("openid-configuration", error.openid_configuration.as_ref()),
    ];
    let mut object = String::from("{");
    for (key, value) in members {
        let Some(value) = value else { continue };
        if object.len() > 1 {
            object.push(',');
        }
        encode_string(&mut object, key);
        object.push(':');
        encode_string(&mut object, value);
    }
    object.push('}');
    object.into_bytes()
}

/// Reads the object; members of other names are passed over. `None` where it is not JSON or has no status.
pub(super) fn parse(bytes: &[u8]) -> Option<TokenError> {
    let text = core::str::from_utf8(bytes).ok()?;
    let mut reader = Reader(text.trim_ascii());
    let mut status = None;
    let mut error = TokenError::new("");
    reader.expect('{')?;
    if !reader.take('}') {
        loop {
            let key = reader.string()?;
            reader.expect(':')?;
            match key.as_str() {
                "status" => status = Some(reader.scalar()?),
                "scope" => error.scope = Some(reader.string()?),
                "schemes" => error.schemes = Some(reader.string()?),
                "openid-configuration" => error.openid_configuration = Some(reader.string()?),
                _ => reader.skip_value()?,
            }
            if !reader.take(',') {
                break;
            }
        }
        reader.expect('}')?;
    }
    error.status = status?;
    reader.0.is_empty().then_some(error)
}

fn encode_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// What is left to read, without leading whitespace.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn take(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest.trim_ascii_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Option<()> {
        self.take(c).then_some(())
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.0.strip_prefix('"')?.chars();
        let mut text = String::new();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => text.push(escaped(&mut chars)?),
                c if c.is_ascii_control() => return None,
                c => text.push(c),
            }
        }
        self.0 = chars.as_str().trim_ascii_start();
        Some(text)
    }

    /// A string, or a number as its text: some servers send the status so.
    fn scalar(&mut self) -> Option<String> {
        if self.0.starts_with('"') {
            return self.string();
        }
        self.bare_word().map(str::to_owned)
    }

    fn bare_word(&mut self) -> Option<&str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_ascii_start();
        (!word.is_empty()).then_some(word)
    }

    /// Passes over a value; brackets need to balance, what stands between them is not checked closely.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.0.chars().next()? {
                '"' => drop(self.string()?),
                open @ ('{' | '[') if depth < MAX_DEPTH => {
                    self.take(open);
                    depth += 1;
                }
                close @ ('}' | ']') if depth > 0 => {
                    self.take(close);
                    depth -= 1;
                }
                mark @ (',' | ':') if depth > 0 => drop(self.take(mark)),
                _ => drop(self.bare_word()?),
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// Reads what follows a backslash.
fn escaped(chars: &mut core::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let unit = code_unit(chars)?;
            if !(0xd800..0xdc00).contains(&unit) {
                return char::from_u32(unit);
            }
            // RFC 8259 §7: beyond the basic plane as a surrogate pair.
            if (chars.next()?, chars.next()?) != ('\\', 'u') {
                return None;
            }
            let low = code_unit(chars)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low);
        }
        _ => return None,
    })
}

fn code_unit(chars: &mut core::str::Chars<'_>) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | chars.next()?.to_digit(16)?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusals_of_the_rfc_and_of_google_are_read() {
        // RFC 7628 §4.3
        let error = parse(
            br#"{
                "status":"invalid_token",
                "scope":"example_scope",
                "openid-configuration":"https://example.com/.well-known/openid-config"
            }"#,
        )
        .unwrap();
        assert_eq!(error.status, "invalid_token");
        assert_eq!(error.scope.as_deref(), Some("example_scope"));
        assert_eq!(
            error.openid_configuration.as_deref(),
            Some("https://example.com/.well-known/openid-config")
        );
        let error =
            parse(br#"{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}"#).unwrap();
        assert_eq!(error.status, "401");
        assert_eq!(error.schemes.as_deref(), Some("bearer"));
    }

    #[test]
    fn unknown_members_of_any_shape_are_passed_over() {
        let text =
            br#" { "a" : [1, {"b": [null, "}"]}, -2.5e+3], "c":{}, "d":true, "status" : 400 , "e":"]" } "#;
        assert_eq!(parse(text), Some(TokenError::new("400")));
    }

    #[test]
    fn escapes_are_read() {
        let error = parse(br#"{"status":"\"\\\/\b\f\n\r\t\u00fc\ud83d\udd11"}"#).unwrap();
        assert_eq!(error.status, "\"\\/\u{8}\u{c}\n\r\t\u{fc}\u{1f511}");
    }

    #[test]
    fn what_is_no_object_with_a_status_is_refused() {
        let deep = format!("{{\"a\":{}1{},\"status\":\"x\"}}", "[".repeat(17), "]".repeat(17));
        let bad = [
            "",
            "{}",
            "null",
            "\"status\"",
            "[]",
            "{",
            r#"{"status"}"#,
            r#"{"status":}"#,
            r#"{"status":"x""#,
            r#"{"status":"x",}"#,
            r#"{"status":"x"}x"#,
            r#"{"status":"\u12"}"#,
            r#"{"status":"\ud800x"}"#,
            r#"{"status":"\udc00"}"#,
            r#"{"status":"\ud800\u0041"}"#,
            r#"{"status":"\x"}"#,
            r#"{"status":["x"]}"#,
            "{\"status\":\"a\nb\"}",
            r#"{"scope":"x"}"#,
            r#"{"scope":1,"status":"x"}"#,
            r#"{"a":],"status":"x"}"#,
            &deep,
        ];
        for text in bad {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"{\"status\":\"\xff\"}"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(
            status: String,
            scope: Option<String>,
            openid_configuration: Option<String>,
            schemes: Option<String>,
        ) {
            let error = TokenError { status, scope, openid_configuration, schemes };
            proptest::prop_assert_eq!(parse(&encode(&error)), Some(error));
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in r#"[\[\]{}":,a0\\u ]{0,40}"#) {
            let _ = parse(text.as_bytes());
        }
    }
}
