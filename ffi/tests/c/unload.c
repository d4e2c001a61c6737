/* Loads the library at run time, records, unloads it while its thread runs, and does it again. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

#include "check.h"

static void *library;

/* POSIX: a function's address fits a pointer to an object. */
static void find(void **function, const char *name) {
    *function = dlsym(library, name);
    CHECK(*function != NULL);
}

static void *record(void *logger) {
    __typeof__(&coati_log) log_it;
    find((void **)&log_it, "coati_log");
    CHECK(log_it(logger, COATI_INFO, COATI_STR("loaded"), NULL, 0) == COATI_OK);
    /* The thread's own memory is torn down after the library is unloaded. */
    dlclose(library);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    char config[2048];
    snprintf(config, sizeof config, "{\"sinks\": [{\"type\": \"file\", \"path\": \"%s\"}]}",
             in_directory(argv, "unload.jsonl"));
    for (int i = 0; i < 3; i++) {
        library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL);
        __typeof__(&coati_init) init;
        __typeof__(&coati_logger_new) logger_new;
        find((void **)&init, "coati_init");
        find((void **)&logger_new, "coati_logger_new");
        coati_engine *engine = NULL;
        coati_logger *logger = NULL;
        CHECK(init(coati_string(config), &engine) == COATI_OK);
        CHECK(logger_new(engine, COATI_STR("unload"), &logger) == COATI_OK);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, record, logger) == 0);
        pthread_join(thread, NULL);
    }
    return 0;
}
