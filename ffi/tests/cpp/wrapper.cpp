/* coati.hpp: ownership, currency, fields, failures. Also built with -fno-exceptions. */

#include <memory>
#include <thread>
#include <type_traits>

#include "check.h"
#include "coati.hpp"

namespace {

template <class T>
constexpr bool is_handle = std::is_nothrow_move_constructible_v<T> &&
                           std::is_nothrow_move_assignable_v<T> &&
                           std::is_nothrow_destructible_v<T> &&
                           std::is_nothrow_default_constructible_v<T> &&
                           !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(is_handle<coati::engine> && is_handle<coati::logger> && is_handle<coati::tracer>);
static_assert(is_handle<coati::span> && is_handle<coati::scope> && is_handle<coati::counter>);
static_assert(is_handle<coati::up_down_counter> && is_handle<coati::gauge>);
static_assert(is_handle<coati::histogram>);
#ifndef COATI_NO_EXCEPTIONS
static_assert(std::is_base_of_v<std::runtime_error, coati::error>);
#endif

std::string directory;

std::string config(const std::string &name, const std::string &more = "") {
    std::remove((directory + "/" + name).c_str());
    return R"({"service": "test", )" + more + R"("sinks": [{"type": "file", "path": ")" + directory +
           "/" + name + R"("}]})";
}

std::string lines_of(const std::string &name) {
    char *text = read_file((directory + "/" + name).c_str());
    std::string lines = text;
    std::free(text);
    return lines;
}

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

void fields() {
    const coati::engine engine{config("fields.jsonl")};
    const coati::logger log = engine.logger("fields");
    const std::string owned = "owned";
    const char *none = nullptr;
    log.info("all", {{"int", -1},
                     {"long", std::int64_t{1} << 40},
                     {"unsigned", 7u},
                     {"size", sizeof(int)},
                     {"char", 'c'},
                     {"double", 0.5},
                     {"float", 0.25f},
                     {"bool", true},
                     {"literal", "text"},
                     {"string", owned},
                     {"view", std::string_view(owned).substr(1, 2)},
                     {"temporary", std::string("temporary ") + "that is longer than any small one"},
                     {"null", none}});
    std::vector<coati::field> vector{{"a", 1}};
    vector.emplace_back("b", "2");
    IS(COATI_OK, log.warning("vector", vector));
    IS(COATI_OK, log.error("no braces"));
    IS(COATI_OK, log.critical("empty", {}));
    IS(COATI_OK, log.log(coati::level::info, std::string("temporary message")));
    IS(COATI_BAD_ARGUMENT, log.log(static_cast<coati::level>(200), "no such level"));
    CHECK(log.enabled(coati::level::debug));
    IS(COATI_OK, engine.flush(std::chrono::seconds(120)));
    const std::string lines = lines_of("fields.jsonl");
    CHECK(has(lines, R"("int":-1,"long":1099511627776,"unsigned":7,"size":4,"char":99,"double":0.5,)"
                     R"("float":0.25,"bool":true,"literal":"text","string":"owned","view":"wn",)"
                     R"("temporary":"temporary that is longer than any small one","null":""})"));
    CHECK(has(lines, R"("message":"vector","service":"test","a":1,"b":"2"})"));
}

void spans() {
    const coati::engine engine{config("spans.jsonl")};
    const coati::logger log = engine.logger("spans");
    const coati::tracer tracer = engine.tracer("spans");
    std::string outer_id, inner_id;
    {
        auto outer = tracer.span("outer", {{"depth", 0}});
        outer_id = outer.context().span_id();
        {
            auto inner = tracer.span("inner");
            inner_id = inner.context().span_id();
            CHECK(inner.context().trace_id() == outer.context().trace_id());
            IS(COATI_OK, inner.set_attribute("tokens", 12));
            IS(COATI_OK, inner.set_attribute("model", "gpt-4o"));
            IS(COATI_OK, inner.set_attributes({{"a", 1}, {"b", 2}}));
            IS(COATI_OK, inner.add_event("retry", {{"attempt", 2}}));
            IS(COATI_OK, inner.set_status(coati::span_status::error, "why"));
            log.info("in the inner one");
        }
        log.info("in the outer one");
        IS(COATI_OK, outer.end());
        IS(COATI_ALREADY_ENDED, outer.end());
        log.info("in none");
    }
    {
        // One span ends another's life by assignment; the new one stays current.
        auto span = tracer.span("first");
        span = tracer.span("second");
        log.info("in the second one");
        auto moved = std::move(span);
        IS(COATI_NULL_HANDLE, span.set_attribute("of", "nobody"));
        IS(COATI_OK, moved.set_attribute("moved", true));
    }
    {
        auto handed_over = tracer.start_span("by another thread", coati::context());
        const coati::context parent = handed_over.context();
        std::thread([span = std::move(handed_over), &tracer, &log]() mutable {
            const auto scope = span.attach();
            auto child = tracer.span("child over there");
            log.info("over there");
        }).join();
        auto remote = tracer.span("from a header", coati::context::extract(parent.traceparent()));
        CHECK(remote.context().trace_id() == parent.trace_id());
        CHECK(parent.is_sampled() && !parent.is_remote());
    }
    CHECK(coati::context::extract("nonsense").traceparent().empty());
    {
        coati::propagation over("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1",
                                "k=%C3%A9");
        IS(COATI_OK, over.set_baggage("n", "2"));
        IS(COATI_OK, over.set_tracestate("b", "2"));
        auto span = tracer.span("over the wire", over);
        auto below = tracer.start_span("below", coati::propagation(span));
        const coati::propagation sent(below);
        CHECK(sent.tracestate() == "b=2,a=1" && sent.baggage() == "k=%C3%A9,n=2");
        CHECK(sent.get_baggage("k") == "\xc3\xa9" && !sent.get_baggage("x"));
        CHECK(sent.context().trace_id() == "0af7651916cd43dd8448eb211c80319c");
        CHECK(sent.traceparent() == below.context().traceparent());
        CHECK(coati::propagation("nonsense").traceparent().empty());
        CHECK(coati::propagation().baggage().empty());
    }
    IS(COATI_OK, engine.shutdown(std::chrono::seconds(120)));
    const coati::ledger books = engine.ledger(coati::signal::spans);
    CHECK(books.recorded == 9 && books.delivered == 9);
    const std::string lines = lines_of("spans.jsonl");
    CHECK(has(lines, "\"span_id\":\"" + inner_id + "\",\"parent_span_id\":\"" + outer_id));
    CHECK(has(lines, R"("attributes":{"tokens":12,"model":"gpt-4o","a":1,"b":2})"));
    CHECK(has(lines, R"("message":"in none","service":"test"})"));
    CHECK(has(lines, R"("attributes":{"moved":true})"));
    IS(COATI_STOPPED, tracer.span("too late").status());
    IS(COATI_STOPPED, log.critical("too late"));
}

void metrics() {
    const coati::engine engine{config("metrics.jsonl")};
    const auto counter = engine.counter("runs", "1", "Runs", {{"agent", "a1"}, {"ok", true}});
    counter.add();
    counter.add(2.5);
    IS(COATI_BAD_ARGUMENT, counter.add(-1));
    engine.up_down_counter("level").add(-3);
    engine.gauge("depth", "1").set(4);
    const auto histogram = engine.histogram("sizes", "By", "Sizes", {}, {1, 10, 100});
    for (double value : {0.5, 5.0, 50.0, 500.0}) IS(COATI_OK, histogram.record(value));
    engine.histogram("times", "ms").record(1);
    const std::string text = engine.prometheus_text();
    CHECK(has(text, "runs_total{agent=\"a1\",ok=\"true\"} 3.5\n"));
    CHECK(has(text, "level -3\n") && has(text, "times_milliseconds_count 1\n"));
    CHECK(has(text, "sizes_bytes_count 4\n") && has(engine.health(), "\"ok\":true"));
}

void failures() {
    const coati::engine none;
    IS(COATI_NULL_HANDLE, none.flush());
    IS(COATI_NULL_HANDLE, none.status());
    CHECK(none.health().empty() && none.prometheus_text().empty());
    CHECK(none.ledger(coati::signal::logs).recorded == 0);
    IS(COATI_NULL_HANDLE, coati::logger().info("nothing"));
    IS(COATI_NULL_HANDLE, coati::counter().add());
    CHECK(!coati::logger().enabled(coati::level::critical));
    CHECK(coati::span().context().traceparent().empty());
    const coati::engine engine{config("failures.jsonl")};
#ifdef COATI_NO_EXCEPTIONS
    const coati::engine bad{"{"};
    IS(COATI_BAD_CONFIG, bad.status());
    CHECK(!coati::last_error().empty());
    IS(COATI_NULL_HANDLE, bad.logger("nobody's").status());
    IS(COATI_BAD_ARGUMENT, engine.histogram("h", "", "", {}, {2, 1}).status());
    IS(COATI_OK, engine.logger("good").status());
#else
    const auto thrown = [](auto make) {
        try {
            make();
        } catch (const coati::error &error) {
            CHECK(std::string(error.what()).find(coati_status_str(error.code())) !=
                  std::string::npos);
            return error.code();
        }
        return static_cast<coati_status>(COATI_OK);
    };
    IS(COATI_BAD_CONFIG, thrown([] { coati::engine{R"({"logs": {"levle": "info"}})"}; }));
    try {
        coati::engine{R"({"logs": {"levle": "info"}})"};
    } catch (const std::exception &error) {
        CHECK(has(error.what(), "levle") && has(error.what(), "bad configuration"));
    }
    IS(COATI_NULL_HANDLE, thrown([&] { none.logger("nobody's"); }));
    IS(COATI_NULL_HANDLE, thrown([&] { none.tracer("nobody's"); }));
    IS(COATI_BAD_ARGUMENT, thrown([&] { engine.histogram("h", "", "", {}, {2, 1}); }));
    IS(COATI_BAD_ARGUMENT, thrown([&] { engine.counter("not a name"); }));
    IS(COATI_OK, thrown([&] { engine.counter("name"); }));
#endif
}

/// What of an engine lives longer than the engine's own handle.
struct survivors {
    coati::logger log;
    coati::counter counter;
    coati::span span;
};

survivors any_order() {
    const coati::engine engine{config("order.jsonl")};
    survivors all{engine.logger("order"), engine.counter("order"),
                  engine.tracer("order").start_span("order")};
    return all;
}

/// Destroyed after main, when nobody has shut the engine down.
struct at_exit {
    survivors all;
    ~at_exit() {
        all.log.info("from a static's destructor");
        all.counter.add();
    }
};
std::unique_ptr<at_exit> last_words;

} // namespace

int main(int argc, char **argv) {
    CHECK(argc == 2);
    directory = argv[1];
    fields();
    spans();
    metrics();
    failures();
    {
        const survivors all = any_order();
        IS(COATI_OK, all.log.info("alive"));
        IS(COATI_OK, all.counter.add());
    }
    const std::string lines = lines_of("order.jsonl");
    CHECK(has(lines, "\"alive\"") && has(lines, "\"span\":\"order\""));
    last_words.reset(new at_exit{any_order()});
    return 0;
}
