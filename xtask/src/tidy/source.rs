//! Enough of Rust's lexical structure to tell code from comments, strings and tests.

use std::ops::Range;
use std::sync::OnceLock;

/// A text file, and its views as Rust.
///
/// The views have the length of the text, with spaces for what is hidden, so that a place in one
/// is a place in all.
#[derive(Default)]
pub(super) struct Source {
    pub(super) text: String,
    code: OnceLock<String>,
    library: OnceLock<String>,
}

impl Source {
    pub(super) fn new(text: String) -> Self {
        Source { text, ..Self::default() }
    }

    /// The text without comments and without what stands in strings; their quotes stay.
    pub(super) fn code(&self) -> &str {
        self.code.get_or_init(|| code(&self.text))
    }

    /// The code without the items under `#[cfg(test)]`.
    pub(super) fn library(&self) -> &str {
        self.library.get_or_init(|| without_tests(self.code()))
    }

    /// The number of the line at a place.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count()
    }

    /// The first string literal at or after a place.
    pub(super) fn string_after(&self, at: usize) -> Option<&str> {
        let open = at + self.code()[at..].find('"')?;
        let close = open + 1 + self.code()[open + 1..].find('"')?;
        self.text.get(open + 1..close)
    }
}

/// The places where a word stands by itself.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let joins = |x: Option<char>| x.is_some_and(|x| x.is_alphanumeric() || x == '_');
        let starts = word.starts_with(|x: char| x.is_alphanumeric() || x == '_');
        let ends = word.ends_with(|x: char| x.is_alphanumeric() || x == '_');
        !(starts && joins(before) || ends && joins(after))
    })
}

/// The identifier at the beginning of a text.
pub(super) fn identifier(text: &str) -> &str {
    let end = text.find(|x: char| !x.is_alphanumeric() && x != '_').unwrap_or(text.len());
    &text[..end]
}

fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let is_raw = !(at > 0 && is_word(bytes[at - 1]));
        at = if rest.starts_with(b"//") {
            let end = at + find(rest, b"\n").unwrap_or(rest.len());
            hidden.push(at..end);
            end
        } else if rest.starts_with(b"/*") {
            let end = at + block_comment(rest);
            hidden.push(at..end);
            end
        } else if let (true, Some(hashes)) = (is_raw, raw_string(rest)) {
            let open = at + find(rest, b"\"").map_or(0, |quote| quote + 1);
            let mut close = vec![b'"'];
            close.resize(hashes + 1, b'#');
            let end = open + find(&bytes[open..], &close).unwrap_or(bytes.len() - open);
            hidden.push(open..end);
            (end + close.len()).min(bytes.len())
        } else if rest[0] == b'"' {
            let end = at + 1 + string(&rest[1..]);
            hidden.push(at + 1..end);
            end + 1
        } else if rest[0] == b'\'' {
            let end = at + character(text, at);
            if end > at + 1 {
                hidden.push(at + 1..end - 1);
            }
            end
        } else {
            at + 1
        };
    }
    let mut shown = bytes.to_vec();
    for range in hidden {
        let end = range.end.min(shown.len());
        blank(&mut shown[range.start..end]);
    }
    String::from_utf8(shown).unwrap_or_default()
}

/// The code without the items under `#[cfg(test)]`: each ends with its block or its semicolon.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut shown = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(start) = code[from..].find(MARK).map(|at| from + at) {
        let mut depth = 0_usize;
        let mut end = code.len();
        for (at, byte) in code.bytes().enumerate().skip(start + MARK.len()) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && (byte == b'}' || byte == b';') {
                end = at + 1;
                break;
            }
        }
        blank(&mut shown[start..end]);
        from = end;
    }
    String::from_utf8(shown).unwrap_or_default()
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The length of the block comment, which may hold others.
fn block_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// How many hashes a raw string begins with, if one begins here.
fn raw_string(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"b").or(bytes.strip_prefix(b"c")).unwrap_or(bytes);
    let rest = rest.strip_prefix(b"r")?;
    let n_hashes = rest.iter().take_while(|&&byte| byte == b'#').count();
    (rest.get(n_hashes) == Some(&b'"')).then_some(n_hashes)
}

/// The length of a string up to its closing quote.
fn string(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// The length of a character literal; 1 if the quote begins a lifetime.
fn character(text: &str, at: usize) -> usize {
    let mut rest = text[at + 1..].char_indices();
    match (rest.next(), rest.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let from = at + 1 + escaped + 1;
            text.get(from..).and_then(|rest| rest.find('\'')).map_or(1, |end| from + end + 1 - at)
        }
        (Some(_), Some((end, '\''))) => 1 + end + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(code(text), expected);
    }

    #[test]
    fn comments_are_hidden() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check("/// é\nf", "      \nf");
    }

    #[test]
    fn strings_are_hidden_but_for_their_quotes() {
        check(r#"f("a\"b // c", d)"#, r#"f("         ", d)"#);
        check("r#\"a \" b\"# c", "r#\"     \"# c");
        check(r#"br"a\" + x"#, r#"br"  " + x"#);
        check(r#"expect("x")"#, r#"expect(" ")"#);
    }

    #[test]
    fn characters_are_not_lifetimes() {
        check("'\"' 'a 'b' '\\'' '\\u{1F600}' 'é' &'t T", "' ' 'a ' ' '  ' '         ' '  ' &'t T");
    }

    #[test]
    fn tests_are_hidden() {
        let text = "a\n#[cfg(test)]\nmod tests {\n fn f() { x }\n}\nb\n#[cfg(test)] use y;\nc";
        let shown = without_tests(&code(text));
        assert_eq!(shown.split_whitespace().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn words_stand_by_themselves() {
        assert_eq!(words("unsafe_code unsafe {}", "unsafe").collect::<Vec<_>>(), [12]);
        assert_eq!(words("x.inner.y x.inner_y", ".inner").collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let source = Source::new("a\nb\nc".to_string());
        assert_eq!((source.line(0), source.line(2), source.line(4)), (1, 2, 3));
    }
}
