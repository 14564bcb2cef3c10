//! One version of one object: its bytes, shared by every list and watch that sends them.

use std::sync::Arc;

use bytes::Bytes;

/// A version that is in the store, or was.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// The object as it was written, its own revision inside.
    pub(crate) bytes: Bytes,
    /// The revision that wrote it.
    pub(crate) revision: u64,
    /// Which encoding wrote the bytes; a reader with another one must decode and encode again.
    pub(crate) encoding: u64,
    /// `metadata.labels`, so that a selector needs no parser.
    pub(crate) labels: Arc<[(Box<str>, Box<str>)]>,
    /// Values of the selectable fields, in the order of the kind's facts.
    pub(crate) fields: Arc<[Box<str>]>,
    version_at: usize,
    version_len: usize,
}

/// What a writer hands over: bytes with a gap where the revision goes.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// The object with an empty text where the revision belongs.
    pub(crate) bytes: Vec<u8>,
    /// Where in `bytes` the revision is inserted; `None` leaves the bytes as they are.
    pub(crate) version_at: Option<usize>,
    /// See [`Object::encoding`].
    pub(crate) encoding: u64,
    /// See [`Object::labels`].
    pub(crate) labels: Arc<[(Box<str>, Box<str>)]>,
    /// See [`Object::fields`].
    pub(crate) fields: Arc<[Box<str>]>,
}

impl Draft {
    pub(super) fn commit(self, revision: u64) -> Object {
        let (bytes, version_at, version_len) = match self.version_at {
            Some(at) => {
                let text = revision.to_string();
                let mut bytes = Vec::with_capacity(self.bytes.len() + text.len());
                bytes.extend_from_slice(&self.bytes[..at]);
                bytes.extend_from_slice(text.as_bytes());
                bytes.extend_from_slice(&self.bytes[at..]);
                (Bytes::from(bytes), at, text.len())
            }
            None => (Bytes::from(self.bytes), 0, 0),
        };
        Object {
            bytes,
            revision,
            encoding: self.encoding,
            labels: self.labels,
            fields: self.fields,
            version_at,
            version_len,
        }
    }
}

impl Object {
    /// The same bytes with another revision inside: how a watcher sees the last state of what is gone.
    pub(crate) fn bytes_at(&self, revision: u64) -> Bytes {
        if self.version_len == 0 {
            return self.bytes.clone();
        }
        let text = revision.to_string();
        let mut out = Vec::with_capacity(self.bytes.len() + 4);
        out.extend_from_slice(&self.bytes[..self.version_at]);
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&self.bytes[self.version_at + self.version_len..]);
        out.into()
    }

    /// Whether a draft holds the same but for the revision: such a write is none.
    pub(crate) fn same_as(&self, draft: &Draft) -> bool {
        match draft.version_at {
            Some(at) => {
                at == self.version_at
                    && self.bytes.len() == draft.bytes.len() + self.version_len
                    && self.bytes[..at] == draft.bytes[..at]
                    && self.bytes[at + self.version_len..] == draft.bytes[at..]
            }
            None => self.bytes[..] == draft.bytes[..],
        }
    }

    pub(super) fn weight(&self) -> usize {
        self.bytes.len() + 128
    }
}
