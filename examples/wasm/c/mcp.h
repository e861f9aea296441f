/* A tool server in C: MCP over standard input and output, one JSON-RPC message a line. No dependencies.
 *
 * Write functions that take their arguments as JSON and print their answer, list them as `Tool`s, and call `mcp_serve`
 * in `main`. Values are pieces of the message itself and last until the function returns.
 */
#ifndef MCP_H
#define MCP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A JSON value as it stands in the message; `at` is NULL where there is none. */
typedef struct {
    const char *at;
    size_t size;
} Json;

typedef struct {
    const char *name;
    const char *description;
    const char *schema; /* JSON Schema of its arguments */
    /* Print the answer to `out`. Return false where that is an error's description. */
    bool (*call)(Json arguments, FILE *out);
} Tool;

/* ---- JSON, read */

static const char *json_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) at++;
    return at;
}

/* The end of the value at `at`, NULL where there is none. Strings and brackets are all there is to tell apart. */
static const char *json_skip(const char *at, const char *end) {
    int depth = 0;
    for (at = json_space(at, end); at < end; at++) {
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++)
                if (*at == '\\') at++;
            if (at >= end) return NULL;
            if (depth == 0) return at + 1;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0) return at;
            if (--depth == 0) return at + 1;
        } else if (depth == 0 && (*at == ',' || *at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
            return at;
        }
    }
    return depth ? NULL : at;
}

/* The member `key` of an object. */
static Json json_get(Json object, const char *key) {
    Json none = {NULL, 0};
    if (!object.at) return none;
    const char *end = object.at + object.size, *at = json_space(object.at, end);
    if (at >= end || *at != '{') return none;
    at++;
    while ((at = json_space(at, end)) < end && *at == '"') {
        const char *name = at + 1, *name_end = json_skip(at, end);
        if (!name_end) return none;
        bool found = strlen(key) == (size_t)(name_end - 1 - name) && !memcmp(key, name, strlen(key));
        at = json_space(name_end, end);
        if (at >= end || *at != ':') return none;
        at = json_space(at + 1, end);
        const char *value_end = json_skip(at, end);
        if (!value_end) return none;
        if (found) return (Json){at, (size_t)(value_end - at)};
        at = json_space(value_end, end);
        if (at < end && *at == ',') at++;
    }
    return none;
}

static bool json_is(Json value, const char *text) {
    return value.at && value.size == strlen(text) && !memcmp(value.at, text, value.size);
}

static double json_number(Json value, double otherwise) {
    char digits[64];
    if (!value.at || value.size >= sizeof digits) return otherwise;
    memcpy(digits, value.at, value.size);
    digits[value.size] = 0;
    char *rest;
    double number = strtod(digits, &rest);
    return rest == digits ? otherwise : number;
}

static size_t json_utf8(unsigned code, char *to) {
    if (code < 0x80) return to[0] = (char)code, 1;
    if (code < 0x800) return to[0] = (char)(0xC0 | code >> 6), to[1] = (char)(0x80 | (code & 0x3F)), 2;
    if (code < 0x10000) {
        to[0] = (char)(0xE0 | code >> 12), to[1] = (char)(0x80 | (code >> 6 & 0x3F)), to[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | code >> 18), to[1] = (char)(0x80 | (code >> 12 & 0x3F));
    to[2] = (char)(0x80 | (code >> 6 & 0x3F)), to[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

static unsigned json_hex(const char *at) {
    char digits[5] = {at[0], at[1], at[2], at[3], 0};
    return (unsigned)strtoul(digits, NULL, 16);
}

/* A string's text in UTF-8, to be freed; NULL where the value is no string. */
static char *json_text(Json value) {
    if (!value.at || value.size < 2 || *value.at != '"') return NULL;
    char *text = malloc(value.size), *to = text; /* never longer than it was written */
    if (!text) return NULL;
    const char *end = value.at + value.size - 1;
    for (const char *at = value.at + 1; at < end; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        switch (*++at) {
            case 'n': *to++ = '\n'; break;
            case 't': *to++ = '\t'; break;
            case 'r': *to++ = '\r'; break;
            case 'b': *to++ = '\b'; break;
            case 'f': *to++ = '\f'; break;
            case 'u':
                if (end - at > 4) {
                    unsigned code = json_hex(at + 1);
                    at += 4;
                    if (code >> 10 == 0x36 && end - at > 6 && at[1] == '\\' && at[2] == 'u') {
                        code = 0x10000 + ((code & 0x3FF) << 10 | (json_hex(at + 3) & 0x3FF));
                        at += 6;
                    }
                    to += json_utf8(code, to);
                }
                break;
            default: *to++ = *at;
        }
    }
    *to = 0;
    return text;
}

/* ---- JSON, written */

static void json_print(FILE *out, const char *text, size_t size) {
    fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') fprintf(out, "\\%c", c);
        else if (c < 0x20) fprintf(out, "\\u%04x", c);
        else fputc(c, out);
    }
    fputc('"', out);
}

/* ---- MCP (2025-06-18, lifecycle and tools) */

static void mcp_reply(Json id, const char *kind) {
    printf("{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"%s\":", (int)id.size, id.at, kind);
}

static void mcp_done(void) {
    fputs("}\n", stdout);
    fflush(stdout);
}

static void mcp_call(Json id, Json params, const Tool *tools, size_t count) {
    char *name = json_text(json_get(params, "name"));
    for (size_t i = 0; name && i < count; i++) {
        if (strcmp(name, tools[i].name)) continue;
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        bool good = tools[i].call(json_get(params, "arguments"), out);
        fclose(out);
        mcp_reply(id, "result");
        fputs("{\"content\":[{\"type\":\"text\",\"text\":", stdout);
        json_print(stdout, text, size);
        printf("}],\"isError\":%s}", good ? "false" : "true");
        mcp_done();
        free(text);
        free(name);
        return;
    }
    mcp_reply(id, "error");
    fputs("{\"code\":-32602,\"message\":\"there is no such tool\"}", stdout);
    mcp_done();
    free(name);
}

static void mcp_answer(const char *server, Json message, const Tool *tools, size_t count) {
    Json id = json_get(message, "id"), method = json_get(message, "method"), params = json_get(message, "params");
    if (!id.at || !method.at) return; /* a notification wants no answer */
    if (json_is(method, "\"tools/call\"")) {
        mcp_call(id, params, tools, count);
    } else if (json_is(method, "\"tools/list\"")) {
        mcp_reply(id, "result");
        fputs("{\"tools\":[", stdout);
        for (size_t i = 0; i < count; i++) {
            printf("%s{\"name\":\"%s\",\"description\":", i ? "," : "", tools[i].name);
            json_print(stdout, tools[i].description, strlen(tools[i].description));
            printf(",\"inputSchema\":%s}", tools[i].schema);
        }
        fputs("]}", stdout);
        mcp_done();
    } else if (json_is(method, "\"initialize\"")) {
        mcp_reply(id, "result");
        printf("{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},"
               "\"serverInfo\":{\"name\":\"%s\",\"version\":\"1.0.0\"}}", server);
        mcp_done();
    } else if (json_is(method, "\"ping\"")) {
        mcp_reply(id, "result");
        fputs("{}", stdout);
        mcp_done();
    } else {
        mcp_reply(id, "error");
        fputs("{\"code\":-32601,\"message\":\"method not found\"}", stdout);
        mcp_done();
    }
}

/* Answer until the input ends. */
static int mcp_serve(const char *server, const Tool *tools, size_t count) {
    static char input[16384]; /* each time it is empty the host is asked, which takes longer than to use it up */
    setvbuf(stdin, input, _IOFBF, sizeof input);
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, stdin)) > 0)
        mcp_answer(server, (Json){line, (size_t)size}, tools, count);
    free(line);
    return 0;
}

#endif
