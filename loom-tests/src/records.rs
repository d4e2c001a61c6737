//! Records as models write and read them: a first word that tells size and number, and words
//! after it that can be told from anybody else's.

use coati_core::ledger::{Counts, Signal};
use coati_core::ring::{Consumer, NoRoom, Producer};
use coati_core::thread::registry::{Channel, Drains, Registry};

/// The signal that models record.
pub const SIGNAL: Signal = Signal::Logs;

/// Makes room for a record as the recorder does: the open stretch, else a look at the consumer.
pub fn room(producer: &mut Producer, size: u64) -> Result<(), NoRoom> {
    if producer.open() >= size { Ok(()) } else { producer.reserve(size, false) }
}

/// Writes a record that has room.
pub fn write(producer: &mut Producer, number: u64, size: u64) {
    producer.write_word(0, number << 32 | size);
    for offset in (8..size).step_by(8) {
        producer.write_word(offset, number * 1000 + offset);
    }
}

/// Records through a ring alone.
pub fn put(producer: &mut Producer, number: u64, size: u64) -> Result<(), NoRoom> {
    room(producer, size)?;
    write(producer, number, size);
    producer.publish(size);
    Ok(())
}

/// Records through a channel, with its books, as the recorder does.
pub fn record(channel: &Channel, producer: &mut Producer, number: u64, size: u64) {
    channel.counts.recorded(SIGNAL).add(1);
    match room(producer, size) {
        Ok(()) => {
            write(producer, number, size);
            channel.publish(producer, SIGNAL, size);
        }
        Err(NoRoom::Full) => {
            channel.counts.dropped(SIGNAL, coati_core::ledger::Reason::RingFull).add(1);
        }
        Err(NoRoom::TooLarge) => unreachable!("models record small records"),
    }
}

/// Reads what is published before `until` and hands its numbers to `each`.
pub fn read(consumer: &mut Consumer, until: u64, mut each: impl FnMut(u64)) {
    while let Some(size) = consumer.peek(until) {
        assert!(size > 0, "a record that nobody wrote");
        let number = consumer.word(0) >> 32;
        for offset in (8..size).step_by(8) {
            assert_eq!(consumer.word(offset), number * 1000 + offset, "a torn record");
        }
        consumer.advance(size);
        each(number);
    }
}

/// One pass of a drain over all rings: reads, releases, and counts in `books`.
pub fn drain(drains: &mut Drains, registry: &Registry, books: &Counts, mut each: impl FnMut(u64)) {
    let marks = drains.marks(registry);
    for (drain, &until) in drains.list().iter_mut().zip(marks.positions()) {
        read(&mut drain.consumer, until, |number| {
            books.taken(SIGNAL).add(1);
            books.delivered(SIGNAL).add(1);
            each(number);
        });
        drain.consumer.release();
    }
}

/// A registry of rings of `ring_bytes`, `rings` of them at most.
pub fn registry(ring_bytes: usize, rings: usize) -> Registry {
    let make_region = Box::new(|_| Ok(coati_core::ring::Region));
    Registry::new(ring_bytes, ring_bytes * rings, 0, make_region)
}
