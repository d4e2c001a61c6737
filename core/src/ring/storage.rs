//! The memory of a ring: a region that is anonymous or a file, or cells under loom.

#[cfg(not(coati_loom))]
pub(super) use real::View;
#[cfg(not(coati_loom))]
pub use real::{Region, Storage};

#[cfg(coati_loom)]
pub(super) use model::View;
#[cfg(coati_loom)]
pub use model::{Region, Storage};

impl Storage {
    /// Whether at least half of it is free, by positions that may be a little old.
    pub(crate) fn is_roomy(&self) -> bool {
        use crate::sync::atomic::Ordering;
        // Relaxed: a hint; whoever records looks again.
        let head = self.head().load(Ordering::Relaxed);
        self.tail().load(Ordering::Relaxed).saturating_sub(head) <= self.capacity() / 2
    }
}

#[cfg(not(coati_loom))]
mod real {
    use std::io;
    use std::path::Path;
    use std::ptr::NonNull;

    use crossbeam_utils::CachePadded;

    use crate::os::Mapping;
    use crate::sync::atomic::AtomicU64;

    /// Bytes before the ring's data: one page, so that data is page-aligned.
    const HEADER: usize = 4096;
    /// `COATIRNG`, little-endian.
    const MAGIC: u64 = u64::from_le_bytes(*b"COATIRNG");

    /// The first page of a region. A file that begins with it can be decoded without its process.
    #[repr(C)]
    struct Header {
        magic: u64,
        version: u32,
        header_bytes: u32,
        capacity: u64,
        pid: u64,
        /// A pair of ticks and wall time, and the rate, from when the ring was made.
        ticks: u64,
        wall_ns: u64,
        tail: CachePadded<AtomicU64>,
        head: CachePadded<AtomicU64>,
    }

    /// Memory that a ring can be laid over.
    #[derive(Debug)]
    pub struct Region(Mapping);

    impl Region {
        /// Memory of this process alone, for a ring of `capacity` bytes.
        pub fn anonymous(capacity: usize) -> io::Result<Self> {
            Mapping::anonymous(HEADER + capacity).map(Self)
        }

        /// A new owner-only file that outlives the process. It holds raw, unredacted records.
        pub fn file(path: &Path, capacity: usize) -> io::Result<Self> {
            Mapping::file(path, HEADER + capacity).map(Self)
        }
    }

    /// A region with a ring's header in front.
    #[derive(Debug)]
    pub struct Storage {
        region: Region,
        capacity: u64,
    }

    /// What the producer needs of a storage, which it keeps alive, one step nearer.
    #[derive(Debug)]
    pub(in crate::ring) struct View {
        base: NonNull<u8>,
        mask: u64,
    }

    impl View {
        /// Where the byte at `position` is kept.
        #[inline(always)]
        pub(in crate::ring) fn at(&self, position: u64) -> *mut u8 {
            let offset = (position & self.mask) as usize;
            // SAFETY: the offset is below the capacity, so it stays inside the region.
            unsafe { self.base.as_ptr().add(HEADER + offset) }
        }

        #[inline(always)]
        pub(in crate::ring) fn tail(&self) -> &AtomicU64 {
            // SAFETY: `Storage::new` wrote the header; everything in it that changes is atomic.
            unsafe { &self.base.cast::<Header>().as_ref().tail }
        }
    }

    // SAFETY: the addresses of a region that whoever has this keeps.
    unsafe impl Send for View {}

    impl Storage {
        /// Lays an empty ring over `region`, which has room for `capacity` bytes of data.
        ///
        /// # Panics
        /// If the capacity is not a power of two from [`super::super::MIN_BYTES`] or the region
        /// is too small.
        pub fn new(region: Region, capacity: usize) -> Self {
            assert!(capacity.is_power_of_two() && capacity >= super::super::MIN_BYTES);
            assert!(region.0.len() >= HEADER + capacity && size_of::<Header>() <= HEADER);
            let header = Header {
                magic: MAGIC,
                version: u32::from(crate::record::VERSION),
                header_bytes: HEADER as u32,
                capacity: capacity as u64,
                pid: u64::from(std::process::id()),
                ticks: crate::clock::now(),
                wall_ns: crate::os::realtime_ns(),
                tail: CachePadded::new(AtomicU64::new(0)),
                head: CachePadded::new(AtomicU64::new(0)),
            };
            // SAFETY: the region is longer than a header, page-aligned, and not yet shared.
            unsafe { region.0.base().cast::<Header>().write(header) };
            Self { region, capacity: capacity as u64 }
        }

        #[inline(always)]
        fn header(&self) -> &Header {
            // SAFETY: `new` wrote the header, which lives as long as the region; everything in it
            // that changes is atomic.
            unsafe { self.region.0.base().cast::<Header>().as_ref() }
        }

        /// Bytes of data.
        #[inline(always)]
        pub fn capacity(&self) -> u64 {
            self.capacity
        }

        #[inline(always)]
        pub(in crate::ring) fn tail(&self) -> &AtomicU64 {
            &self.header().tail
        }

        #[inline(always)]
        pub(in crate::ring) fn head(&self) -> &AtomicU64 {
            &self.header().head
        }

        /// The same for the producer.
        pub(in crate::ring) fn view(&self) -> View {
            View { base: self.region.0.base(), mask: self.capacity - 1 }
        }

        /// Where the byte at `position` is kept.
        #[inline(always)]
        pub(in crate::ring) fn at(&self, position: u64) -> *mut u8 {
            self.view().at(position)
        }

        /// Writes the word at `position`.
        ///
        /// # Safety
        /// Only the producer may call it, for a position it has reserved.
        #[inline(always)]
        pub(in crate::ring) unsafe fn write_word(&self, position: u64, word: u64) {
            debug_assert!(position.is_multiple_of(8));
            // SAFETY: inside the region, aligned as positions are multiples of 8; the caller
            // holds the reservation.
            unsafe { self.at(position).cast::<u64>().write(word) };
        }

        /// Reads the word at `position`.
        ///
        /// # Safety
        /// Only the consumer may call it, for a position that is published and not released.
        #[inline(always)]
        pub(in crate::ring) unsafe fn read_word(&self, position: u64) -> u64 {
            // SAFETY: as for `write_word`; the caller holds the published range.
            unsafe { self.at(position).cast::<u64>().read() }
        }
    }
}

#[cfg(coati_loom)]
mod model {
    //! One cell per word, so that loom sees which words race and which do not.

    use crate::sync::UnsafeCell;
    use crate::sync::atomic::AtomicU64;

    /// Nothing: under loom a ring's words are cells.
    #[derive(Debug)]
    pub struct Region;

    /// Words in cells.
    #[derive(Debug)]
    pub struct Storage {
        cells: Vec<UnsafeCell<u64>>,
        tail: AtomicU64,
        head: AtomicU64,
    }

    /// Nothing: cells are found through the storage.
    #[derive(Debug)]
    pub(in crate::ring) struct View;

    impl Storage {
        /// A ring of `capacity` bytes; any power of two from 8, so that models stay small.
        pub fn new(_region: Region, capacity: usize) -> Self {
            assert!(capacity.is_power_of_two() && capacity >= 8);
            let cells = (0..capacity / 8).map(|_| UnsafeCell::new(0)).collect();
            Self { cells, tail: AtomicU64::new(0), head: AtomicU64::new(0) }
        }

        /// Bytes of data.
        pub fn capacity(&self) -> u64 {
            self.cells.len() as u64 * 8
        }

        pub(in crate::ring) fn tail(&self) -> &AtomicU64 {
            &self.tail
        }

        pub(in crate::ring) fn head(&self) -> &AtomicU64 {
            &self.head
        }

        pub(in crate::ring) fn view(&self) -> View {
            View
        }

        fn cell(&self, position: u64) -> &UnsafeCell<u64> {
            &self.cells[(position / 8) as usize & (self.cells.len() - 1)]
        }

        pub(in crate::ring) unsafe fn write_word(&self, position: u64, word: u64) {
            // SAFETY: loom checks that nobody else reads or writes this cell meanwhile.
            self.cell(position).with_mut(|cell| unsafe { *cell = word });
        }

        pub(in crate::ring) unsafe fn read_word(&self, position: u64) -> u64 {
            // SAFETY: loom checks that nobody writes this cell meanwhile.
            self.cell(position).with(|cell| unsafe { *cell })
        }
    }
}
