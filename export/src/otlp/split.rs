//! A request that a receiver finds too large becomes two.

use serde_json::Value;

use super::compose::Encoding;
use super::signal::Signal;
use crate::wire::{self, Field, Fields};

/// The two halves of `body` and how many items each has; `None` where there are not two items.
pub fn split(signal: Signal, encoding: Encoding, body: &[u8]) -> Option<[(Vec<u8>, u64); 2]> {
    match encoding {
        Encoding::Protobuf => protobuf(body),
        Encoding::Json => json(signal, body),
    }
}

/// The inside of the first field number `wanted`.
fn inside(message: &[u8], wanted: u32) -> Option<&[u8]> {
    Fields::of(message).find_map(|field| match field {
        (number, Field::Bytes(bytes)) if number == wanted => Some(bytes),
        _ => None,
    })
}

fn protobuf(body: &[u8]) -> Option<[(Vec<u8>, u64); 2]> {
    let whole = inside(body, 1)?;
    let resource = inside(whole, 1)?;
    // Items in order, each with its scope.
    let mut items: Vec<Item<'_>> = Vec::new();
    for field in Fields::of(whole) {
        let (2, Field::Bytes(group)) = field else { continue };
        let (scope, schema_url) = (inside(group, 1)?, inside(group, 3));
        for field in Fields::of(group) {
            if let (2, Field::Bytes(item)) = field {
                items.push(Item { scope, schema_url, item });
            }
        }
    }
    if items.len() < 2 {
        return None;
    }
    let (first, second) = items.split_at(items.len() / 2);
    Some([first, second].map(|half| (rebuild(resource, half), half.len() as u64)))
}

#[derive(Clone, Copy)]
struct Item<'a> {
    scope: &'a [u8],
    schema_url: Option<&'a [u8]>,
    item: &'a [u8],
}

fn rebuild(resource: &[u8], items: &[Item<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::message(0x0a, &mut out, |out| {
        wire::bytes(0x0a, resource, out);
        // Items of one scope stand side by side: equal scopes are one slice.
        for group in items.chunk_by(|a, b| a.scope.as_ptr() == b.scope.as_ptr()) {
            wire::message(0x12, out, |out| {
                wire::bytes(0x0a, group[0].scope, out);
                group.iter().for_each(|one| wire::bytes(0x12, one.item, out));
                if let Some(schema_url) = group[0].schema_url {
                    wire::bytes(0x1a, schema_url, out);
                }
            });
        }
    });
    out
}

fn json(signal: Signal, body: &[u8]) -> Option<[(Vec<u8>, u64); 2]> {
    let [resources, scopes, list] = signal.lists();
    let mut first: Value = serde_json::from_slice(body).ok()?;
    let groups = |whole: &mut Value| {
        Some(std::mem::take(whole.get_mut(resources)?.get_mut(0)?.get_mut(scopes)?.as_array_mut()?))
    };
    let all = groups(&mut first)?;
    let mut second = first.clone();
    let count = |group: &Value| group[list].as_array().map_or(0, Vec::len);
    let total: usize = all.iter().map(count).sum();
    if total < 2 {
        return None;
    }
    let mut left = total / 2;
    let mut halves = [Vec::new(), Vec::new()];
    for mut group in all {
        let mut items = std::mem::take(group.get_mut(list)?.as_array_mut()?);
        let rest = items.split_off(left.min(items.len()));
        left -= items.len();
        for (half, items) in halves.iter_mut().zip([items, rest]) {
            if !items.is_empty() {
                let mut part = group.clone();
                part[list] = items.into();
                half.push(part);
            }
        }
    }
    let [a, b] = halves;
    first[resources][0][scopes] = a.into();
    second[resources][0][scopes] = b.into();
    let whole = |value: &Value| serde_json::to_vec(value).ok();
    Some([(whole(&first)?, (total / 2) as u64), (whole(&second)?, (total - total / 2) as u64)])
}
