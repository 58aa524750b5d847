//! The grammar of Sieve (RFC 5228 §8), as far as scripts use it: a script that passes has balanced strings and braces, commands
//! and tests that are known, blocks that do not nest too deep, and asks for each extension that it uses.

/// What a word of a script needs to be required.
const NEEDS: [(&str, &str); 16] = [
    ("fileinto", "fileinto"),
    (":create", "mailbox"),
    (":copy", "copy"),
    ("envelope", "envelope"),
    ("body", "body"),
    (":regex", "regex"),
    ("set", "variables"),
    ("string", "variables"),
    ("reject", "reject"),
    ("include", "include"),
    ("duplicate", "duplicate"),
    ("pipe", "vnd.dovecot.pipe"),
    ("filter", "vnd.dovecot.filter"),
    ("execute", "vnd.dovecot.execute"),
    ("${hex:", "encoded-character"),
    ("${", "variables"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Number(u64),
    Sign(char),
}

/// Panics unless the text is a well-formed script.
pub(crate) fn check(script: &str) {
    let tokens = tokens(script);
    let mut parser = Parser { tokens: &tokens, at: 0, script };
    let mut required = Vec::new();
    while parser.next_is(&Token::Word("require".to_owned())) {
        parser.at += 1;
        required.extend(parser.texts());
        parser.sign(';');
    }
    while parser.at < tokens.len() {
        parser.command(0);
    }
    let has = |extension: &str| required.iter().any(|known| known == extension);
    for token in &tokens {
        for (word, extension) in NEEDS {
            let uses = match token {
                Token::Word(used) => used == word,
                // Without variables and encoded characters, `${` is a text like any other.
                Token::Text(text) => {
                    word == "${" && names_variable(text) && has("variables") && !has(extension)
                }
                _ => false,
            };
            assert!(!uses || has(extension), "{word} needs {extension}:\n{script}");
        }
    }
    for extension in &required {
        let used = NEEDS.iter().filter(|(_, of)| of == extension).any(|(word, _)| script.contains(word));
        assert!(used, "{extension} is used:\n{script}");
    }
}

fn names_variable(text: &str) -> bool {
    text.split("${").skip(1).any(|rest| {
        rest.split_once('}')
            .is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
    })
}

fn tokens(script: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        match first {
            ' ' | '\n' => rest = &rest[1..],
            '#' => {
                let (comment, behind) = rest.split_once('\n').expect("comments end");
                assert!(!comment.contains(|c: char| c.is_control()), "no control characters in {comment:?}");
                rest = behind;
            }
            '"' => {
                let mut text = String::new();
                let mut characters = rest[1..].char_indices();
                let end = loop {
                    match characters.next().expect("strings are closed") {
                        (at, '"') => break at,
                        (_, '\\') => {
                            let (_, escaped) = characters.next().expect("strings are closed");
                            assert!(matches!(escaped, '"' | '\\'), "only what has to be is escaped");
                            text.push(escaped);
                        }
                        (_, character) => {
                            assert!(!matches!(character, '\0' | '\r' | '\n'), "what a string may hold");
                            text.push(character);
                        }
                    }
                };
                tokens.push(Token::Text(text));
                rest = &rest[end + 2..];
            }
            '0'..='9' => {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                let number: u64 = rest[..end].parse().expect("is a number");
                assert!(number <= 0x7fff_ffff, "numbers that every implementation has");
                tokens.push(Token::Number(number));
                rest = &rest[end..];
            }
            ':' | 'a'..='z' => {
                let end = 1 + rest[1..]
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len() - 1);
                tokens.push(Token::Word(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            sign => {
                assert!("[](){},;".contains(sign), "no {sign:?} between words:\n{script}");
                tokens.push(Token::Sign(sign));
                rest = &rest[1..];
            }
        }
    }
    tokens
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    script: &'a str,
}

impl Parser<'_> {
    fn next(&mut self) -> Token {
        self.at += 1;
        self.tokens.get(self.at - 1).unwrap_or_else(|| panic!("there is more:\n{}", self.script)).clone()
    }

    fn next_is(&self, token: &Token) -> bool {
        self.tokens.get(self.at) == Some(token)
    }

    fn sign(&mut self, sign: char) {
        let found = self.next();
        assert_eq!(found, Token::Sign(sign), "in\n{}", self.script);
    }

    fn tags(&mut self) {
        while let Some(Token::Word(word)) = self.tokens.get(self.at)
            && word.starts_with(':')
        {
            self.at += 1;
            if word == ":comparator" || word == ":output" {
                self.text();
            }
        }
    }

    fn text(&mut self) -> String {
        match self.next() {
            Token::Text(text) => text,
            other => panic!("expected a string, found {other:?} in\n{}", self.script),
        }
    }

    fn texts(&mut self) -> Vec<String> {
        if !self.next_is(&Token::Sign('[')) {
            return vec![self.text()];
        }
        self.at += 1;
        let mut texts = vec![self.text()];
        while self.next_is(&Token::Sign(',')) {
            self.at += 1;
            texts.push(self.text());
        }
        self.sign(']');
        texts
    }

    fn command(&mut self, depth: usize) {
        assert!(depth <= 15, "blocks nest no deeper than everybody takes");
        let Token::Word(word) = self.next() else { panic!("expected a command in\n{}", self.script) };
        match word.as_str() {
            "if" => {
                self.test(0);
                self.block(depth);
                while self.next_is(&Token::Word("elsif".to_owned())) {
                    self.at += 1;
                    self.test(0);
                    self.block(depth);
                }
                if self.next_is(&Token::Word("else".to_owned())) {
                    self.at += 1;
                    self.block(depth);
                }
                return;
            }
            "stop" | "keep" | "discard" => {}
            "fileinto" | "redirect" | "reject" | "include" => {
                self.tags();
                self.text();
            }
            "set" => {
                let name = self.text();
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
                assert!(!name.starts_with(|first: char| first.is_ascii_digit()), "{name}");
                self.text();
            }
            "pipe" | "filter" | "execute" => {
                self.tags();
                self.text();
                if !self.next_is(&Token::Sign(';')) {
                    self.texts();
                }
            }
            other => panic!("no command is called {other} in\n{}", self.script),
        }
        self.sign(';');
    }

    fn block(&mut self, depth: usize) {
        self.sign('{');
        while !self.next_is(&Token::Sign('}')) {
            self.command(depth + 1);
        }
        self.sign('}');
    }

    fn test(&mut self, depth: usize) {
        assert!(depth <= 8, "tests nest no deeper than needed");
        let Token::Word(word) = self.next() else { panic!("expected a test in\n{}", self.script) };
        match word.as_str() {
            "not" => self.test(depth + 1),
            "allof" | "anyof" => {
                self.sign('(');
                self.test(depth + 1);
                while self.next_is(&Token::Sign(',')) {
                    self.at += 1;
                    self.test(depth + 1);
                }
                self.sign(')');
            }
            "header" | "envelope" | "string" => {
                self.tags();
                let names = self.texts();
                if word == "header" {
                    let is_name = |name: &String| {
                        !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
                    };
                    assert!(names.iter().all(is_name), "{names:?}");
                }
                self.texts();
            }
            "body" | "exists" => {
                self.tags();
                self.texts();
            }
            "size" => {
                self.tags();
                assert!(matches!(self.next(), Token::Number(_)));
            }
            "true" | "false" | "duplicate" => {}
            "execute" => {
                self.tags();
                self.text();
                if !(self.next_is(&Token::Sign('{'))
                    || self.next_is(&Token::Sign(','))
                    || self.next_is(&Token::Sign(')')))
                {
                    self.texts();
                }
            }
            other => panic!("no test is called {other} in\n{}", self.script),
        }
    }
}
