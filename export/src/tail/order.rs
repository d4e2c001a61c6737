//! Traces in an order, without memory of its own: each tells its neighbours.

/// No trace.
pub const NONE: u32 = u32::MAX;

/// Where a trace stands in an order.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    before: u32,
    behind: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { before: NONE, behind: NONE }
    }
}

/// The two ends of an order.
#[derive(Debug)]
pub struct Order {
    first: u32,
    last: u32,
}

impl Default for Order {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl Order {
    /// The first one.
    pub fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Puts `slot` last; `link` finds the link of this order in a slot.
    pub fn push<T>(&mut self, all: &mut [T], slot: u32, link: impl Fn(&mut T) -> &mut Link) {
        *link(&mut all[slot as usize]) = Link { before: self.last, behind: NONE };
        match self.last {
            NONE => self.first = slot,
            last => link(&mut all[last as usize]).behind = slot,
        }
        self.last = slot;
    }

    /// Takes `slot` out.
    pub fn remove<T>(&mut self, all: &mut [T], slot: u32, link: impl Fn(&mut T) -> &mut Link) {
        let Link { before, behind } = std::mem::take(link(&mut all[slot as usize]));
        match before {
            NONE => self.first = behind,
            before => link(&mut all[before as usize]).behind = behind,
        }
        match behind {
            NONE => self.last = before,
            behind => link(&mut all[behind as usize]).before = before,
        }
    }
}
