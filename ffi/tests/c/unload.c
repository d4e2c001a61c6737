/* Loads the library at run time, records, unloads it while its thread runs, and does it again. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

#include "check.h"

static void *library;

static void *record(void *logger) {
    __typeof__(&coati_log) log = (__typeof__(&coati_log))dlsym(library, "coati_log");
    CHECK(log(logger, COATI_INFO, COATI_STR("loaded"), NULL, 0) == COATI_OK);
    /* The thread's own memory is torn down after the library is unloaded. */
    dlclose(library);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    char config[1024];
    snprintf(config, sizeof config, "{\"sinks\": [{\"type\": \"file\", \"path\": \"%s\"}]}",
             in_directory(argv, "unload.jsonl"));
    for (int i = 0; i < 3; i++) {
        library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL);
        __typeof__(&coati_init) init = (__typeof__(&coati_init))dlsym(library, "coati_init");
        __typeof__(&coati_logger_new) logger_new =
            (__typeof__(&coati_logger_new))dlsym(library, "coati_logger_new");
        CHECK(init != NULL && logger_new != NULL);
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
