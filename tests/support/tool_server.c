/* The reference server of tool_server.py, once more as a WebAssembly module: for the contract of hosts. */
#include <time.h>

#include "mcp.h"

static int learned; /* tools that were added */

#define OBJECT(properties, required) \
    "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required "]}"
#define TOOL(name, description, schema) \
    "{\"name\":\"" name "\",\"description\":\"" description "\",\"inputSchema\":" schema "}"

static void list_tools(void) {
    fputs("{\"tools\":["
          TOOL("echo", "Says it again.", OBJECT("\"text\":{\"type\":\"string\"}", "\"text\"")) ","
          "{\"name\":\"add\",\"description\":\"The sum.\",\"inputSchema\":"
          OBJECT("\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}", "\"a\",\"b\"")
          ",\"outputSchema\":" OBJECT("\"total\":{\"type\":\"integer\"}", "\"total\"") "}", stdout);
    static const char *others[] = {"fail", "picture", "count", "wait", "large", "learn"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        printf(",{\"name\":\"%s\",\"inputSchema\":{\"type\":\"object\"}}", others[i]);
    for (int i = 0; i < learned; i++) printf(",{\"name\":\"learned_%d\",\"inputSchema\":{\"type\":\"object\"}}", i);
    fputs("]}", stdout);
}

static void text(const char *words, size_t size, bool failed) {
    fputs("{\"content\":[{\"type\":\"text\",\"text\":", stdout);
    json_print(stdout, words, size);
    printf("}],\"isError\":%s}", failed ? "true" : "false");
}

static void call(Json id, Json params) {
    Json arguments = json_get(params, "arguments"), name = json_get(params, "name");
    char words[64];
    if (json_is(name, "\"count\"")) { /* before the answer begins */
        int steps = (int)json_number(json_get(arguments, "steps"), 0);
        Json token = json_get(json_get(params, "_meta"), "progressToken");
        for (int step = 1; token.at && step <= steps; step++)
            printf("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":%.*s,"
                   "\"progress\":%d,\"total\":%d}}\n", (int)token.size, token.at, step, steps);
        mcp_reply(id, "result");
        text(words, (size_t)snprintf(words, sizeof words, "%d steps", steps), false);
    } else if (json_is(name, "\"learn\"")) {
        int size = snprintf(words, sizeof words, "learned_%d", learned++);
        puts("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
        mcp_reply(id, "result");
        text(words, (size_t)size, false);
    } else if (json_is(name, "\"echo\"") || json_is(name, "\"fail\"")) {
        char *given = json_text(json_get(arguments, json_is(name, "\"echo\"") ? "text" : "words"));
        mcp_reply(id, "result");
        text(given ? given : "", given ? strlen(given) : 0, json_is(name, "\"fail\""));
        free(given);
    } else if (json_is(name, "\"add\"")) {
        Json a = json_get(arguments, "a"), b = json_get(arguments, "b");
        mcp_reply(id, "result");
        if (!a.at || !b.at) text("'a' and 'b' are wanted", 22, true);
        else printf("{\"content\":[],\"structuredContent\":{\"total\":%g}}", json_number(a, 0) + json_number(b, 0));
    } else if (json_is(name, "\"picture\"")) {
        mcp_reply(id, "result");
        fputs("{\"content\":[{\"type\":\"text\",\"text\":\"one pixel:\"},"
              "{\"type\":\"image\",\"data\":\"AAAA\",\"mimeType\":\"image/png\"}]}", stdout);
    } else if (json_is(name, "\"wait\"")) {
        struct timespec time = {(time_t)json_number(json_get(arguments, "seconds"), 0), 0};
        nanosleep(&time, NULL);
        mcp_reply(id, "result");
        text("waited", 6, false);
    } else if (json_is(name, "\"large\"")) {
        size_t size = (size_t)json_number(json_get(arguments, "size"), 0);
        char *much = malloc(size);
        memset(much, 'x', size);
        mcp_reply(id, "result");
        text(much, size, false);
        free(much);
    } else if (name.at && !strncmp(name.at, "\"learned_", 9)) {
        mcp_reply(id, "result");
        text("learned", 7, false);
    } else {
        mcp_reply(id, "error");
        fputs("{\"code\":-32602,\"message\":\"there is no such tool\"}", stdout);
    }
    mcp_done();
}

static void answer(Json message) {
    static const struct {
        const char *method, *result;
    } fixed[] = {
        {"\"initialize\"", "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true},"
                           "\"resources\":{},\"prompts\":{}},\"serverInfo\":{\"name\":\"reference\",\"version\":\"1\"}}"},
        {"\"resources/list\"", "{\"resources\":[{\"uri\":\"note://one\",\"name\":\"note\"}]}"},
        {"\"resources/read\"", "{\"contents\":[{\"uri\":\"note://one\",\"text\":\"remember the milk\"}]}"},
        {"\"prompts/list\"", "{\"prompts\":[{\"name\":\"greet\",\"arguments\":[{\"name\":\"name\",\"required\":true}]}]}"},
    };
    Json id = json_get(message, "id"), method = json_get(message, "method"), params = json_get(message, "params");
    if (!id.at) return;
    if (json_is(method, "\"tools/call\"")) {
        call(id, params);
        return;
    }
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (!json_is(method, fixed[i].method)) continue;
        mcp_reply(id, "result");
        fputs(fixed[i].result, stdout);
        mcp_done();
        return;
    }
    if (json_is(method, "\"tools/list\"")) {
        mcp_reply(id, "result");
        list_tools();
    } else if (json_is(method, "\"prompts/get\"")) {
        char *name = json_text(json_get(json_get(params, "arguments"), "name")), line[128];
        int size = snprintf(line, sizeof line, "Say hello to %s.", name);
        mcp_reply(id, "result");
        fputs("{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":", stdout);
        json_print(stdout, line, (size_t)size);
        fputs("}}]}", stdout);
        free(name);
    } else {
        mcp_reply(id, "error");
        fputs("{\"code\":-32601,\"message\":\"method not found\"}", stdout);
    }
    mcp_done();
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    for (ssize_t size; (size = getline(&line, &room, stdin)) > 0;) answer((Json){line, (size_t)size});
    return 0;
}
