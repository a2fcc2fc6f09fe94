//! Reads server-sent events: what a line means is in the HTML standard, "9.2.6
//! Interpreting an event stream".

use std::io::BufRead;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// The kind of event.
    pub(super) name: String,
    /// Its place in the log.
    pub(super) id: Option<u64>,
    /// Its content.
    pub(super) data: String,
}

/// The events of a stream, until it ends or breaks.
pub(super) struct SseReader<R>(R);

impl<R: BufRead> SseReader<R> {
    pub(super) const fn new(lines: R) -> Self {
        Self(lines)
    }
}

impl<R: BufRead> Iterator for SseReader<R> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let mut frame = Frame::default();
        let mut line = String::new();
        loop {
            line.clear();
            // An event without its empty line is not whole, and is not given.
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let text = line.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                if !frame.data.is_empty() {
                    return Some(frame);
                }
                frame = Frame::default();
                continue;
            }
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut frame.name),
                "id" => frame.id = value.parse().ok(),
                "data" if frame.data.is_empty() => value.clone_into(&mut frame.data),
                "data" => frame.data = format!("{}\n{value}", frame.data),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read_to_the_last_whole_event() {
        let text =
            ": ping\n\nevent: status\nid: 7\ndata: {}\n\ndata: a\r\ndata: b\r\n\r\ndata: cut";
        let frames: Vec<Frame> = SseReader::new(text.as_bytes()).collect();
        let expected = [("status", Some(7), "{}"), ("", None, "a\nb")];
        let expected = expected.map(|(name, id, data)| Frame {
            name: name.into(),
            id,
            data: data.into(),
        });
        assert_eq!(frames, expected);
    }
}
