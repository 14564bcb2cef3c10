//! Decoding that goes on behind mistakes.
//!
//! A structure with one bad field has no value, and what refers to it would then be reported as missing: one mistake, ten
//! messages. So the smallest entry around each mistake is cut out and the rest decoded again. The value only serves to find
//! the mistakes elsewhere, since a file with errors is never run.

use std::sync::Arc;

use crate::{
    decode::{Decode, Decoder},
    node::{Node, Value},
    source::Span,
};

/// More passes than this mean that cutting does not help.
const PASSES_MAX: usize = 8;

/// Decodes a node; where that fails, decodes what is left of it without the entries that are wrong.
pub(crate) fn decode<T: Decode>(node: &Node, decoder: &mut Decoder) -> Option<T> {
    let before = decoder.error_count();
    if let Some(value) = T::decode(node, decoder) {
        return Some(value);
    }
    // Templates that the failed pass saw are seen again by the one that counts.
    let earlier = decoder.take_templates();
    let mut wrong = decoder.error_spans(before);
    let mut all_cut = wrong.clone();
    let mut rest = node.clone();
    for _ in 0..PASSES_MAX {
        let mut cut = false;
        for span in &wrong {
            cut |= cut_around(&mut rest, *span);
        }
        if !cut {
            break;
        }
        let mut scratch = Decoder::new(decoder.file().clone());
        if let Some(value) = T::decode(&rest, &mut scratch) {
            decoder.see_again(earlier);
            decoder.adopt(scratch, &all_cut);
            return Some(value);
        }
        wrong = scratch.error_spans(0);
        all_cut.extend(&wrong);
    }
    None
}

/// Removes the deepest entry or item that covers a span; false when only the node itself does.
fn cut_around(node: &mut Node, span: Span) -> bool {
    let covers = |outer: Span| outer.start <= span.start && span.end <= outer.end;
    match &mut node.value {
        Value::Scalar { .. } => false,
        Value::Sequence(items) => match items.iter().position(|item| covers(item.span)) {
            Some(at) => {
                let items = Arc::make_mut(items);
                if !cut_around(&mut items[at], span) {
                    items.remove(at);
                }
                true
            }
            None => false,
        },
        Value::Mapping(entries) => {
            let position = entries
                .iter()
                .position(|entry| covers(entry.key_span) || covers(entry.node.span));
            match position {
                Some(at) => {
                    let entries = Arc::make_mut(entries);
                    if covers(entries[at].key_span) || !cut_around(&mut entries[at].node, span) {
                        entries.remove(at);
                    }
                    true
                }
                None => false,
            }
        }
    }
}
