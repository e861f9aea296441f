//! One tool that converts lengths: MCP over standard input and output in Rust, with the standard library alone.
//!
//! make wasm, or by hand: rustc --target wasm32-wasip1 -O units.rs
//!
//! A server of any size takes `serde_json` for its messages; this one has the little JSON that it needs in `Json`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

const TOOLS: &str = r#"[{"name":"convert","description":"Converts a length from one unit to another",
"inputSchema":{"type":"object","properties":{"value":{"type":"number"},"from":{"enum":["mm","cm","m","km","in","ft","mi"]},
"to":{"enum":["mm","cm","m","km","in","ft","mi"]}},"required":["value","from","to"]}}]"#;

fn metres(unit: &str) -> Option<f64> {
    Some(match unit {
        "mm" => 0.001,
        "cm" => 0.01,
        "m" => 1.0,
        "km" => 1000.0,
        "in" => 0.0254,
        "ft" => 0.3048,
        "mi" => 1609.344,
        _ => return None,
    })
}

fn convert(arguments: &Json) -> Result<String, String> {
    let value = arguments.get("value").number().ok_or("'value' is wanted, a number")?;
    let (from, to) = (arguments.get("from").text(), arguments.get("to").text());
    let factor = metres(from).ok_or(format!("'from' is no unit: {from:?}"))?
        / metres(to).ok_or(format!("'to' is no unit: {to:?}"))?;
    Ok(format!("{value} {from} = {} {to}", value * factor))
}

/// The answer to a message, empty for none.
fn answer(message: &Json) -> String {
    let id = message.get("id");
    if matches!(id, Json::Null) {
        return String::new(); // a notification wants no answer
    }
    let params = message.get("params");
    let result = match message.get("method").text() {
        "initialize" => r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},
            "serverInfo":{"name":"units","version":"1.0.0"}}"#.to_string(),
        "ping" => "{}".to_string(),
        "tools/list" => format!(r#"{{"tools":{TOOLS}}}"#),
        "tools/call" if params.get("name").text() == "convert" => {
            let converted = convert(params.get("arguments"));
            let failed = converted.is_err();
            let text = quoted(&converted.unwrap_or_else(|problem| problem));
            format!(r#"{{"content":[{{"type":"text","text":{text}}}],"isError":{failed}}}"#)
        }
        "tools/call" => return failure(id, -32602, "there is no such tool"),
        _ => return failure(id, -32601, "method not found"),
    };
    // A message is one line.
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, id.written(), result.replace('\n', ""))
}

fn failure(id: &Json, code: i32, words: &str) -> String {
    let words = quoted(words);
    format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":{words}}}}}"#, id.written())
}

fn main() -> io::Result<()> {
    let mut output = io::stdout();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match Reader(line.as_bytes(), 0).value() {
            Some(message) => answer(&message),
            None => failure(&Json::Null, -32700, "that is no JSON"),
        };
        if !answer.is_empty() {
            writeln!(output, "{answer}")?;
            output.flush()?;
        }
    }
    Ok(())
}

enum Json {
    Null,
    Bool,
    Number(f64),
    Text(String),
    List,
    Object(BTreeMap<String, Json>),
}

impl Json {
    fn get(&self, key: &str) -> &Json {
        match self {
            Json::Object(members) => members.get(key).unwrap_or(&Json::Null),
            _ => &Json::Null,
        }
    }

    fn text(&self) -> &str {
        if let Json::Text(text) = self { text } else { "" }
    }

    fn number(&self) -> Option<f64> {
        if let Json::Number(number) = self { Some(*number) } else { None }
    }

    /// As an id is written back.
    fn written(&self) -> String {
        match self {
            Json::Number(number) => number.to_string(),
            Json::Text(text) => quoted(text),
            _ => "null".to_string(),
        }
    }
}

fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => written.extend(['\\', letter]),
            control if (control as u32) < 0x20 => written += &format!("\\u{:04x}", control as u32),
            other => written.push(other),
        }
    }
    written + "\""
}

struct Reader<'a>(&'a [u8], usize);

impl Reader<'_> {
    fn value(&mut self) -> Option<Json> {
        Some(match self.next()? {
            b'{' => {
                let mut members = BTreeMap::new();
                while self.next()? != b'}' {
                    self.1 -= 1;
                    if let (Json::Text(name), b':') = (self.value()?, self.next()?) {
                        members.insert(name, self.value()?);
                    } else {
                        return None;
                    }
                    self.skip(b',');
                }
                Json::Object(members)
            }
            b'[' => {
                while self.next()? != b']' {
                    self.1 -= 1;
                    self.value()?; // nothing here takes lists
                    self.skip(b',');
                }
                Json::List
            }
            b'"' => Json::Text(self.string()?),
            b't' => self.word("rue", Json::Bool)?,
            b'f' => self.word("alse", Json::Bool)?,
            b'n' => self.word("ull", Json::Null)?,
            _ => {
                let start = self.1 - 1;
                while self.0.get(self.1).map_or(false, |byte| b"+-.0123456789eE".contains(byte)) {
                    self.1 += 1;
                }
                Json::Number(std::str::from_utf8(&self.0[start..self.1]).ok()?.parse().ok()?)
            }
        })
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.0.get(self.1)?;
            self.1 += 1;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
        }
    }

    fn skip(&mut self, wanted: u8) {
        match self.next() {
            Some(byte) if byte != wanted => self.1 -= 1,
            _ => {}
        }
    }

    fn word(&mut self, rest: &str, value: Json) -> Option<Json> {
        let found = self.0[self.1..].starts_with(rest.as_bytes());
        self.1 += rest.len();
        found.then_some(value)
    }

    fn string(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            let byte = *self.0.get(self.1)?;
            self.1 += 1;
            match byte {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => {
                    let escape = *self.0.get(self.1)?;
                    self.1 += 1;
                    match escape {
                        b'n' => bytes.push(b'\n'),
                        b't' => bytes.push(b'\t'),
                        b'r' => bytes.push(b'\r'),
                        b'u' => {
                            let letter = self.unicode()?;
                            bytes.extend(letter.to_string().bytes());
                        }
                        other => bytes.push(other),
                    }
                }
                other => bytes.push(other),
            }
        }
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if first >> 10 != 0x36 {
            return char::from_u32(first);
        }
        self.1 += 2; // the second half of a surrogate pair: \uXXXX again
        char::from_u32(0x10000 + ((first & 0x3ff) << 10 | self.hex()? & 0x3ff))
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.0.get(self.1..self.1 + 4)?;
        self.1 += 4;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}
