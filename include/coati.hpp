/* coati for C++17: owning handles over coati.h, header only.
 *
 *     coati::engine engine{R"({"service": "indexer"})"};
 *     coati::logger log = engine.logger("planner");
 *     coati::tracer tracer = engine.tracer("planner");
 *     {
 *         auto span = tracer.span("plan");               // current until the scope ends
 *         log.info("plan ready", {{"steps", 4}, {"model", "gpt-4o"}});
 *     }
 *
 * Handles are move-only. A default-constructed or moved-from one is null: its calls do nothing and
 * return COATI_NULL_HANDLE. Recording never throws. Constructors throw coati::error; with
 * COATI_NO_EXCEPTIONS, which -fno-exceptions implies, they leave a null handle and the reason in
 * `status()`. Destructors throw nothing. Handles may be destroyed in any order: the engine stops
 * when the last of them goes.
 */

#ifndef COATI_HPP
#define COATI_HPP

#include "coati.h"

#if !defined(COATI_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define COATI_NO_EXCEPTIONS 1
#endif

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#ifndef COATI_NO_EXCEPTIONS
#include <stdexcept>
#endif
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coati {

using ledger = coati_ledger;

/// Severity of a log line.
enum class level : coati_level {
    debug = COATI_DEBUG,
    info = COATI_INFO,
    warning = COATI_WARN,
    error = COATI_ERROR,
    critical = COATI_CRITICAL,
};

/// What has books of its own.
enum class signal : std::uint32_t { logs = COATI_LOGS, spans = COATI_SPANS };

/// How a span went.
enum class span_status : std::uint32_t {
    unset = COATI_SPAN_UNSET,
    ok = COATI_SPAN_OK,
    error = COATI_SPAN_ERROR,
};

namespace detail {

inline coati_str str(std::string_view text) noexcept { return {text.data(), text.size()}; }

inline std::string take(coati_buffer &buffer) {
    struct giver {
        coati_buffer &buffer;
        ~giver() { coati_buffer_free(&buffer); }
    } give_back{buffer};
    return buffer.ptr ? std::string(buffer.ptr, buffer.len) : std::string();
}

/// Milliseconds, rounded up; a negative time is none.
template <class Rep, class Period>
std::uint64_t ms(std::chrono::duration<Rep, Period> time) noexcept {
    auto count = std::chrono::ceil<std::chrono::milliseconds>(time).count();
    return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

inline void free(coati_engine *raw) noexcept { coati_engine_free(raw); }
inline void free(coati_logger *raw) noexcept { coati_logger_free(raw); }
inline void free(coati_span *raw) noexcept { coati_span_free(raw); }
inline void free(coati_tracer *raw) noexcept { coati_tracer_free(raw); }
inline void free(coati_counter *raw) noexcept { coati_counter_free(raw); }
inline void free(coati_up_down_counter *raw) noexcept { coati_up_down_counter_free(raw); }
inline void free(coati_gauge *raw) noexcept { coati_gauge_free(raw); }
inline void free(coati_histogram *raw) noexcept { coati_histogram_free(raw); }
inline void free(coati_scope *raw) noexcept { coati_scope_detach(raw); }
inline void free(coati_context *raw) noexcept { coati_context_free(raw); }

/// Owns what `free` frees.
template <class T>
class handle {
public:
    handle() noexcept = default;
    explicit handle(T *raw) noexcept : raw_(raw) {}
    handle(handle &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    handle &operator=(handle &&other) noexcept {
        if (this != &other) reset(std::exchange(other.raw_, nullptr));
        return *this;
    }
    handle(const handle &) = delete;
    handle &operator=(const handle &) = delete;
    ~handle() { detail::free(raw_); }

    T *get() const noexcept { return raw_; }
    void reset(T *raw = nullptr) noexcept { detail::free(std::exchange(raw_, raw)); }

private:
    T *raw_ = nullptr;
};

} // namespace detail

#ifndef COATI_NO_EXCEPTIONS
/// What constructors throw.
class error : public std::runtime_error {
public:
    error(coati_status code, const std::string &what) : std::runtime_error(what), code_(code) {}
    /// The status behind it.
    coati_status code() const noexcept { return code_; }

private:
    coati_status code_;
};
#endif

/// Why the last constructor that failed on this thread did; empty if there is nothing to say.
inline std::string last_error() {
    coati_buffer buffer{nullptr, 0};
    coati_last_error(&buffer);
    return detail::take(buffer);
}

namespace detail {

/// Throws for anything but COATI_OK, or returns it where nothing is thrown.
inline coati_status check(coati_status result, [[maybe_unused]] const char *what) {
#ifndef COATI_NO_EXCEPTIONS
    if (result != COATI_OK) {
        std::string text = std::string(what) + ": " + coati_status_str(result);
        if (std::string why = last_error(); !why.empty() && result != COATI_NULL_HANDLE) {
            text += ": " + why;
        }
        throw error(result, text);
    }
#endif
    return result;
}

} // namespace detail

/// A key and a value. Texts are borrowed until the call that it is made for returns.
class field {
public:
    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    field(std::string_view key, T value) noexcept {
        raw_.key = detail::str(key);
        if constexpr (std::is_same_v<T, bool>) {
            raw_.type = COATI_FIELD_BOOL;
            raw_.value.boolean = value;
        } else if constexpr (std::is_floating_point_v<T>) {
            raw_.type = COATI_FIELD_F64;
            raw_.value.f64 = static_cast<double>(value);
        } else if constexpr (std::is_signed_v<T>) {
            raw_.type = COATI_FIELD_I64;
            raw_.value.i64 = value;
        } else {
            raw_.type = COATI_FIELD_U64;
            raw_.value.u64 = value;
        }
    }

    template <class T, std::enable_if_t<std::is_convertible_v<const T &, std::string_view>, int> = 0>
    field(std::string_view key, const T &value) noexcept {
        raw_.key = detail::str(key);
        raw_.type = COATI_FIELD_STR;
        if constexpr (std::is_pointer_v<std::decay_t<T>>) {
            raw_.value.str = coati_string(value);
        } else {
            raw_.value.str = detail::str(std::string_view(value));
        }
    }

    const coati_field &raw() const noexcept { return raw_; }

private:
    coati_field raw_;
};

static_assert(sizeof(field) == sizeof(coati_field) && std::is_standard_layout_v<field>,
              "an array of fields is an array of coati_field");

/// Fields for one call: a braced list or a vector.
class fields {
public:
    fields() noexcept = default;
    fields(std::initializer_list<field> list) noexcept : fields(list.begin(), list.size()) {}
    fields(const std::vector<field> &list) noexcept : fields(list.data(), list.size()) {}
    fields(const field *first, std::size_t n) noexcept : first_(first), n_(n) {}

    const coati_field *data() const noexcept { return first_ ? &first_->raw() : nullptr; }
    std::size_t size() const noexcept { return n_; }

private:
    const field *first_ = nullptr;
    std::size_t n_ = 0;
};

/// What of a span crosses threads and processes. A default-constructed one is no span: as a parent
/// it makes a root.
class context {
public:
    context() noexcept : raw_{} {}
    explicit context(const coati_span_context &raw) noexcept : raw_(raw) {}

    /// Reads a W3C traceparent; no context if it is none.
    static context extract(std::string_view traceparent, std::string_view tracestate = {}) noexcept {
        context result;
        coati_context_extract(detail::str(traceparent), detail::str(tracestate), &result.raw_);
        return result;
    }

    /// A W3C traceparent; empty without ids.
    std::string traceparent() const {
        coati_buffer buffer{nullptr, 0};
        coati_context_inject(&raw_, &buffer);
        return detail::take(buffer);
    }

    /// Lower-case hexadecimal.
    std::string trace_id() const { return hex(raw_.trace_id, sizeof raw_.trace_id); }
    /// Lower-case hexadecimal.
    std::string span_id() const { return hex(raw_.span_id, sizeof raw_.span_id); }
    bool is_sampled() const noexcept { return raw_.flags & 1; }
    bool is_remote() const noexcept { return raw_.remote != 0; }
    const coati_span_context &raw() const noexcept { return raw_; }

private:
    static std::string hex(const std::uint8_t *bytes, std::size_t n) {
        std::string text;
        for (std::size_t i = 0; i < n; i++) {
            text += "0123456789abcdef"[bytes[i] >> 4];
            text += "0123456789abcdef"[bytes[i] & 15];
        }
        return text;
    }

    coati_span_context raw_;
};

class span;

/// Everything that crosses processes: a span's ids, its `tracestate`, and baggage.
class propagation {
public:
    propagation() noexcept = default;
    /// Of W3C's three headers; what is malformed says nothing.
    explicit propagation(std::string_view traceparent, std::string_view tracestate = {},
                         std::string_view baggage = {}) noexcept {
        coati_context *raw = nullptr;
        coati_context_parse(detail::str(traceparent), detail::str(tracestate),
                            detail::str(baggage), &raw);
        handle_.reset(raw);
    }
    /// Of a span.
    explicit propagation(const span &span) noexcept;

    /// The headers, each empty where there is nothing to say.
    std::string traceparent() const { return header(coati_context_traceparent); }
    std::string tracestate() const { return header(coati_context_tracestate); }
    std::string baggage() const { return header(coati_context_baggage); }

    /// The ids of its span.
    coati::context context() const noexcept {
        coati_span_context raw{};
        coati_context_get_span(handle_.get(), &raw);
        return coati::context(raw);
    }

    /// Sets a member of its `tracestate`, which then is the first one.
    coati_status set_tracestate(std::string_view key, std::string_view value) noexcept {
        return coati_context_set_tracestate(handle_.get(), detail::str(key), detail::str(value));
    }
    /// The value of a name of its baggage, if there is one.
    std::optional<std::string> get_baggage(std::string_view name) const {
        coati_buffer buffer{};
        coati_status status = coati_context_get_baggage(handle_.get(), detail::str(name), &buffer);
        if (status != COATI_OK) return std::nullopt;
        return detail::take(buffer);
    }
    coati_status set_baggage(std::string_view name, std::string_view value) noexcept {
        return coati_context_set_baggage(handle_.get(), detail::str(name), detail::str(value));
    }
    coati_status remove_baggage(std::string_view name) noexcept {
        return coati_context_remove_baggage(handle_.get(), detail::str(name));
    }

    const coati_context *get() const noexcept { return handle_.get(); }

private:
    template <class Function> std::string header(Function read) const {
        coati_buffer buffer{};
        read(handle_.get(), &buffer);
        return detail::take(buffer);
    }

    detail::handle<coati_context> handle_;
};

class engine;

/// A named source of log lines. Several threads may use it at once.
class logger {
public:
    logger() noexcept = default;
    logger(const engine &engine, std::string_view name);

    coati_status log(level level, std::string_view message, const fields &fields = {}) const noexcept {
        return coati_log(handle_.get(), static_cast<coati_level>(level), detail::str(message),
                         fields.data(), fields.size());
    }
    coati_status debug(std::string_view message, const fields &fields = {}) const noexcept {
        return log(level::debug, message, fields);
    }
    coati_status info(std::string_view message, const fields &fields = {}) const noexcept {
        return log(level::info, message, fields);
    }
    coati_status warning(std::string_view message, const fields &fields = {}) const noexcept {
        return log(level::warning, message, fields);
    }
    coati_status error(std::string_view message, const fields &fields = {}) const noexcept {
        return log(level::error, message, fields);
    }
    coati_status critical(std::string_view message, const fields &fields = {}) const noexcept {
        return log(level::critical, message, fields);
    }

    /// Whether lines of this level are recorded now.
    bool enabled(level level) const noexcept {
        return coati_logger_enabled(handle_.get(), static_cast<coati_level>(level));
    }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    const coati_logger *get() const noexcept { return handle_.get(); }

private:
    detail::handle<coati_logger> handle_;
    coati_status status_ = COATI_NULL_HANDLE;
};

class tracer;

/// That a span is current on the thread that attached it; ends with its destructor.
class scope {
public:
    scope() noexcept = default;
    explicit scope(coati_scope *raw) noexcept : handle_(raw) {}

private:
    detail::handle<coati_scope> handle_;
};

/// A started span. Its destructor ends it. One from tracer::span is current on the thread that
/// made it until it goes; one from tracer::start_span is current nowhere and may be moved to and
/// used by other threads.
class span {
public:
    span() noexcept = default;
    span(span &&) noexcept = default;
    span &operator=(span &&other) noexcept {
        if (this != &other) {
            // First the old one stops being current, then it ends.
            scope_ = std::move(other.scope_);
            handle_ = std::move(other.handle_);
            status_ = other.status_;
        }
        return *this;
    }
    span(const span &) = delete;
    span &operator=(const span &) = delete;

    coati_status set_attribute(const field &attribute) noexcept {
        return coati_span_set_attribute(handle_.get(), &attribute.raw());
    }
    template <class T>
    coati_status set_attribute(std::string_view key, const T &value) noexcept {
        return set_attribute(field(key, value));
    }
    coati_status set_attributes(const fields &attributes) noexcept {
        for (std::size_t i = 0; i < attributes.size(); i++) {
            coati_status result = coati_span_set_attribute(handle_.get(), attributes.data() + i);
            if (result != COATI_OK) return result;
        }
        return COATI_OK;
    }
    coati_status add_event(std::string_view name, const fields &fields = {}) noexcept {
        return coati_span_add_event(handle_.get(), detail::str(name), fields.data(), fields.size());
    }
    coati_status set_status(span_status status, std::string_view description = {}) noexcept {
        return coati_span_set_status(handle_.get(), static_cast<std::uint32_t>(status),
                                     detail::str(description));
    }

    /// Its ids, for children and links; also after its end.
    coati::context context() const noexcept {
        coati_span_context raw{};
        coati_span_get_context(handle_.get(), &raw);
        return coati::context(raw);
    }

    /// Makes it current on the calling thread as long as the scope lives.
    [[nodiscard]] coati::scope attach() noexcept {
        coati_scope *raw = nullptr;
        coati_span_attach(handle_.get(), &raw);
        return coati::scope(raw);
    }

    /// Ends it before its destructor would. A second time: COATI_ALREADY_ENDED.
    coati_status end() noexcept {
        scope_ = coati::scope();
        return coati_span_end(handle_.get());
    }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    coati_span *get() const noexcept { return handle_.get(); }

private:
    friend class tracer;

    // Destroyed from the last to the first: detached, then ended.
    detail::handle<coati_span> handle_;
    coati::scope scope_;
    coati_status status_ = COATI_NULL_HANDLE;
};

inline propagation::propagation(const span &span) noexcept {
    coati_context *raw = nullptr;
    coati_context_of_span(span.get(), &raw);
    handle_.reset(raw);
}

/// A named source of spans. Several threads may use it at once. Starting a span throws nothing: a
/// null span says in `status()` why.
class tracer {
public:
    tracer() noexcept = default;
    tracer(const engine &engine, std::string_view name);

    /// A child of the thread's current span, or a root; current until it goes.
    coati::span span(std::string_view name, const fields &attributes = {}) const noexcept {
        return start(name, nullptr, attributes, true);
    }
    /// A child of `parent`, from whatever thread or process; current until it goes.
    template <class Context, class = std::enable_if_t<std::is_same_v<Context, context>>>
    coati::span span(std::string_view name, const Context &parent,
                     const fields &attributes = {}) const noexcept {
        return start(name, &parent.raw(), attributes, true);
    }
    /// As `span`, current nowhere.
    coati::span start_span(std::string_view name, const fields &attributes = {}) const noexcept {
        return start(name, nullptr, attributes, false);
    }
    /// As `span`, current nowhere.
    template <class Context, class = std::enable_if_t<std::is_same_v<Context, context>>>
    coati::span start_span(std::string_view name, const Context &parent,
                           const fields &attributes = {}) const noexcept {
        return start(name, &parent.raw(), attributes, false);
    }

    /// A child of what crossed from another process, with its `tracestate` and baggage; current
    /// until it goes.
    template <class Context, std::enable_if_t<std::is_same_v<Context, propagation>, int> = 0>
    coati::span span(std::string_view name, const Context &parent,
                     const fields &attributes = {}) const noexcept {
        return start_in(name, parent, attributes, true);
    }
    /// As `span`, current nowhere.
    template <class Context, std::enable_if_t<std::is_same_v<Context, propagation>, int> = 0>
    coati::span start_span(std::string_view name, const Context &parent,
                           const fields &attributes = {}) const noexcept {
        return start_in(name, parent, attributes, false);
    }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    const coati_tracer *get() const noexcept { return handle_.get(); }

private:
    coati::span start(std::string_view name, const coati_span_context *parent,
                      const fields &attributes, bool current) const noexcept {
        coati_span *raw = nullptr;
        coati_status status = coati_span_start(handle_.get(), detail::str(name), parent, &raw);
        return started(raw, status, attributes, current);
    }

    coati::span start_in(std::string_view name, const propagation &parent,
                         const fields &attributes, bool current) const noexcept {
        coati_span *raw = nullptr;
        coati_status status =
            coati_span_start_in(handle_.get(), detail::str(name), parent.get(), &raw);
        return started(raw, status, attributes, current);
    }

    static coati::span started(coati_span *raw, coati_status status, const fields &attributes,
                               bool current) noexcept {
        coati::span result;
        result.status_ = status;
        result.handle_.reset(raw);
        result.set_attributes(attributes);
        if (current) result.scope_ = result.attach();
        return result;
    }

    detail::handle<coati_tracer> handle_;
    coati_status status_ = COATI_NULL_HANDLE;
};

/// A sum that only grows, with fixed labels.
class counter {
public:
    counter() noexcept = default;
    counter(const engine &engine, std::string_view name, std::string_view unit = {},
            std::string_view description = {}, const fields &labels = {});

    /// Negative or not finite: COATI_BAD_ARGUMENT, nothing is added.
    coati_status add(double amount = 1) const noexcept {
        return coati_counter_add(handle_.get(), amount);
    }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    const coati_counter *get() const noexcept { return handle_.get(); }

private:
    detail::handle<coati_counter> handle_;
    coati_status status_ = COATI_NULL_HANDLE;
};

/// A sum that goes up and down, with fixed labels.
class up_down_counter {
public:
    up_down_counter() noexcept = default;
    up_down_counter(const engine &engine, std::string_view name, std::string_view unit = {},
                    std::string_view description = {}, const fields &labels = {});

    /// Not finite: COATI_BAD_ARGUMENT, nothing is added.
    coati_status add(double amount = 1) const noexcept {
        return coati_up_down_counter_add(handle_.get(), amount);
    }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    const coati_up_down_counter *get() const noexcept { return handle_.get(); }

private:
    detail::handle<coati_up_down_counter> handle_;
    coati_status status_ = COATI_NULL_HANDLE;
};

/// A value that is set, with fixed labels.
class gauge {
public:
    gauge() noexcept = default;
    gauge(const engine &engine, std::string_view name, std::string_view unit = {},
          std::string_view description = {}, const fields &labels = {});

    coati_status set(double value) const noexcept { return coati_gauge_set(handle_.get(), value); }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    const coati_gauge *get() const noexcept { return handle_.get(); }

private:
    detail::handle<coati_gauge> handle_;
    coati_status status_ = COATI_NULL_HANDLE;
};

/// A distribution, with fixed labels. No bounds: exponential buckets.
class histogram {
public:
    histogram() noexcept = default;
    histogram(const engine &engine, std::string_view name, std::string_view unit = {},
              std::string_view description = {}, const fields &labels = {},
              const std::vector<double> &bounds = {});

    /// Not finite: COATI_BAD_ARGUMENT, no bucket counts it.
    coati_status record(double value) const noexcept {
        return coati_histogram_record(handle_.get(), value);
    }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    const coati_histogram *get() const noexcept { return handle_.get(); }

private:
    detail::handle<coati_histogram> handle_;
    coati_status status_ = COATI_NULL_HANDLE;
};

/// An engine. Loggers, tracers, spans and instruments made from it keep it going; when the last of
/// all goes, it is flushed and stopped.
class engine {
public:
    using milliseconds = std::chrono::milliseconds;

    /// Starts an engine with a configuration as JSON; an empty text means the defaults.
    explicit engine(std::string_view config_json) {
        coati_engine *raw = nullptr;
        status_ = coati_init(detail::str(config_json), &raw);
        handle_.reset(raw);
        detail::check(status_, "coati::engine");
    }
    /// A null handle, to be assigned to.
    engine() noexcept = default;

    coati::logger logger(std::string_view name) const { return {*this, name}; }
    coati::tracer tracer(std::string_view name) const { return {*this, name}; }
    coati::counter counter(std::string_view name, std::string_view unit = {},
                           std::string_view description = {}, const fields &labels = {}) const {
        return {*this, name, unit, description, labels};
    }
    coati::up_down_counter up_down_counter(std::string_view name, std::string_view unit = {},
                                           std::string_view description = {},
                                           const fields &labels = {}) const {
        return {*this, name, unit, description, labels};
    }
    coati::gauge gauge(std::string_view name, std::string_view unit = {},
                       std::string_view description = {}, const fields &labels = {}) const {
        return {*this, name, unit, description, labels};
    }
    coati::histogram histogram(std::string_view name, std::string_view unit = {},
                               std::string_view description = {}, const fields &labels = {},
                               const std::vector<double> &bounds = {}) const {
        return {*this, name, unit, description, labels, bounds};
    }

    /// Waits until everything recorded before the call is in its sinks.
    coati_status flush(milliseconds timeout = milliseconds(5000)) const noexcept {
        return coati_flush(handle_.get(), detail::ms(timeout));
    }
    /// Flushes and stops; later calls record nothing.
    coati_status shutdown(milliseconds timeout = milliseconds(5000)) const noexcept {
        return coati_shutdown(handle_.get(), detail::ms(timeout));
    }
    /// The books of a signal, also after a shutdown; zero on a null handle.
    coati::ledger ledger(signal signal) const noexcept {
        coati::ledger books{};
        coati_get_ledger(handle_.get(), static_cast<std::uint32_t>(signal), &books);
        return books;
    }
    /// How it is, as JSON.
    std::string health() const {
        coati_buffer buffer{nullptr, 0};
        coati_health_json(handle_.get(), &buffer);
        return detail::take(buffer);
    }
    /// All metrics in the Prometheus text format.
    std::string prometheus_text() const {
        coati_buffer buffer{nullptr, 0};
        coati_prometheus_text(handle_.get(), &buffer);
        return detail::take(buffer);
    }

    /// COATI_OK, or why it could not be made.
    coati_status status() const noexcept { return status_; }
    coati_engine *get() const noexcept { return handle_.get(); }

private:
    detail::handle<coati_engine> handle_;
    coati_status status_ = COATI_NULL_HANDLE;
};

inline logger::logger(const engine &engine, std::string_view name) {
    coati_logger *raw = nullptr;
    status_ = coati_logger_new(engine.get(), detail::str(name), &raw);
    handle_.reset(raw);
    detail::check(status_, "coati::logger");
}

inline tracer::tracer(const engine &engine, std::string_view name) {
    coati_tracer *raw = nullptr;
    status_ = coati_tracer_new(engine.get(), detail::str(name), &raw);
    handle_.reset(raw);
    detail::check(status_, "coati::tracer");
}

inline counter::counter(const engine &engine, std::string_view name, std::string_view unit,
                        std::string_view description, const fields &labels) {
    coati_counter *raw = nullptr;
    status_ = coati_counter_new(engine.get(), detail::str(name), detail::str(unit),
                                detail::str(description), labels.data(), labels.size(), &raw);
    handle_.reset(raw);
    detail::check(status_, "coati::counter");
}

inline up_down_counter::up_down_counter(const engine &engine, std::string_view name,
                                        std::string_view unit, std::string_view description,
                                        const fields &labels) {
    coati_up_down_counter *raw = nullptr;
    status_ = coati_up_down_counter_new(engine.get(), detail::str(name), detail::str(unit),
                                        detail::str(description), labels.data(), labels.size(),
                                        &raw);
    handle_.reset(raw);
    detail::check(status_, "coati::up_down_counter");
}

inline gauge::gauge(const engine &engine, std::string_view name, std::string_view unit,
                    std::string_view description, const fields &labels) {
    coati_gauge *raw = nullptr;
    status_ = coati_gauge_new(engine.get(), detail::str(name), detail::str(unit),
                              detail::str(description), labels.data(), labels.size(), &raw);
    handle_.reset(raw);
    detail::check(status_, "coati::gauge");
}

inline histogram::histogram(const engine &engine, std::string_view name, std::string_view unit,
                            std::string_view description, const fields &labels,
                            const std::vector<double> &bounds) {
    coati_histogram *raw = nullptr;
    status_ = coati_histogram_new(engine.get(), detail::str(name), detail::str(unit),
                                  detail::str(description), labels.data(), labels.size(),
                                  bounds.data(), bounds.size(), &raw);
    handle_.reset(raw);
    detail::check(status_, "coati::histogram");
}

} // namespace coati

#endif // COATI_HPP
