//! The ring against a `VecDeque`: random sizes, random drains, every byte compared.

use std::collections::VecDeque;
use std::sync::Arc;

use coati_core::ring::place::{Place, Positions};
use coati_core::ring::{Consumer, NoRoom, Producer, Region, Storage};
use proptest::prelude::*;

const CAPACITY: usize = 4096;

#[derive(Debug, Clone)]
enum Step {
    Write { words: u64, seed: u64, severe: bool },
    Read(usize),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..260, any::<u64>(), any::<bool>())
            .prop_map(|(words, seed, severe)| Step::Write { words, seed, severe }),
        2 => (0usize..20).prop_map(Step::Read),
        2 => Just(Step::Release),
    ]
}

fn record(words: u64, seed: u64) -> Vec<u64> {
    let size = words * 8;
    std::iter::once(size).chain((1..words).map(|i| seed.wrapping_mul(i) ^ i)).collect()
}

fn check(spare: u64, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let region = Region::anonymous(CAPACITY).unwrap();
    let storage = Arc::new(Storage::new(region, CAPACITY));
    let mut producer = Producer::new(storage.clone(), spare);
    let mut consumer = Consumer::new(storage);
    let mut unread: VecDeque<Vec<u64>> = VecDeque::new();
    let mut released = 0u64;
    let has_room = |now: Positions, size: u64, severe: bool| {
        let kept = if severe { 0 } else { spare };
        match now.place(size) {
            Place::Here => now.free() >= size + kept,
            Place::AfterFiller(filler) => now.free() >= filler + size + kept,
            Place::Full | Place::Never => false,
        }
    };
    for step in steps {
        match step {
            Step::Write { words, seed, severe } => {
                let record = record(words, seed);
                let size = words * 8;
                let now = Positions {
                    capacity: CAPACITY as u64,
                    head: released,
                    tail: consumer.published(),
                };
                let room =
                    if producer.open() >= size { Ok(()) } else { producer.reserve(size, severe) };
                match room {
                    Ok(()) => {
                        prop_assert!(has_room(now, size, severe), "granted {size} at {now:?}");
                        for (i, &word) in record.iter().enumerate() {
                            producer.write_word(i as u64 * 8, word);
                        }
                        producer.publish(size);
                        unread.push_back(record);
                    }
                    Err(NoRoom::TooLarge) => prop_assert!(size > CAPACITY as u64 / 2),
                    Err(NoRoom::Full) => {
                        prop_assert!(!has_room(now, size, severe), "refused {size} at {now:?}");
                    }
                }
            }
            Step::Read(n) => {
                let until = consumer.published();
                for _ in 0..n {
                    let Some(size) = consumer.peek(until) else {
                        prop_assert!(unread.is_empty());
                        break;
                    };
                    let expected = unread.pop_front().expect("the oracle has a record too");
                    let bytes: &[u64] = bytemuck::cast_slice(consumer.record(size));
                    prop_assert_eq!(bytes, &expected[..]);
                    consumer.advance(size);
                }
            }
            Step::Release => {
                consumer.release();
                released = consumer.position();
            }
        }
    }
    let until = consumer.published();
    while let Some(size) = consumer.peek(until) {
        let expected = unread.pop_front().expect("the oracle has a record too");
        prop_assert_eq!(bytemuck::cast_slice::<u8, u64>(consumer.record(size)), &expected[..]);
        consumer.advance(size);
    }
    prop_assert!(unread.is_empty());
    Ok(())
}

fn config() -> ProptestConfig {
    let default = ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 400 });
    if cfg!(coati_mutant) {
        // What a mutant fails on is not worth keeping.
        return ProptestConfig { failure_persistence: None, ..default };
    }
    default
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_goes_in_comes_out_in_order(steps in prop::collection::vec(step(), 1..200)) {
        check(0, steps)?;
    }

    #[test]
    fn spare_room_is_for_severe_records(steps in prop::collection::vec(step(), 1..200)) {
        check(CAPACITY as u64 / 4, steps)?;
    }

    #[test]
    fn a_record_is_placed_where_it_fits(
        shift in 6u32..20, tail in 0u64..1 << 40, used in any::<u64>(), size in any::<u64>(),
    ) {
        let capacity = 1u64 << shift;
        // Up to the whole ring, in use and asked for.
        let words = capacity / 8;
        let (tail, size) = (tail * 8, (size % words + 1) * 8);
        let head = tail.saturating_sub(used % (words + 1) * 8);
        let positions = Positions { capacity, head, tail };
        prop_assume!(positions.invariants());
        let offset = tail % capacity;
        let place = positions.place(size);
        prop_assert_eq!(place == Place::Never, size > capacity / 2);
        match place {
            Place::Here => {
                prop_assert!(offset + size <= capacity && tail + size - head <= capacity);
            }
            Place::AfterFiller(filler) => {
                prop_assert!(offset + size > capacity);
                prop_assert_eq!((tail + filler) % capacity, 0);
                prop_assert!(tail + filler + size - head <= capacity);
            }
            Place::Full => prop_assert!(head < tail),
            Place::Never => {}
        }
    }
}
