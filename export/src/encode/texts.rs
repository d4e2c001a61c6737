//! Texts made once for an interned name.

use coati_core::intern::{self, Id};

use super::line::{Chunk, Line};

/// What a name is written as, escaped and with what stands around it, ready to copy.
#[derive(Debug, Default)]
pub struct Texts {
    /// By id.
    places: Vec<Place>,
    chunks: Vec<Chunk>,
}

/// Where a text stands; nowhere while its length is 0.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    first: u32,
    len: u32,
}

impl Texts {
    /// Appends what `make` writes for the name of `id`, `?` if it has none.
    #[inline(always)]
    pub fn put(&mut self, id: Id, line: &mut Line<'_>, make: fn(Id, &str, &mut Vec<u8>)) {
        let place = self.places.get(id.0 as usize).copied().unwrap_or_default();
        if place.len == 0 {
            return line.rarely(|out| self.learn(id, make, out));
        }
        line.chunks(&self.chunks[place.first as usize..], place.len as usize);
    }

    #[cold]
    #[inline(never)]
    fn learn(&mut self, id: Id, make: fn(Id, &str, &mut Vec<u8>), out: &mut Vec<u8>) {
        // What has no name may be any number, for which there need not be memory.
        let Some(name) = intern::text(id) else { return make(id, "?", out) };
        let mut text = Vec::new();
        make(id, name, &mut text);
        out.extend_from_slice(&text);
        let place = Place { first: self.chunks.len() as u32, len: text.len() as u32 };
        text.resize(text.len().next_multiple_of(size_of::<Chunk>()), 0);
        self.chunks.extend_from_slice(text.as_chunks().0);
        let index = id.0 as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, Place::default());
        }
        self.places[index] = place;
    }
}
