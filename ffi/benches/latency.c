/* How long single log calls take from C, by the processor's counter around each, while the drain
 * writes into a file: one JSON object a line.
 *
 *     latency FILE [CALLS]
 */

#include <pthread.h>
#include <sched.h>

#include "bench.h"

/* As in the Rust program: more than half a ring under way, less than one with a burst of each. */
enum { BURST = 500, UNDER_WAY = 7000, WARM_UP = 10000, PRODUCERS = 4, TIMER = 100000 };

struct producer {
    size_t calls;
    uint64_t *costs;
    double cpu;
    pthread_t thread;
};

static double cpu_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static inline uint64_t ticks_before(void) {
    _mm_lfence();
    uint64_t ticks = __rdtsc();
    _mm_lfence();
    return ticks;
}

static inline uint64_t ticks_after(void) {
    unsigned processor;
    uint64_t ticks = __rdtscp(&processor);
    _mm_lfence();
    return ticks;
}

static void *produce(void *argument) {
    struct producer *producer = argument;
    double cpu = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < producer->calls; i++) {
        uint64_t begin = ticks_before();
        log_3_fields((int)i);
        producer->costs[i] = ticks_after() - begin;
        if (i % BURST == BURST - 1)
            while (ledger(COATI_LOGS).in_flight > UNDER_WAY) sched_yield();
    }
    producer->cpu = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
    return NULL;
}

static int compare_ticks(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t timer_alone(void) {
    static uint64_t costs[TIMER];
    for (int i = 0; i < TIMER; i++) {
        uint64_t begin = ticks_before();
        costs[i] = ticks_after() - begin;
    }
    qsort(costs, TIMER, sizeof *costs, compare_ticks);
    return costs[TIMER / 2];
}

/* The steps in which the counter moves: many machines' are larger than one tick. */
static uint64_t step(const uint64_t *sorted, size_t n) {
    uint64_t step = 0;
    for (size_t i = 1; i < n; i++) {
        uint64_t rest = sorted[i] - sorted[i - 1];
        while (rest) {
            uint64_t next = step % rest;
            step = rest;
            rest = next;
        }
    }
    return step;
}

static void run(size_t producers, size_t calls) {
    struct producer all[PRODUCERS];
    uint64_t *costs = malloc((calls * producers + WARM_UP * producers) * sizeof *costs);
    if (!costs) exit(1);
    double own = 0, wall = now(), cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t ticks = ticks_before();
    for (size_t i = 0; i < producers; i++) {
        all[i].calls = calls + WARM_UP;
        all[i].costs = costs + i * all[i].calls;
        memset(all[i].costs, 0, all[i].calls * sizeof *costs);
        if (pthread_create(&all[i].thread, NULL, produce, &all[i])) exit(1);
    }
    for (size_t i = 0; i < producers; i++) {
        pthread_join(all[i].thread, NULL);
        own += all[i].cpu;
    }
    ticks = ticks_after() - ticks;
    wall = now() - wall;
    cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu - own;
    /* Moves what counts together. */
    for (size_t i = 0; i < producers; i++)
        memmove(costs + i * calls, all[i].costs + WARM_UP, calls * sizeof *costs);
    size_t n = calls * producers;
    qsort(costs, n, sizeof *costs, compare_ticks);
    uint64_t timer = timer_alone();
    double ns = wall / (double)ticks;
#define NET(ticks) ((ticks) > timer ? (double)((ticks) - timer) * ns : 0.0)
#define AT(share) NET(costs[(size_t)((double)(n - 1) * (share))])
    printf("{\"latency\": \"C\", \"producers\": %zu, \"calls\": %zu, \"timer_ns\": %.1f, "
           "\"step_ns\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, \"drain_busy\": %.2f}\n",
           producers, n, (double)timer * ns, (double)step(costs, n) * ns, AT(0.5), AT(0.99), AT(0.999), AT(1.0), cpu / wall);
    free(costs);
}

int main(int argc, char **argv) {
    size_t calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    if (argc < 2 || calls < PRODUCERS) {
        fprintf(stderr, "usage: latency FILE [CALLS]\n");
        return 2;
    }
    start(argv[1]);
    run(1, calls);
    run(PRODUCERS, calls / PRODUCERS);
    uint64_t dropped = stop();
    if (dropped) fprintf(stderr, "%llu dropped\n", (unsigned long long)dropped);
    return dropped ? 1 : 0;
}
