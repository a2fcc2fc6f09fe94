//! Reads `spiece.model`, a protobuf message of SentencePiece (`ModelProto`): the few
//! fields that a Unigram tokenizer needs, every length checked; unknown fields skipped.

/// What the file says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SentencePieces {
    /// Pieces by id.
    pub(super) pieces: Vec<Piece>,
    /// Id of the piece that stands for unknown text.
    pub(super) unknown: usize,
    /// Normalisation as a trie of replacements, see [`super::charsmap`]; may be empty.
    pub(super) charsmap: Vec<u8>,
}

/// One piece of text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Logarithm of its probability.
    pub(super) score: f32,
    pub(super) kind: PieceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    Unknown,
    Control,
    UserDefined,
    /// Normal, unused, or a byte.
    Other,
}

/// `TrainerSpec.ModelType.UNIGRAM`.
const UNIGRAM: u64 = 1;
const MODEL_TYPES: [&str; 5] = ["none", "Unigram", "BPE", "word", "char"];

impl SentencePieces {
    /// Parses and checks a whole file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut found = Self {
            pieces: Vec::new(),
            unknown: 0,
            charsmap: Vec::new(),
        };
        let mut fields = Fields { bytes };
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(piece)) => found.pieces.push(read_piece(piece)?),
                (2, Value::Bytes(trainer)) => found.unknown = read_trainer(trainer)?,
                (3, Value::Bytes(normalizer)) => found.charsmap = read_normalizer(normalizer)?,
                _ => {}
            }
        }
        found.check()?;
        Ok(found)
    }

    fn check(&self) -> Result<(), String> {
        if self.pieces.is_empty() {
            return Err("it holds no pieces".into());
        }
        match self.pieces.get(self.unknown) {
            Some(piece) if piece.kind == PieceKind::Unknown => {}
            Some(piece) => {
                let Piece { text, .. } = piece;
                return Err(format!(
                    "piece {}, {text:?}, should be the unknown token and is not",
                    self.unknown
                ));
            }
            None => {
                let n = self.pieces.len();
                return Err(format!(
                    "its unknown token is piece {}, but it has {n} pieces",
                    self.unknown
                ));
            }
        }
        match self.pieces.iter().find(|piece| !piece.score.is_finite()) {
            Some(Piece { text, score, .. }) => {
                Err(format!("the score of piece {text:?} is {score}"))
            }
            None => Ok(()),
        }
    }
}

fn read_piece(bytes: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece {
        text: String::new(),
        score: 0.0,
        kind: PieceKind::Other,
    };
    let mut fields = Fields { bytes };
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(text)) => {
                let text = std::str::from_utf8(text);
                piece.text = text
                    .map_err(|error| format!("a piece is no UTF-8 ({error})"))?
                    .to_owned();
            }
            (2, Value::Word(score)) => piece.score = f32::from_bits(score),
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    _ => PieceKind::Other,
                };
            }
            _ => {}
        }
    }
    Ok(piece)
}

/// The id of the unknown token.
fn read_trainer(bytes: &[u8]) -> Result<usize, String> {
    let mut unknown = 0;
    let mut fields = Fields { bytes };
    while let Some(field) = fields.next()? {
        match field {
            (3, Value::Number(UNIGRAM)) => {}
            (3, Value::Number(other)) => {
                let name = usize::try_from(other)
                    .ok()
                    .and_then(|idx| MODEL_TYPES.get(idx));
                let name = name.map_or_else(|| format!("type {other}"), |name| (*name).into());
                return Err(format!("its model is {name}, expected Unigram"));
            }
            // A negative id is a 64-bit number here, too large for any vocabulary.
            (40, Value::Number(id)) => unknown = usize::try_from(id).unwrap_or(usize::MAX),
            _ => {}
        }
    }
    Ok(unknown)
}

fn read_normalizer(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut charsmap = Vec::new();
    let mut fields = Fields { bytes };
    while let Some(field) = fields.next()? {
        if let (2, Value::Bytes(found)) = field {
            charsmap = found.to_vec();
        }
    }
    Ok(charsmap)
}

/// The fields of one message, in the order of the file.
struct Fields<'a> {
    bytes: &'a [u8],
}

enum Value<'a> {
    Number(u64),
    Word(u32),
    Long,
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// Field number and value; `None` at the end of the message.
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, String> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => {
                self.take(8)?;
                Value::Long
            }
            2 => {
                let n = self.number()?;
                Value::Bytes(self.take(n)?)
            }
            5 => {
                let word = self.take(4)?;
                Value::Word(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            }
            other => {
                return Err(format!(
                    "it is no SentencePiece model (a field of wire type {other})"
                ));
            }
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, n: u64) -> Result<&'a [u8], String> {
        let left = self.bytes.len();
        match usize::try_from(n) {
            Ok(n) if n <= left => {
                let (taken, rest) = self.bytes.split_at(n);
                self.bytes = rest;
                Ok(taken)
            }
            _ => Err(format!(
                "it is truncated or lies: a field of {n} bytes where {left} are left"
            )),
        }
    }

    /// A number of 1 to 10 bytes, the lowest 7 bits first.
    fn number(&mut self) -> Result<u64, String> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("it is no SentencePiece model (a number of more than ten bytes)".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, content.len() as u8];
        bytes.extend(content);
        bytes
    }

    fn piece(text: &[u8], score: f32, kind: u8) -> Vec<u8> {
        let mut content = field(1, text);
        content.push(2 << 3 | 5);
        content.extend(score.to_le_bytes());
        content.extend([3 << 3, kind]);
        field(1, &content)
    }

    /// unk_id is field 40, whose key takes two bytes.
    fn trainer(model_type: u8, unknown: u8) -> Vec<u8> {
        field(2, &[3 << 3, model_type, 0xc0, 0x02, unknown])
    }

    #[test]
    fn reads_what_is_written() {
        let unused = [9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8];
        let bytes = [
            piece("▁a".as_bytes(), -1.5, 1),
            piece(b"<unk>", 0.0, 2),
            trainer(1, 1),
            field(3, &field(2, b"map")),
        ];
        let found = SentencePieces::read(&[&unused[..], &bytes.concat()].concat()).unwrap();
        assert_eq!(found.pieces[0].text, "▁a");
        assert_eq!(
            (found.pieces[0].score, found.pieces[0].kind),
            (-1.5, PieceKind::Other)
        );
        assert_eq!((found.unknown, found.charsmap.as_slice()), (1, &b"map"[..]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |parts: &[Vec<u8>], expected: &str| {
            let error = SentencePieces::read(&parts.concat()).unwrap_err();
            assert!(error.contains(expected), "{expected:?}: {error}");
        };
        let unk = || piece(b"<unk>", 0.0, 2);
        check(&[], "no pieces");
        check(&[trainer(1, 0)], "no pieces");
        check(
            &[unk(), trainer(2, 0)],
            "its model is BPE, expected Unigram",
        );
        check(&[unk(), trainer(9, 0)], "its model is type 9");
        check(&[unk(), trainer(1, 1)], "piece 1, but it has 1 pieces");
        check(
            &[piece(b"a", 0.0, 1), trainer(1, 0)],
            "should be the unknown token",
        );
        check(&[piece(b"<unk>", f32::NAN, 2)], "is NaN");
        check(&[piece(b"\xff", 0.0, 2)], "no UTF-8");
        check(
            &[unk(), vec![0x0a, 0x05, 1]],
            "a field of 5 bytes where 1 are left",
        );
        check(
            &[vec![
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ]],
            "truncated or lies",
        );
        check(&[vec![0xff; 11]], "more than ten bytes");
        check(&[vec![0x0b]], "wire type 3");
        check(&[vec![0x0a]], "where 0 are left");
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_ends_in_words() {
        let whole = [
            piece(b"<unk>", 0.0, 2),
            piece(b"ab", -1.0, 1),
            trainer(1, 0),
        ]
        .concat();
        for n in 0..whole.len() {
            let _ = SentencePieces::read(&whole[..n]);
            for bit in 0..8 {
                let mut spoiled = whole.clone();
                spoiled[n] ^= 1 << bit;
                let _ = SentencePieces::read(&spoiled);
            }
        }
        assert!(SentencePieces::read(&whole).is_ok());
    }
}
