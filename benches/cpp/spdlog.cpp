// spdlog's asynchronous logger beside the engine: one JSON object a line.
//
//     spdlog FILE [ROUNDS [RECORDS [RUNS]]]
//
// FILE takes the lines. Callers wait while the queue is full, and the lines are counted.

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <time.h>

namespace {

constexpr size_t queue = 32768;  // Four times the default: room for a round.
constexpr size_t calls = 4000;   // What a round of ours has.

double seconds(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct pipe_line {
    std::shared_ptr<spdlog::details::thread_pool> pool =
        std::make_shared<spdlog::details::thread_pool>(queue, 1);
    std::shared_ptr<spdlog::async_logger> logger;

    explicit pipe_line(const std::string &path) {
        // One thread writes: a sink without a lock.
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(path, true);
        logger = std::make_shared<spdlog::async_logger>("bench", sink, pool,
                                                        spdlog::async_overflow_policy::block);
        logger->set_pattern(R"({"timestamp":"%Y-%m-%dT%H:%M:%S.%FZ","level":"%l",)"
                            R"("logger":"%n",%v,"service":"bench"})",
                            spdlog::pattern_time_type::utc);
    }

    void log(size_t i) {
        logger->info(R"("message":"plan ready","steps":{},"model":"{}","cost":{})", i, "gpt-4o",
                     0.25);
    }

    // Writes what is queued; nothing may have been overwritten.
    void close() {
        size_t overrun = pool->overrun_counter();
        logger.reset();
        pool.reset();
        if (overrun > 0) {
            std::fprintf(stderr, "spdlog dropped %zu\n", overrun);
            std::exit(1);
        }
    }
};

size_t lines(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> block(1 << 20);
    size_t count = 0;
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0)
        count += static_cast<size_t>(
            std::count(block.begin(), block.begin() + file.gcount(), '\n'));
    return count;
}

void expect(const std::string &path, size_t expected) {
    if (size_t found = lines(path); found != expected) {
        std::fprintf(stderr, "spdlog: %zu lines of %zu\n", found, expected);
        std::exit(1);
    }
}

void print(const char *row, const char *unit, double best, std::vector<double> figures,
           const char *note) {
    std::sort(figures.begin(), figures.end());
    std::printf("{\"row\": \"%s\", \"name\": \"spdlog async\", \"kind\": \"peer\", "
                "\"unit\": \"%s\", \"min\": %.3f, \"median\": %.3f, \"rounds\": %zu, "
                "\"drops\": 0, \"note\": \"%s\"}\n",
                row, unit, best, figures[figures.size() / 2], figures.size(), note);
}

// What a caller waits for a call while the queue has room.
void call_costs(const std::string &path, int rounds) {
    pipe_line line(path);
    std::vector<double> costs;
    for (int round = 0; round <= rounds; round++) {
        while (line.pool->queue_size() > 0) std::this_thread::yield();
        double begin = seconds(CLOCK_MONOTONIC);
        for (size_t i = 0; i < calls; i++) line.log(i);
        double cost = (seconds(CLOCK_MONOTONIC) - begin) / calls * 1e9;
        if (round > 0) costs.push_back(cost);  // The first one warms up.
    }
    line.close();
    expect(path, calls * static_cast<size_t>(rounds + 1));
    double best = *std::min_element(costs.begin(), costs.end());
    for (const char *row : {"rust_log", "rust_log_drain", "c_log", "c_log_drain"})
        print(row, "ns", best, costs, "formats in the caller, its own thread writes to a file");
}

struct figures {
    std::vector<double> speed, cpu;
};

void run(const std::string &path, size_t producers, size_t records, figures &figures) {
    pipe_line line(path);
    double begin = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    std::vector<std::thread> threads;
    for (size_t producer = 0; producer < producers; producer++)
        threads.emplace_back([&] {
            for (size_t i = 0; i < records / producers; i++) line.log(i);
        });
    for (auto &thread : threads) thread.join();
    line.close();
    double wall = seconds(CLOCK_MONOTONIC) - begin;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    auto written = static_cast<double>(records / producers * producers);
    expect(path, records / producers * producers);
    figures.speed.push_back(written / wall / 1e6);
    figures.cpu.push_back(cpu / written * 1e9);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: spdlog FILE [ROUNDS [RECORDS [RUNS]]]\n");
        return 2;
    }
    const std::string path = argv[1];
    int rounds = argc > 2 ? std::atoi(argv[2]) : 101;
    size_t records = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1000000;
    int runs = argc > 4 ? std::atoi(argv[4]) : 5;
    call_costs(path, rounds);
    figures one, four;
    for (int i = 0; i < runs; i++) {
        run(path, 1, records, one);
        run(path, 4, records, four);
    }
    for (auto [figures, speed, cpu] : {std::tuple{&one, "drain_file", "drain_file_cpu"},
                                       std::tuple{&four, "drain_file_4p", "drain_file_4p_cpu"}}) {
        auto &[speeds, cpus] = *figures;
        print(speed, "M/s", *std::max_element(speeds.begin(), speeds.end()), speeds,
              "callers wait while the queue is full");
        print(cpu, "ns", *std::min_element(cpus.begin(), cpus.end()), cpus, "");
    }
}
