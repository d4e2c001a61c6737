//! One signal's way to its receiver: one request at a time, in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coati_core::ledger::Reason;

use super::backoff::Backoff;
use super::books::Books;
use super::client::{self, Client, Outcome};
use super::compose::{Encoding, Resource, Scope, compose};
use super::metrics::Collector;
use super::queue::{Chunk, Due, Queue};
use super::signal::Signal;
use super::split::split;
use super::spool::{Content, Entry, Spool, Stamp};
use crate::settle::{self, Share};

/// What a lane is made of.
pub struct Parts {
    pub signal: Signal,
    pub queue: Arc<Queue>,
    pub client: Client,
    pub resource: Resource,
    pub spool: Option<Rc<RefCell<Spool>>>,
    pub collector: Option<Collector>,
    pub books: Books,
    pub backoff: Backoff,
    pub breaker_failures: u32,
    pub export_timeout: Duration,
}

/// One signal's way.
pub struct Lane {
    parts: Parts,
    /// The requests at hand: one, or the pieces of one that was too large.
    current: VecDeque<Request>,
    made: u64,
    gzip: bool,
    /// The last flush for which a pause was cut short.
    hurried_for: u64,
    /// Whether health shows a problem of this lane's.
    troubled: bool,
}

/// A request on its way.
struct Request {
    body: Bytes,
    /// The same compressed, once it has been.
    packed: Option<Bytes>,
    encoding: Encoding,
    records: u64,
    shares: Vec<Share>,
    /// Chunks that are finished with it.
    chunks: u64,
    stamp: Stamp,
    /// Its file, where it comes from the spool.
    entry: Option<Entry>,
    /// Part of a request that was too large.
    is_piece: bool,
    first_try: Option<Instant>,
}

impl Lane {
    /// A lane that has sent nothing yet.
    pub fn new(parts: Parts) -> Self {
        let gzip = parts.client.receiver().gzip;
        let current = VecDeque::new();
        Self { parts, current, made: 0, gzip, hurried_for: 0, troubled: false }
    }

    /// Sends until it is told to stop and nothing is left, or no time.
    pub async fn run(mut self) {
        loop {
            let stopping = self.parts.queue.stopping();
            let collected = self.collect();
            self.relieve();
            if self.current.is_empty() {
                self.refill();
            }
            if stopping.is_some_and(|deadline| deadline <= Instant::now()) {
                return self.leave();
            }
            if self.current.is_empty() {
                match stopping {
                    // What has just been collected is looked at once more.
                    Some(_) if collected => {}
                    Some(_) => return,
                    None => self.sleep(None).await,
                }
                continue;
            }
            if let Some(at) = self.parts.backoff.retry_at() {
                if !self.is_hurried() {
                    self.sleep(Some(at)).await;
                    continue;
                }
                if self.has_spool() {
                    self.park_all();
                    if stopping.is_some() {
                        return;
                    }
                    self.sleep(Some(at)).await;
                    continue;
                }
                if !self.may_hurry() {
                    self.sleep(Some(at)).await;
                    continue;
                }
                self.parts.backoff.hurry();
            }
            self.attempt().await;
        }
    }

    fn has_spool(&self) -> bool {
        self.parts.spool.is_some()
    }

    fn is_hurried(&self) -> bool {
        self.parts.queue.is_hurried(self.parts.signal)
    }

    /// Whether a flush may cut the pause short: each one once.
    fn may_hurry(&mut self) -> bool {
        let wanted = self.parts.queue.wanted(self.parts.signal);
        std::mem::replace(&mut self.hurried_for, wanted) < wanted
    }

    /// Sleeps until there is something new, or `until`, or what waits is due.
    async fn sleep(&mut self, until: Option<Instant>) {
        let due = match until {
            // Nothing is taken out while requests are at hand.
            Some(_) => None,
            None => match self.parts.queue.due(self.parts.signal) {
                Due::Now(chunks) => return self.take_in(chunks),
                Due::Later(at) => at,
            },
        };
        let collection = self.parts.collector.as_ref().map(Collector::due);
        let stop = self.parts.queue.stopping();
        let first = [until, due, collection, stop].into_iter().flatten().min();
        let bell = self.parts.queue.bell(self.parts.signal).notified();
        match first {
            Some(at) => drop(tokio::time::timeout_at(at.into(), bell).await),
            None => bell.await,
        }
    }

    /// Reads the metrics when it is time; whether it did.
    fn collect(&mut self) -> bool {
        let Parts { collector, queue, books, signal, .. } = &mut self.parts;
        let Some(collector) = collector else { return false };
        let wanted = queue.collection_wanted();
        if wanted.is_none() && collector.due() > Instant::now() {
            return false;
        }
        let (chunks, points) = collector.collect(queue.limits(*signal));
        books.count("data_points", points);
        for chunk in chunks {
            if queue.push(*signal, chunk).is_err() {
                books.problem(signal.name(), "no room for metrics", 0);
            }
        }
        if let Some(upto) = wanted {
            queue.collected(upto);
        }
        true
    }

    /// With a spool, what waits goes there when the receiver is gone or the room gets small.
    fn relieve(&mut self) {
        let Parts { signal, queue, backoff, breaker_failures, .. } = &self.parts;
        if !self.has_spool() {
            return;
        }
        let gone = backoff.failures() >= (*breaker_failures).max(1);
        if gone {
            self.park_all();
        } else if queue.is_crowded(*signal) {
            self.park_queue();
        }
    }

    /// Takes the oldest request there is.
    fn refill(&mut self) {
        let signal = self.parts.signal;
        let spooled = self.parts.spool.as_ref().and_then(|spool| spool.borrow_mut().take(signal));
        if let Some((mut entry, content)) = spooled {
            self.current.push_back(Request {
                body: content.body.into(),
                packed: None,
                encoding: content.encoding,
                records: content.records,
                shares: entry.take_shares(),
                chunks: 0,
                stamp: entry.stamp(),
                entry: Some(entry),
                is_piece: false,
                first_try: None,
            });
        } else if let Due::Now(chunks) = self.parts.queue.due(signal) {
            self.take_in(chunks);
        }
    }

    fn take_in(&mut self, chunks: Vec<Chunk>) {
        if !chunks.is_empty() {
            let request = self.request(chunks);
            self.current.push_back(request);
        }
    }

    fn request(&mut self, chunks: Vec<Chunk>) -> Request {
        self.made += 1;
        let scopes: Vec<&Scope> = chunks.iter().flat_map(|chunk| &chunk.scopes).collect();
        Request {
            body: compose(self.parts.signal, &self.parts.resource, &scopes).into(),
            packed: None,
            encoding: self.parts.resource.encoding(),
            records: chunks.iter().map(|chunk| chunk.records).sum(),
            stamp: Stamp::now(self.made),
            entry: None,
            is_piece: false,
            first_try: None,
            chunks: chunks.len() as u64,
            shares: chunks.into_iter().flat_map(|chunk| chunk.shares).collect(),
        }
    }

    /// Sends the first request at hand, once.
    async fn attempt(&mut self) {
        let Some(request) = self.current.front_mut() else { return };
        request.first_try.get_or_insert_with(Instant::now);
        let body = if self.gzip {
            request.packed.get_or_insert_with(|| client::gzip(&request.body)).clone()
        } else {
            request.body.clone()
        };
        let encoding = request.encoding;
        self.parts.books.count("requests", 1);
        let (client, queue) = (&mut self.parts.client, &self.parts.queue);
        let outcome = tokio::select! {
            outcome = client.send(body, encoding, self.gzip) => outcome,
            () = no_time_left(queue, self.parts.signal) => {
                Outcome::Failed { message: "no time left".into(), after: None }
            }
        };
        match outcome {
            Outcome::Accepted { rejected, message } => self.accepted(rejected, &message),
            Outcome::Refused(message) => {
                self.parts.backoff.succeeded();
                self.settle_first(u64::MAX, Reason::Rejected, Some(&message));
            }
            Outcome::TooLarge(message) => self.too_large(&message),
            Outcome::NotCompressed => self.gzip = false,
            Outcome::Failed { message, after } => self.failed(&message, after),
        }
    }

    fn accepted(&mut self, rejected: u64, message: &str) {
        self.parts.backoff.succeeded();
        if rejected > 0 {
            return self.settle_first(rejected, Reason::Rejected, Some(message));
        }
        self.settle_first(0, Reason::Rejected, (!message.is_empty()).then_some(message));
    }

    /// The first request at hand is settled: of its records `lost` did not arrive.
    fn settle_first(&mut self, lost: u64, reason: Reason, said: Option<&str>) {
        let Some(request) = self.current.pop_front() else { return };
        let Parts { signal, books, queue, spool, .. } = &self.parts;
        // Rejected items of a metric are points, of which it has more than one.
        let lost = lost.min(request.records);
        if signal.account().is_some() {
            books.settle(request.shares, request.records, lost, reason);
        }
        if let Some(message) = said {
            books.problem(
                signal.name(),
                message,
                if signal.account().is_some() { lost } else { 0 },
            );
            self.troubled = true;
        } else if std::mem::take(&mut self.troubled) {
            books.solved();
        }
        if let (Some(entry), Some(spool)) = (request.entry, spool) {
            spool.borrow_mut().remove(entry);
        }
        queue.finish(*signal, request.chunks);
    }

    /// Makes two requests of one.
    fn too_large(&mut self, message: &str) {
        let signal = self.parts.signal;
        let Some(request) = self.current.front() else { return };
        let Some([(first, count), (second, _)]) = split(signal, request.encoding, &request.body)
        else {
            self.parts.backoff.succeeded();
            return self.settle_first(u64::MAX, Reason::Rejected, Some(message));
        };
        let Some(mut whole) = self.current.pop_front() else { return };
        self.parts.books.count("splits", 1);
        // Pieces have names of their own, should they come to the spool.
        let mut piece = |body: Vec<u8>, records, shares| {
            self.made += 1;
            Request {
                body: body.into(),
                packed: None,
                encoding: whole.encoding,
                records,
                shares,
                chunks: 0,
                stamp: whole.stamp.with_number(self.made),
                entry: None,
                is_piece: true,
                first_try: whole.first_try,
            }
        };
        let front = settle::take(&mut whole.shares, count);
        let first = piece(first, count, front);
        let mut last = piece(second, whole.records.saturating_sub(count), whole.shares);
        // What the whole had to finish and to remove goes with its last piece.
        (last.chunks, last.entry) = (whole.chunks, whole.entry);
        self.current.push_front(last);
        self.current.push_front(first);
    }

    fn failed(&mut self, message: &str, after: Option<Duration>) {
        self.parts.backoff.failed(after);
        self.parts.books.problem(self.parts.signal.name(), message, 0);
        self.parts.books.count("retries", 1);
        self.troubled = true;
        let tried = self.current.front().and_then(|request| request.first_try);
        if tried.is_none_or(|first| first.elapsed() < self.parts.export_timeout) {
            return;
        }
        if self.has_spool() {
            self.park_current();
        } else {
            self.settle_first(u64::MAX, Reason::Unsent, Some(message));
        }
    }

    /// Puts everything at hand and everything that waits into the spool.
    fn park_all(&mut self) {
        self.park_current();
        self.park_queue();
    }

    fn park_current(&mut self) {
        for mut request in std::mem::take(&mut self.current) {
            match (request.entry.take(), &self.parts.spool) {
                // Its file holds just this.
                (Some(mut entry), Some(spool)) if !request.is_piece => {
                    entry.set_shares(request.shares);
                    spool.borrow_mut().put_back(self.parts.signal, entry);
                }
                // A piece gets a file of its own before the file of the whole goes.
                (entry, _) => {
                    request.entry = entry;
                    self.park(request);
                }
            }
        }
    }

    fn park_queue(&mut self) {
        loop {
            let chunks = self.parts.queue.take(self.parts.signal);
            if chunks.is_empty() {
                return;
            }
            let request = self.request(chunks);
            self.park(request);
        }
    }

    fn park(&mut self, request: Request) {
        let Parts { signal, books, queue, spool, .. } = &self.parts;
        let Some(spool) = spool else { return };
        let content = Content {
            signal: *signal,
            encoding: request.encoding,
            records: request.records,
            body: request.body.into(),
        };
        let put = spool.borrow_mut().put(request.stamp, &content, request.shares);
        if let Err((error, shares)) = put {
            books.problem("spool", &error.to_string(), 0);
            books.lose(shares, request.records, Reason::Spool);
        }
        if let Some(entry) = request.entry {
            spool.borrow_mut().remove(entry);
        }
        queue.finish(*signal, request.chunks);
    }

    /// The end: what is left goes to the spool, or is lost.
    fn leave(&mut self) {
        if self.has_spool() {
            return self.park_all();
        }
        loop {
            while !self.current.is_empty() {
                self.settle_first(u64::MAX, Reason::Unsent, Some("no time left"));
            }
            let chunks = self.parts.queue.take(self.parts.signal);
            if chunks.is_empty() {
                return;
            }
            self.take_in(chunks);
        }
    }
}

/// Ends when the exporter is to end and has no time left.
async fn no_time_left(queue: &Queue, signal: Signal) {
    loop {
        match queue.stopping() {
            Some(deadline) => return tokio::time::sleep_until(deadline.into()).await,
            None => queue.bell(signal).notified().await,
        }
    }
}
