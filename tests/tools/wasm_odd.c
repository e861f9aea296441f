/* A WebAssembly server whose tools do one thing wrong each; built by the tests with the example's mcp.h. */
#include <errno.h>
#include <time.h>

#include "mcp.h"

static char **argv_;
static volatile unsigned long sink;

static bool echo(Json arguments, FILE *out) {
    char *text = json_text(json_get(arguments, "text"));
    fputs(text ? text : "", out);
    free(text);
    return true;
}

static bool spin(Json arguments, FILE *out) {
    unsigned long turns = (unsigned long)json_number(json_get(arguments, "turns"), 0);
    for (unsigned long i = 0; i < turns; i++) sink = i;
    fprintf(out, "%lu turns", turns);
    return true;
}

static bool loop(Json arguments, FILE *out) {
    (void)arguments, (void)out;
    for (;;) sink++;
}

/* Takes all there is and says how much that was, in bytes of the whole memory. */
static bool grow(Json arguments, FILE *out) {
    (void)arguments;
    while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1) continue;
    fprintf(out, "%zu", __builtin_wasm_memory_size(0) * 65536);
    return true;
}

/* Takes all there is, as programs do, and gives up as programs do. */
static bool allocate(Json arguments, FILE *out) {
    (void)arguments, (void)out;
    for (;;) {
        char *more = malloc(65536);
        if (!more) abort();
        memset(more, 1, 65536);
        sink += (unsigned long)more;
    }
}

static bool flood(Json arguments, FILE *out) {
    (void)arguments, (void)out;
    for (;;) puts("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}");
}

static bool mutter(Json arguments, FILE *out) {
    char *text = json_text(json_get(arguments, "text"));
    fprintf(stderr, "%s\n", text);
    free(text);
    fputs("said", out);
    return true;
}

#pragma clang diagnostic ignored "-Winfinite-recursion"
static unsigned long deeper(unsigned long depth) {
    sink = depth;
    return depth + deeper(depth + 1) + sink;
}

static bool recurse(Json arguments, FILE *out) {
    (void)arguments;
    fprintf(out, "%lu", deeper(0));
    return true;
}

static bool quit(Json arguments, FILE *out) {
    (void)out;
    exit((int)json_number(json_get(arguments, "status"), 0));
}

static bool trap(Json arguments, FILE *out) {
    (void)arguments, (void)out;
    __builtin_trap();
}

/* Says what it is given, raw, and waits for the next request without an answer. */
static bool say(Json arguments, FILE *out) {
    char *text = json_text(json_get(arguments, "text")), next[2];
    (void)out;
    fputs(text, stdout);
    fflush(stdout);
    free(text);
    fgets(next, sizeof next, stdin);
    return true;
}

static bool read_file(Json arguments, FILE *out) {
    char *path = json_text(json_get(arguments, "path")), text[256];
    FILE *file = fopen(path, "r");
    free(path);
    if (!file) return fputs(strerror(errno), out), false;
    size_t size = fread(text, 1, sizeof text, file);
    fwrite(text, 1, size, out);
    fclose(file);
    return true;
}

static bool write_file(Json arguments, FILE *out) {
    char *path = json_text(json_get(arguments, "path")), *text = json_text(json_get(arguments, "text"));
    FILE *file = fopen(path, "w");
    bool good = file && fputs(text, file) >= 0 && !fclose(file);
    fputs(good ? "written" : strerror(errno), out);
    free(path), free(text);
    return good;
}

static bool variable(Json arguments, FILE *out) {
    char *name = json_text(json_get(arguments, "name")), *value = getenv(name);
    fputs(value ? value : "(none)", out);
    free(name);
    return true;
}

static bool command(Json arguments, FILE *out) {
    (void)arguments;
    for (char **at = argv_; *at; at++) fprintf(out, "%s%s", at == argv_ ? "" : " ", *at);
    return true;
}

static bool nap(Json arguments, FILE *out) {
    double seconds = json_number(json_get(arguments, "seconds"), 0);
    struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
    fputs("awake", out);
    return true;
}

static bool tally(Json arguments, FILE *out) {
    static int calls;
    (void)arguments;
    fprintf(out, "%d", ++calls);
    return true;
}

#define TOOL(name, call) {name, name, "{\"type\":\"object\"}", call}
static const Tool TOOLS[] = {
    TOOL("echo", echo),   TOOL("spin", spin),     TOOL("loop", loop),      TOOL("grow", grow),
    TOOL("flood", flood), TOOL("mutter", mutter), TOOL("recurse", recurse), TOOL("allocate", allocate),
    TOOL("quit", quit),   TOOL("trap", trap),     TOOL("say", say),
    TOOL("read", read_file), TOOL("write", write_file), TOOL("variable", variable), TOOL("command", command),
    TOOL("nap", nap),     TOOL("tally", tally),
};

int main(int argc, char **argv) {
    argv_ = argv;
    if (argc > 1 && !strcmp(argv[1], "loop at start")) for (;;) sink++;
    if (argc > 1 && !strcmp(argv[1], "exit at start")) return 5;
    return mcp_serve("odd", TOOLS, sizeof TOOLS / sizeof *TOOLS);
}
