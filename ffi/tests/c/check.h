/* What the tests in C and C++ share. */

#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coati.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The call returns this status. */
#define IS(status, call)                                                                           \
    do {                                                                                           \
        coati_status is = (call);                                                                  \
        if (is != (status)) {                                                                      \
            fprintf(stderr, "%s:%d: %s is %d (%s), not %s\n", __FILE__, __LINE__, #call, (int)is,  \
                    coati_status_str(is), #status);                                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* An engine that writes everything to `path`; `more` are further keys, each with a comma. */
static inline coati_engine *start(const char *path, const char *more) {
    char config[2048];
    snprintf(config, sizeof config,
             "{\"service\": \"test\", %s \"sinks\": [{\"type\": \"file\", \"path\": \"%s\"}]}",
             more, path);
    coati_engine *engine = NULL;
    coati_status status = coati_init(coati_string(config), &engine);
    if (status != COATI_OK) {
        coati_buffer why = {NULL, 0};
        coati_last_error(&why);
        fprintf(stderr, "coati_init: %s: %s\n", coati_status_str(status), why.ptr);
        exit(1);
    }
    return engine;
}

/* A file in the directory that the test was given. */
static inline const char *in_directory(char **argv, const char *name) {
    static char path[1024];
    CHECK(argv[1] != NULL);
    snprintf(path, sizeof path, "%s/%s", argv[1], name);
    remove(path);
    return path;
}

/* The whole file, ended by NUL; never freed twice. */
static inline char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    rewind(file);
    char *text = (char *)malloc((size_t)size + 1);
    CHECK(text != NULL);
    CHECK(fread(text, 1, (size_t)size, file) == (size_t)size);
    text[size] = 0;
    fclose(file);
    return text;
}

static inline int count_of(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        n++;
    }
    return n;
}

#endif
