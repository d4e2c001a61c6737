/* Counts lines and words of a source tree with several threads, and records how that went.
 *
 *     codestats [--threads N] [--out DIR] DIRECTORY
 *
 * DIR (codestats-out) receives codestats.jsonl, a log line per file and a span per file and
 * directory, metrics.prom and health.json. One thread walks the tree, the others read files; a
 * directory's span is the parent of its files' spans, whatever thread they are made on, and ends
 * when the last of its files is done.
 */

#include <algorithm>
#include <cctype>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "coati.hpp"

namespace fs = std::filesystem;

namespace {

struct options {
    fs::path tree;
    fs::path out = "codestats-out";
    unsigned threads = std::max(1u, std::thread::hardware_concurrency());
};

struct counts {
    std::uint64_t files = 0, lines = 0, words = 0, bytes = 0;

    counts &operator+=(const counts &other) {
        files += other.files;
        lines += other.lines;
        words += other.words;
        bytes += other.bytes;
        return *this;
    }
};

using table = std::map<std::string, counts>;

/// A directory lives as long as something below it is not done; so does its span.
struct directory {
    std::shared_ptr<directory> parent;
    coati::span span;
};

struct task {
    fs::path path;
    std::shared_ptr<directory> parent;
};

/// Work for the readers. The walker waits while there is much, so few directories are open at once.
class queue {
public:
    void push(task one) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return tasks_.size() < 1024; });
        tasks_.push_back(std::move(one));
        work_.notify_one();
    }

    std::optional<task> pop() {
        std::unique_lock lock(mutex_);
        work_.wait(lock, [this] { return closed_ || !tasks_.empty(); });
        if (tasks_.empty()) return std::nullopt;
        task one = std::move(tasks_.front());
        tasks_.pop_front();
        room_.notify_one();
        return one;
    }

    void close() {
        std::lock_guard lock(mutex_);
        closed_ = true;
        work_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable work_, room_;
    std::deque<task> tasks_;
    bool closed_ = false;
};

std::string extension(const fs::path &path) {
    std::string name = path.extension().string();
    return name.empty() ? "(none)" : name;
}

/// What a text holds; lines as `wc` counts them.
counts count(const std::string &text) {
    counts result{1, 0, 0, text.size()};
    bool in_word = false;
    for (unsigned char c : text) {
        result.lines += c == '\n';
        bool space = std::isspace(c) != 0;
        result.words += in_word && space;
        in_word = !space;
    }
    result.words += in_word;
    return result;
}

/// The instruments of one extension.
struct instruments {
    coati::counter files, lines, words, bytes;
    coati::histogram duration, length;

    instruments(const coati::engine &engine, const std::string &extension) {
        const std::vector<coati::field> labels{{"extension", extension}};
        files = engine.counter("codestats.files", "1", "Files read", labels);
        lines = engine.counter("codestats.lines", "1", "Lines counted", labels);
        words = engine.counter("codestats.words", "1", "Words counted", labels);
        bytes = engine.counter("codestats.size", "By", "Bytes read", labels);
        duration = engine.histogram("codestats.file.duration", "ms", "Time per file", labels);
        length = engine.histogram("codestats.file.lines", "1", "Lines per file", labels,
                                  {10, 100, 1000, 10000});
    }
};

/// Reads files until the queue is closed.
class reader {
public:
    reader(const coati::engine &engine, unsigned number)
        : engine_(engine), number_(number), log_(engine.logger("codestats.reader")),
          tracer_(engine.tracer("codestats.reader")) {}

    void run(queue &tasks) {
        log_.debug("reader starts", {{"reader", number_}});
        while (auto one = tasks.pop()) read(*one);
        log_.debug("reader ends", {{"reader", number_}, {"extensions", results_.size()}});
    }

    const table &results() const { return results_; }

private:
    void read(const task &one) {
        const auto start = std::chrono::steady_clock::now();
        const std::string path = one.path.string();
        auto span = tracer_.span("read file", one.parent->span.context(), {{"path", path}});

        std::ifstream file(one.path, std::ios::binary);
        std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        if (!file) {
            log_.warning("cannot read", {{"path", path}});
            span.set_status(coati::span_status::error, "cannot read");
            return;
        }
        if (text.find('\0') != std::string::npos) {
            log_.debug("not text", {{"path", path}, {"bytes", text.size()}});
            span.add_event("skipped", {{"reason", "not text"}});
            return;
        }
        const counts found = count(text);
        const std::string kind = extension(one.path);
        results_[kind] += found;

        auto known = instruments_.find(kind);
        if (known == instruments_.end()) {
            known = instruments_.emplace(kind, instruments(engine_, kind)).first;
        }
        const instruments &of_kind = known->second;
        of_kind.files.add();
        of_kind.lines.add(static_cast<double>(found.lines));
        of_kind.words.add(static_cast<double>(found.words));
        of_kind.bytes.add(static_cast<double>(found.bytes));
        of_kind.length.record(static_cast<double>(found.lines));
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - start;
        of_kind.duration.record(took.count());

        span.set_attributes({{"lines", found.lines}, {"words", found.words}});
        log_.info("counted", {{"path", path}, {"lines", found.lines}, {"words", found.words}});
    }

    const coati::engine &engine_;
    unsigned number_;
    coati::logger log_;
    coati::tracer tracer_;
    std::map<std::string, instruments> instruments_;
    table results_;
};

/// Walks the tree, depth first.
class walker {
public:
    walker(const coati::engine &engine, queue &tasks)
        : log_(engine.logger("codestats.walker")), tracer_(engine.tracer("codestats.walker")),
          waiting_(engine.up_down_counter("codestats.directories", "1", "Directories being walked")),
          tasks_(tasks) {}

    void walk(const fs::path &path, std::shared_ptr<directory> parent) {
        waiting_.add(1);
        auto here = std::make_shared<directory>();
        const coati::context above = parent->span.context();
        here->span = tracer_.start_span("directory", above, {{"path", path.string()}});
        here->parent = std::move(parent);

        // Current while this thread is at it: the log line below carries its ids.
        const auto current = here->span.attach();
        std::error_code failed;
        std::vector<fs::directory_entry> entries;
        for (fs::directory_iterator i(path, failed), end; !failed && i != end; i.increment(failed)) {
            entries.push_back(*i);
        }
        if (failed) {
            log_.warning("cannot list", {{"path", path.string()}, {"reason", failed.message()}});
            here->span.set_status(coati::span_status::error, failed.message());
        }
        std::sort(entries.begin(), entries.end());
        log_.debug("directory", {{"path", path.string()}, {"entries", entries.size()}});
        for (const auto &entry : entries) {
            const fs::file_status kind = entry.symlink_status(failed);
            if (fs::is_directory(kind)) walk(entry.path(), here);
            if (fs::is_regular_file(kind)) tasks_.push({entry.path(), here});
        }
        waiting_.add(-1);
    }

private:
    coati::logger log_;
    coati::tracer tracer_;
    coati::up_down_counter waiting_;
    queue &tasks_;
};

std::string json_string(const std::string &text) {
    std::string quoted = "\"";
    for (char c : text) {
        char escaped[8];
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
            quoted += escaped;
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

std::string configuration(const fs::path &records) {
    return R"({
        "service": "codestats",
        "logs": {"level": "debug"},
        "ring": {"overflow": "block", "block_ms": 60000},
        "sinks": [
            {"type": "file", "path": )" + json_string(records.string()) + R"(, "level": "debug"},
            {"type": "console", "level": "warning", "signals": ["logs"]}
        ]
    })";
}

void print(const table &results) {
    std::vector<std::pair<std::string, counts>> rows(results.begin(), results.end());
    std::sort(rows.begin(), rows.end(),
              [](const auto &a, const auto &b) { return a.second.lines > b.second.lines; });
    counts total;
    for (const auto &row : rows) total += row.second;
    rows.emplace_back("total", total);
    std::printf("%-16s %10s %12s %12s %14s\n", "extension", "files", "lines", "words", "bytes");
    for (const auto &[name, row] : rows) {
        std::printf("%-16s %10llu %12llu %12llu %14llu\n", name.c_str(),
                    static_cast<unsigned long long>(row.files),
                    static_cast<unsigned long long>(row.lines),
                    static_cast<unsigned long long>(row.words),
                    static_cast<unsigned long long>(row.bytes));
    }
}

bool print(const char *name, const coati::ledger &books) {
    std::printf("%-6s %llu recorded, %llu delivered, %llu dropped\n", name,
                static_cast<unsigned long long>(books.recorded),
                static_cast<unsigned long long>(books.delivered),
                static_cast<unsigned long long>(books.dropped));
    return books.recorded == books.delivered + books.dropped;
}

bool write(const fs::path &path, const std::string &text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    return static_cast<bool>(file.flush());
}

int run(const options &options) {
    fs::create_directories(options.out);
    const fs::path records = options.out / "codestats.jsonl";
    const fs::path metrics = options.out / "metrics.prom";
    const fs::path health = options.out / "health.json";
    fs::remove(records);

    const coati::engine engine{configuration(records)};
    engine.gauge("codestats.threads", "1", "Reading threads").set(options.threads);
    table results;
    {
        auto root = std::make_shared<directory>();
        root->span = engine.tracer("codestats").start_span(
            "codestats", coati::context(), {{"tree", options.tree.string()}});
        queue tasks;
        std::vector<std::unique_ptr<reader>> readers;
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < options.threads; i++) {
            readers.push_back(std::make_unique<reader>(engine, i));
            threads.emplace_back(&reader::run, readers.back().get(), std::ref(tasks));
        }
        walker(engine, tasks).walk(options.tree, root);
        tasks.close();
        for (auto &thread : threads) thread.join();
        for (const auto &reader : readers) {
            for (const auto &[name, found] : reader->results()) results[name] += found;
        }
    }
    bool written = write(metrics, engine.prometheus_text());
    const coati_status stopped = engine.shutdown(std::chrono::seconds(60));
    written &= write(health, engine.health());

    print(results);
    bool balanced = print("logs", engine.ledger(coati::signal::logs));
    balanced &= print("spans", engine.ledger(coati::signal::spans));
    std::cout << "records: " << records.string() << "\nmetrics: " << metrics.string()
              << "\nhealth:  " << health.string() << std::endl;
    if (!written || !balanced || stopped != COATI_OK) {
        std::cerr << "codestats: not everything was written: " << coati_status_str(stopped) << "\n";
        return 1;
    }
    return 0;
}

int usage(const std::string &what) {
    std::cerr << "codestats: " << what << "; usage: codestats [--threads N] [--out DIR] DIRECTORY\n";
    return 2;
}

} // namespace

int main(int argc, char **argv) {
    options options;
    for (int i = 1; i < argc; i++) {
        const std::string argument = argv[i];
        const bool has_value = argument == "--threads" || argument == "--out";
        if (has_value && ++i == argc) return usage(argument + " needs a value");
        if (argument == "--threads") {
            char *end = nullptr;
            const unsigned long threads = std::strtoul(argv[i], &end, 10);
            if (*end != '\0' || threads < 1 || threads > 1024) {
                return usage("--threads is 1 to 1024");
            }
            options.threads = static_cast<unsigned>(threads);
        } else if (argument == "--out") {
            options.out = argv[i];
        } else if (argument.rfind("--", 0) == 0) {
            return usage("unknown option " + argument);
        } else if (options.tree.empty()) {
            options.tree = argument;
        } else {
            return usage("one directory only");
        }
    }
    if (options.tree.empty()) return usage("which directory?");
    if (!fs::is_directory(options.tree)) return usage(options.tree.string() + " is no directory");
    try {
        return run(options);
    } catch (const std::exception &error) {
        std::cerr << "codestats: " << error.what() << "\n";
        return 1;
    }
}
