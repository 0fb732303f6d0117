//! The classes of input that are known to tell JSON parsers apart (RFC 8259, and what parsers have
//! been found to do with what it leaves open), each with what rootshift does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::collections::BTreeMap;

use rootshift::documents::parse;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Result<T, String> {
    parse::document("d.json", text.as_ref()).map_err(|error| error.to_string())
}

/// One line that begins with the file and a place, both from 1.
fn refused<T: DeserializeOwned + std::fmt::Debug>(text: impl AsRef<[u8]>) {
    let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
    let message = read::<T>(text).expect_err(&shown);
    let mut parts = message.split(':');
    assert_eq!(parts.next(), Some("d.json"), "{message}");
    for part in [parts.next(), parts.next()] {
        assert!(part.unwrap().parse::<u32>().unwrap() >= 1, "{message}");
    }
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[test]
fn whole_numbers_are_whole_at_their_limits() {
    for number in [0, 1, i64::MAX, i64::MIN, -1] {
        assert_eq!(read(number.to_string()), Ok(number));
    }
    assert_eq!(read("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(read("4294967295"), Ok(u32::MAX));
    for number in [
        "9223372036854775808",
        "-9223372036854775809",
        "1e2",
        "1.0",
        "-1e400",
    ] {
        refused::<i64>(number);
    }
    // Minus zero is no whole number of its own.
    for number in [
        "18446744073709551616",
        "-1",
        "-0",
        "1E400",
        "99999999999999999999",
        "0.0",
    ] {
        refused::<u64>(number);
    }
    for number in ["4294967296", "-1"] {
        refused::<u32>(number);
    }
}

#[test]
fn numbers_with_a_fraction_are_read_or_out_of_range() {
    for (text, number) in [
        ("0.5", 0.5),
        ("-0.0", -0.0),
        ("1e5", 1e5),
        ("1E+2", 100.0),
        ("1.7976931348623157e308", f64::MAX),
        ("2.2250738585072014e-308", f64::MIN_POSITIVE),
        ("4.9e-324", f64::from_bits(1)),
        ("1e-400", 0.0),
        (
            "123456789012345678901234567890",
            123_456_789_012_345_678_901_234_567_890.0,
        ),
    ] {
        let found: f64 = read(text).unwrap();
        assert_eq!(found.to_bits(), f64::to_bits(number), "{text}");
    }
    for text in ["1e400", "-1e400", "1.8e308", "1e99999999999999999999"] {
        refused::<f64>(text);
    }
}

#[test]
fn what_other_languages_take_for_a_number_is_none() {
    for text in [
        "+1",
        ".5",
        "1.",
        "01",
        "-01",
        "00",
        "-",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "1,0",
        "1 2",
        "--1",
        "Infinity",
        "-Infinity",
        "NaN",
        "inf",
        "nan",
        "٣",
        "1f",
        "0b1",
        "1L",
        "e5",
        "-.5",
        "2.e3",
    ] {
        refused::<f64>(text);
        refused::<serde_json::Value>(text);
    }
}

#[test]
fn escapes_are_those_of_json() {
    for (text, meant) in [
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u20AC""#, "Aé€"),
        (r#""\ud834\udd1e""#, "𝄞"),
        (r#""\uDBFF\uDFFF""#, "\u{10ffff}"),
        (r#""\u0000""#, "\0"),
        (r#""\uFFFF\ufffe\uFEFF""#, "\u{ffff}\u{fffe}\u{feff}"),
        ("\"\u{7f}\u{2028}\u{2029}/é𝄞\"", "\u{7f}\u{2028}\u{2029}/é𝄞"),
        ("\"\"", ""),
    ] {
        assert_eq!(read::<String>(text).as_deref(), Ok(meant), "{text}");
    }
    for text in [
        r#""\a""#,
        r#""\x41""#,
        r#""\'""#,
        r#""\0""#,
        r#""\u""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\U0041""#,
        r#""\u{41}""#,
        r#""\ ""#,
        "\"\\\n\"",
        r#""\"#,
        r#""\u00"#,
    ] {
        refused::<String>(text);
    }
}

#[test]
fn half_a_surrogate_pair_is_no_character() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud834x""#,
        r#""\ud834\n""#,
        r#""\ud834\u0041""#,
        r#""\udbff\ue000""#,
        r#""\ud83""#,
        r#""\ud800\u"#,
    ] {
        refused::<String>(text);
    }
    // In UTF-8 they are no characters either; nor is a sign written longer than it has to be.
    for bytes in [
        &b"\"\xed\xa0\x80\""[..],
        b"\"\xed\xbf\xbf\"",
        b"\"\xc0\xaf\"",
        b"\"\xe0\x80\xaf\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xff\"",
        b"\"\x80\"",
        b"\"\xe2\x82\"",
        b"\"\xc3",
    ] {
        refused::<String>(bytes);
    }
}

#[test]
fn control_characters_stand_in_no_string_unescaped() {
    for code in 0..0x20_u8 {
        refused::<String>([b'"', code, b'"']);
        refused::<BTreeMap<String, u8>>([b"{\"", &[code][..], b"\": 1}"].concat());
    }
    // Between values only four of them are blanks.
    for code in (0..0x20_u8).chain([0x7f, 0xa0]) {
        let text = [&[code], &b"1"[..]].concat();
        if b" \t\n\r".contains(&code) {
            assert_eq!(read::<u8>(text), Ok(1), "{code}");
        } else {
            refused::<u8>(text);
        }
    }
    for blank in ["\u{a0}", "\u{2028}", "\u{3000}", "\u{feff}", "\u{85}"] {
        refused::<u8>(format!("{blank}1"));
        refused::<u8>(format!("1{blank}"));
    }
}

#[test]
fn nothing_is_added_to_json() {
    for text in [
        "[1,]",
        "[,1]",
        "[1,,2]",
        "[,]",
        "[1 2]",
        "[1;2]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\"}",
        "{\"a\":1 \"b\":2}",
        "{\"a\"::1}",
        "{\"a\"=1}",
        "{a:1}",
        "{1:1}",
        "{'a':1}",
        "{null:1}",
        "{[]:1}",
        "['a']",
        "[1]//x",
        "/*x*/[1]",
        "[1] # x",
        "[1]]",
        "[1}",
        "{\"a\":1]",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "{\"a\"",
        "{\"a\":",
        "\"",
        "True",
        "TRUE",
        "NULL",
        "None",
        "undefined",
        "nul",
        "tru",
        "truee",
        "[1][2]",
        "{}{}",
        "1 1",
        "\"a\" \"b\"",
        "[*]",
        "<null>",
        "\\u0061",
        "[\\n]",
        "`a`",
        "“a”",
        "(1)",
        "a",
        "@",
    ] {
        refused::<serde_json::Value>(text);
    }
}

#[test]
fn a_document_is_one_value_with_blanks_around_it() {
    assert_eq!(read::<Vec<u8>>(" \r\n\t[ 1 , 2 ]\n \n"), Ok(vec![1, 2]));
    for empty in ["", " ", "\n", "\0", "\u{feff}"] {
        refused::<serde_json::Value>(empty);
    }
    refused::<Vec<u8>>("\u{feff}[1]");
    refused::<Vec<u8>>(b"\xff\xfe[\x001\x00]\x00");
    refused::<Vec<u8>>(b"\x00[\x001\x00]");
}

#[test]
fn keys_are_there_once_however_they_are_written() {
    type Map = BTreeMap<String, u8>;
    for text in [
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"\":1,\"\":2}",
        "{\"\\ud834\\udd1e\":1,\"𝄞\":2}",
        "{\"\\\"\":1,\"\\u0022\":2}",
    ] {
        refused::<Map>(text);
        refused::<serde_json::Value>(format!("[{{\"x\":{text}}}]"));
    }
    // These differ: nothing is normalised, no case is folded.
    for text in [
        "{\"a\":1,\"A\":2}",
        "{\"é\":1,\"e\\u0301\":2}",
        "{\"a\":1,\"a \":2}",
    ] {
        assert_eq!(read::<Map>(text).unwrap().len(), 2, "{text}");
    }
    let nested = "{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":1}]}}}";
    assert!(read::<serde_json::Value>(nested).is_ok());
}

#[test]
fn nesting_ends_where_the_stack_is_safe() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read::<serde_json::Value>(nested(100)).is_ok());
    for depth in [128, 1000, 10_000, 100_000, 500_000] {
        refused::<serde_json::Value>(nested(depth));
        refused::<serde_json::Value>("[".repeat(depth));
        refused::<serde_json::Value>("{\"a\":".repeat(depth));
        refused::<serde_json::Value>("[{\"a\":[".repeat(depth / 8));
        refused::<serde_json::Value>("]".repeat(depth));
    }
}
