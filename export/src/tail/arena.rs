//! Records that wait, in blocks of one size: many traces grow at once, and each gives all of its
//! memory back at once.

/// Words of a block. The smaller, the less of it stays empty; the larger, the fewer steps.
const BLOCK: usize = 64;
/// The first word of a block tells the next one.
const NEXT: usize = 0;
const NONE: u32 = u32::MAX;
/// Blocks asked for at once.
const SEGMENT: usize = 256;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = BLOCK * 8;

type Block = [u64; BLOCK];

/// The blocks. Memory once taken is used again and kept.
#[derive(Debug, Default)]
pub struct Arena {
    segments: Vec<Box<[Block]>>,
    /// Blocks of the segments that have been in use.
    begun: usize,
    /// The first block given back.
    free: Option<u32>,
}

/// Records one after another.
#[derive(Debug)]
pub struct Chain {
    first: u32,
    last: u32,
    /// Where the first block is read and the last one written.
    read_at: usize,
    write_at: usize,
    blocks: usize,
    records: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, read_at: BLOCK, write_at: BLOCK, blocks: 0, records: 0 }
    }
}

impl Chain {
    /// How many records are in it.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of its blocks.
    pub fn bytes(&self) -> usize {
        self.blocks * BLOCK_BYTES
    }
}

impl Arena {
    fn block(&mut self, index: u32) -> &mut Block {
        &mut self.segments[index as usize / SEGMENT][index as usize % SEGMENT]
    }

    fn take_block(&mut self) -> u32 {
        if let Some(index) = self.free {
            let next = self.block(index)[NEXT] as u32;
            self.free = (next != NONE).then_some(next);
            return index;
        }
        if self.begun == self.segments.len() * SEGMENT {
            self.segments.push(vec![[0; BLOCK]; SEGMENT].into());
        }
        self.begun += 1;
        (self.begun - 1) as u32
    }

    /// Bytes taken from the system.
    pub fn memory(&self) -> usize {
        self.segments.len() * SEGMENT * BLOCK_BYTES
    }

    /// Appends a record, whose header tells its size, and its time.
    pub fn append(&mut self, chain: &mut Chain, ticks: u64, record: &[u64]) {
        self.write(chain, &[ticks]);
        self.write(chain, record);
        chain.records += 1;
    }

    fn write(&mut self, chain: &mut Chain, mut words: &[u64]) {
        while !words.is_empty() {
            if chain.write_at == BLOCK {
                self.extend(chain);
            }
            let some = words.len().min(BLOCK - chain.write_at);
            let (now, later) = words.split_at(some);
            self.block(chain.last)[chain.write_at..chain.write_at + some].copy_from_slice(now);
            chain.write_at += some;
            words = later;
        }
    }

    fn extend(&mut self, chain: &mut Chain) {
        let index = self.take_block();
        self.block(index)[NEXT] = u64::from(NONE);
        if chain.last == NONE {
            chain.first = index;
            chain.read_at = NEXT + 1;
        } else {
            self.block(chain.last)[NEXT] = u64::from(index);
        }
        chain.last = index;
        chain.write_at = NEXT + 1;
        chain.blocks += 1;
    }

    /// Moves the oldest record of the chain to `out` and tells its time.
    pub fn pop(&mut self, chain: &mut Chain, out: &mut Vec<u64>) -> Option<u64> {
        chain.records = chain.records.checked_sub(1)?;
        out.clear();
        self.read(chain, 2, out);
        let (ticks, header) = (out[0], out[1]);
        out.clear();
        out.push(header);
        let words = header as u32 as usize / 8;
        self.read(chain, words.saturating_sub(1), out);
        if chain.records == 0 {
            self.free(chain);
        }
        Some(ticks)
    }

    fn read(&mut self, chain: &mut Chain, mut words: usize, out: &mut Vec<u64>) {
        while words > 0 {
            if chain.read_at == BLOCK {
                let done = chain.first;
                chain.first = self.block(done)[NEXT] as u32;
                chain.read_at = NEXT + 1;
                chain.blocks -= 1;
                self.give_block(done);
            }
            let some = words.min(BLOCK - chain.read_at);
            let at = chain.read_at;
            out.extend_from_slice(&self.block(chain.first)[at..at + some]);
            chain.read_at += some;
            words -= some;
        }
    }

    fn give_block(&mut self, index: u32) {
        self.block(index)[NEXT] = u64::from(self.free.unwrap_or(NONE));
        self.free = Some(index);
    }

    /// Gives all memory of the chain back.
    pub fn free(&mut self, chain: &mut Chain) {
        if chain.last != NONE {
            self.block(chain.last)[NEXT] = u64::from(self.free.unwrap_or(NONE));
            self.free = Some(chain.first);
        }
        *chain = Chain::default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn record(words: usize, seed: u64) -> Vec<u64> {
        let mut record: Vec<u64> = (0..words as u64).map(|word| word ^ seed).collect();
        record[0] = (words * 8) as u64 | seed << 32;
        record
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn chains_hold_what_lists_would(
            steps in prop::collection::vec((0..6usize, 0..12u8, 1..300usize), 1..400),
        ) {
            let mut arena = Arena::default();
            let mut chains: Vec<Chain> = (0..6).map(|_| Chain::default()).collect();
            let mut lists: Vec<VecDeque<(u64, Vec<u64>)>> = vec![VecDeque::new(); 6];
            let mut out = Vec::new();
            let mut most = 0;
            for (tick, (which, what, words)) in steps.into_iter().enumerate() {
                let (chain, list) = (&mut chains[which], &mut lists[which]);
                match what {
                    0 => {
                        arena.free(chain);
                        list.clear();
                    }
                    1..=4 => {
                        let ticks = arena.pop(chain, &mut out);
                        prop_assert_eq!(ticks.map(|t| (t, out.clone())), list.pop_front());
                    }
                    _ => {
                        let record = record(words, tick as u64);
                        arena.append(chain, tick as u64, &record);
                        list.push_back((tick as u64, record));
                    }
                }
                prop_assert_eq!(chain.records(), list.len() as u64);
                if list.is_empty() {
                    prop_assert_eq!(chain.bytes(), 0);
                }
                most = most.max(chains.iter().map(Chain::bytes).sum());
            }
            // What was given back is used again.
            prop_assert!(arena.begun * BLOCK_BYTES <= most);
        }
    }
}
