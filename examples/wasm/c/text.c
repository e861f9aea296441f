/* Two tools for texts: `count` its lines, words and letters, and `replace` words in it.
 *
 * make wasm, or by hand: python -m ziglang cc -target wasm32-wasi -Oz -s -o text.wasm text.c
 */
#include "mcp.h"

static bool count(Json arguments, FILE *out) {
    char *text = json_text(json_get(arguments, "text"));
    if (!text) return fputs("'text' is wanted, a string", out), false;
    size_t lines = *text != 0, words = 0, letters = 0;
    bool inside = false;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool space = *at == ' ' || *at == '\n' || *at == '\t' || *at == '\r';
        lines += *at == '\n' && at[1];
        words += !space && !inside;
        letters += (*at & 0xC0) != 0x80; /* the further bytes of a letter in UTF-8 are not counted */
        inside = !space;
    }
    fprintf(out, "%zu lines, %zu words, %zu letters", lines, words, letters);
    free(text);
    return true;
}

static bool replace(Json arguments, FILE *out) {
    char *text = json_text(json_get(arguments, "text"));
    char *old = json_text(json_get(arguments, "old")), *fresh = json_text(json_get(arguments, "new"));
    bool good = text && old && *old && fresh;
    if (good) {
        char *rest = text;
        for (char *found; (found = strstr(rest, old)); rest = found + strlen(old))
            fprintf(out, "%.*s%s", (int)(found - rest), rest, fresh);
        fputs(rest, out);
    } else {
        fputs("'text', 'old' and 'new' are wanted, strings, and 'old' not empty", out);
    }
    free(text), free(old), free(fresh);
    return good;
}

static const Tool TOOLS[] = {
    {"count", "Counts the lines, words and letters of a text",
     "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}", count},
    {"replace", "Replaces every occurrence of one text by another",
     "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"},\"old\":{\"type\":\"string\"},"
     "\"new\":{\"type\":\"string\"}},\"required\":[\"text\",\"old\",\"new\"]}", replace},
};

int main(void) {
    return mcp_serve("text", TOOLS, sizeof TOOLS / sizeof *TOOLS);
}
