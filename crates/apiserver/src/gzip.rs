//! Compression of large answers, as upstream does above 128 KiB for whoever accepts it.

use std::{collections::VecDeque, io::Write as _};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};

use crate::reply::{Body, Reply};

const BYTES_MIN: usize = 128 << 10;

/// Compresses the body if the client accepts it and it is worth it. Watches go as they are.
pub(crate) fn compress(request: &HeaderMap, reply: &mut Reply) {
    let accepted = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    let gzip = accepted.is_some_and(|text| {
        text.split(',').any(|one| {
            one.split(';')
                .next()
                .is_some_and(|name| matches!(name.trim(), "gzip" | "*"))
        })
    });
    if !gzip || reply.body().is_stream() || reply.body().ready_len() < BYTES_MIN {
        return;
    }
    let Some(chunks) = reply.body_mut().take_ready() else {
        return;
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(64 << 10), Compression::fast());
    let mut out = VecDeque::new();
    for chunk in chunks {
        // Writing to memory does not fail.
        let _ = encoder.write_all(&chunk);
        let made = std::mem::replace(encoder.get_mut(), Vec::with_capacity(64 << 10));
        if !made.is_empty() {
            out.push_back(Bytes::from(made));
        }
    }
    out.push_back(encoder.finish().unwrap_or_default().into());
    *reply.body_mut() = Body::chunks(out);
    reply
        .headers_mut()
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    reply
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}
