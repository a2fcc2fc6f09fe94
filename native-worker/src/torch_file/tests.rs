//! Files of torch.save cut short and changed byte by byte: refused, never a panic.

use std::io::Cursor;

use super::TorchFile;
use super::pickle::Pickle;

fn refusal(pickle: &[u8]) -> String {
    match Pickle::read(pickle) {
        Ok(_) => panic!("accepted: {}", pickle.escape_ascii()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn names_that_are_not_known_end_the_reading() {
    let check = |pickle: &[u8], name: &str| {
        let error = refusal(pickle);
        assert!(
            error.contains(&format!("code in it: {name};")) && error.contains("nothing was"),
            "{error}"
        );
    };
    check(b"cposix\nsystem\n(X\x04\x00\x00\x00lslstR.", "posix.system");
    check(
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
        "builtins.eval",
    );
    check(b"ctorch\nload\n.", "torch.load");
    check(
        b"ctorch._utils\n_rebuild_wrapper\n.",
        "torch._utils._rebuild_wrapper",
    );
    check(b"c\x1b[31m\nx\n.", "\\u{1b}[31m.x");
}

#[test]
fn broken_pickles_are_refused_with_their_place() {
    let check = |pickle: &[u8], reason: &str| {
        let error = refusal(pickle);
        assert!(
            error.contains(reason) && error.contains("at byte"),
            "{error}"
        );
    };
    check(b"", "it ends in the middle");
    check(b"X\xff\xff\xff\xffab", "it ends in the middle");
    check(b"X\x01\x00\x00\x00\xff.", "not UTF-8");
    check(b"cposix", "it ends in a name");
    check(b".", "more values");
    check(b"(.", "more values");
    check(b"N(\x85.", "more values");
    check(b"t.", "needs a mark");
    check(b"h\x00.", "no such entry");
    check(b"]N)s.", "not a dictionary");
    check(b"}Na.", "not a list");
    check(b"NNR.", "not a function");
    check(b"ctorch\nFloatStorage\n)R.", "without a place");
    check(b"ccollections\nOrderedDict\nN\x85R.", "made of something");
    check(b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "too few values");
    check(
        b"ctorch._utils\n_rebuild_parameter\n)R.",
        "not made of a tensor",
    );
    check(b"NQ.", "not a tuple");
    check(b"(NNNNNtQ.", "the wrong values");
    check(b"F1.0\n.", "0x46");
    check(&b"(".repeat(100_000), "nested too deeply");
    check(&b"N".repeat(100_000), "nested too deeply");
}

#[test]
fn settings_beside_the_weights_are_passed_over() {
    let pickle = b"\x80\x02}(X\x04\x00\x00\x00argscargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrG\x00\x00\x00\x00\x00\x00\x00\x00sbX\x01\x00\x00\x00nK\x01u.";
    let pickle = Pickle::read(pickle).unwrap();
    assert!(pickle.entry(pickle.root(), "args").is_some());
    assert!(pickle.entry(pickle.root(), "lr").is_none());
    assert!(pickle.tensors_in(pickle.root()).is_empty());
}

#[test]
fn what_is_no_archive_is_refused_by_name() {
    let check = |bytes: &[u8], expected: &str| {
        let error = TorchFile::read(Cursor::new(bytes)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(b"", "not a zip archive");
    check(
        b"version https://git-lfs.github.com/spec/v1\n",
        "git lfs pull",
    );
    check(super::LEGACY_START, "before 1.6");
    // An end record that claims a directory beyond the end, in 32 and in 64 bits.
    let mut end = b"PK\x05\x06".to_vec();
    end.resize(22, 0xff);
    check(&end, "outside the file");
    let mut wide = b"PK\x06\x07".to_vec();
    wide.resize(20, 0xff);
    wide.extend(&end);
    check(&wide, "ends too early");
}
