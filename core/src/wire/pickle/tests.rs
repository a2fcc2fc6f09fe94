//! Pickles written by hand, opcode by opcode.

use super::*;
use alloc::vec;

/// Python's `repr` of a pickled value, for comparison.
fn repr(pickle: &Pickle<'_>, value: &Value<'_>) -> String {
    let list = |ids: &[ValueId]| {
        let items: Vec<String> = ids
            .iter()
            .map(|&id| repr(pickle, pickle.value(id)))
            .collect();
        items.join(", ")
    };
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::Text(text) => alloc::format!("'{text}'"),
        Value::List(ids) => alloc::format!("[{}]", list(ids)),
        Value::Tuple(ids) => alloc::format!("({})", list(ids)),
        Value::Dict(entries) => {
            let entry = |&(key, value)| alloc::format!("{}: {}", list(&[key]), list(&[value]));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            alloc::format!("{{{}}}", entries.join(", "))
        }
    }
}

#[test]
fn plain_data_is_read() {
    let check = |bytes: &[u8], expected: &str| {
        let pickle = Pickle::read(bytes).unwrap();
        assert_eq!(repr(&pickle, pickle.root()), expected);
    };
    check(b"\x80\x02N.", "None");
    check(b"\x80\x02\x88.", "True");
    check(
        b"\x80\x02](K\x01M\x00\x02J\xff\xff\xff\xff\x89e.",
        "[1, 512, -1, False]",
    );
    check(b"\x80\x02\x8a\x02\x00\xff.", "-256");
    check(b"\x80\x02\x8a\x00.", "0");
    check(b"\x80\x02X\x02\x00\x00\x00\xc3\xa9.", "'é'");
    check(
        b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00bK\x02u.",
        "{'a': 1, 'b': 2}",
    );
    check(b"\x80\x02]N\x88\x86a.", "[(None, True)]");
    check(b"\x80\x02(K\x01)K\x02t.", "(1, (), 2)");
    check(b"\x80\x02}X\x01\x00\x00\x00aNs.", "{'a': None}");
    check(
        b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94h\x00\x86.",
        "('a', 'a')",
    );
    check(
        b"\x80\x02](Nr\x07\x00\x00\x00j\x07\x00\x00\x00e.",
        "[None, None]",
    );
}

#[test]
fn code_is_refused_by_name() {
    let check = |bytes: &[u8], expected: &str| {
        let error = Pickle::read(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(b"\x80\x02cos\nsystem\n", "contains code (GLOBAL os system)");
    check(b"\x80\x02ios\nsystem\n", "contains code (INST os system)");
    check(
        b"\x80\x02c\xff\x1b[31m\n",
        "contains code (GLOBAL \\xff\\x1b[31m",
    );
    for (code, name) in [
        (b'R', "REDUCE"),
        (b'b', "BUILD"),
        (b'o', "OBJ"),
        (0x81, "NEWOBJ"),
        (0x92, "NEWOBJ_EX"),
        (0x82, "EXT1"),
        (0x83, "EXT2"),
        (0x84, "EXT4"),
        (b'P', "PERSID"),
        (b'Q', "BINPERSID"),
        (0x93, "STACK_GLOBAL"),
    ] {
        check(
            &[0x80, 2, b'N', b'N', code],
            &alloc::format!("contains code ({name})"),
        );
    }
}

#[test]
fn broken_pickles_are_refused() {
    let check = |bytes: &[u8], expected: &str| {
        let error = Pickle::read(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(b"", "ends in the middle, at byte 0");
    check(b"\x80", "ends in the middle");
    check(b"\x80\x02N", "ends in the middle, at byte 3");
    check(b"\x80\x05N.", "protocol is not 2, 3 or 4");
    check(b"\x80\x02.", "more values than there are");
    check(b"\x80\x02(.", "more values than there are");
    check(b"\x80\x02e", "needs a mark");
    check(b"\x80\x02Na", "the stack is empty");
    check(b"\x80\x02NNa", "not a list");
    check(b"\x80\x02N(u", "not a dictionary");
    check(b"\x80\x02}(Nu", "not a dictionary");
    check(b"\x80\x02N(\x85", "below a mark");
    check(b"\x80\x02\x87", "a tuple needs more values");
    check(b"\x80\x02h\x00", "the memo has no such entry");
    check(b"\x80\x02q\x00", "the stack is empty");
    check(b"\x80\x02X\xff\xff\xff\xffa", "ends in the middle");
    check(b"\x80\x02X\x01\x00\x00\x00\xff", "not UTF-8");
    check(b"\x80\x02\x8a\x09123456789", "more than 64 bits");
    check(b"\x80\x02G\x00", "opcode BINFLOAT at byte 2");
    check(b"\x80\x02N0", "opcode POP at byte 3");
    check(b"\x80\x02\xff", "opcode 0xff at byte 2");
}

#[test]
fn large_and_deep_pickles_are_refused() {
    let check = |body: Vec<u8>, expected: &str| {
        let mut bytes = vec![0x80, 2];
        bytes.extend(body);
        let error = Pickle::read(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(vec![b']'; 50_000], "8192 values nested");
    check(vec![b'('; 50_000], "8192 marks");
    check(b"]Na".repeat(100_000), "8192 values nested");
    let mut many = vec![b']'];
    many.extend(b"Na".repeat(1 << 20));
    check(many, "1048576 values");
    check(vec![b'N'; MAX_PICKLE_BYTES], "16 MiB");
}

#[test]
fn deep_nesting_below_the_limit_is_dropped_safely() {
    let mut bytes = vec![0x80, 2];
    bytes.extend(vec![b']'; 8000]);
    bytes.extend(vec![b'a'; 7999]);
    bytes.push(b'.');
    let pickle = Pickle::read(&bytes).unwrap();
    assert!(matches!(pickle.root(), Value::List(items) if items.len() == 1));
}

#[test]
fn a_list_may_hold_itself() {
    let pickle = Pickle::read(b"\x80\x02]q\x00h\x00a.").unwrap();
    assert_eq!(pickle.root(), &Value::List(vec![ValueId(0)]));
}

#[test]
fn what_is_written_is_read() {
    let mut writer = PickleWriter::new();
    writer.begin_list();
    writer.begin_dict();
    writer.text("a");
    writer.none();
    writer.end_dict();
    writer.end_list();
    let bytes = writer.end();
    let pickle = Pickle::read(&bytes).unwrap();
    assert_eq!(repr(&pickle, pickle.root()), "[{'a': None}]");
}
