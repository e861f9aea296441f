"""A tool server that does one thing wrong, chosen by its argument. Standard library only, so that it starts at once.

It speaks the 2025 protocol with two tools: `echo`, which answers with its arguments, and `odd`, which does the thing.
"""

import json
import os
import sys
import time

MODE = sys.argv[1]
MEBIBYTE = 1_048_576


def send(**message: object) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def raw(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(number: object, text: str, **more: object) -> None:
    send(id=number, result={"content": [{"type": "text", "text": text}], **more})


def tools() -> list[dict[str, object]]:
    anything = {"type": "object"}
    odd: dict[str, object] = {"name": "odd", "inputSchema": anything, "description": f"does {MODE}"}
    if MODE == "lies":
        odd["outputSchema"] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    return [{"name": "echo", "inputSchema": anything, "description": "says it again"}, odd]


def be_odd(number: object, params: dict[str, object]) -> None:
    match MODE:
        case "dies":
            print("about to die", file=sys.stderr, flush=True)
            os._exit(3)
        case "dies once":
            marker = sys.argv[2]
            if not os.path.exists(marker):  # noqa: PTH110
                open(marker, "w").close()  # noqa: PTH123
                os._exit(3)
            answer(number, "alive")
        case "closes its output":
            os.close(1)
            time.sleep(60)
        case "hangs":
            time.sleep(600)
        case "forgets":
            return
        case "floods stderr":
            for line in range(200_000):
                print(f"line {line} " + "x" * 80, file=sys.stderr)
            answer(number, "flooded")
        case "garbage":
            raw("this is not JSON at all\n\n[1, 2\n\x00\xff\n")
            answer(number, "after garbage")
        case "broken answer":
            raw(f'{{"jsonrpc": "2.0", "id": {json.dumps(number)}, "result": {{"content": [}}\n')
        case "invalid utf-8":
            sys.stdout.buffer.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":"\xff"}}\n' % number)
            sys.stdout.buffer.flush()
        case "no result":
            send(id=number, result={"nothing": "of use"})
        case "error":
            send(id=number, error={"code": -32050, "message": "the printer is on fire"})
        case "unknown id":
            send(id=987_654, result={"content": []})
            answer(number, "after a stray answer")
        case "lies":
            answer(number, "n is many", structuredContent={"n": "many"})
        case "large":
            answer(number, "x" * (50 * MEBIBYTE))
        case "large, id last":
            raw('{"result": {"content": [{"type": "text", "text": "')
            for _ in range(50):
                raw("x" * MEBIBYTE)
            raw(f'"}}]}}, "jsonrpc": "2.0", "id": {json.dumps(number)}}}\n')
        case "large, no id":
            raw("x" * (50 * MEBIBYTE) + "\n")
            answer(number, "after it")
        case "child":
            import subprocess

            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            answer(number, str(child.pid))
        case "environment":
            answer(number, json.dumps(dict(os.environ)))
        case "asks":
            send(id="q1", method=params["method"], params=params["params"])
            reply = json.loads(sys.stdin.readline())
            answer(number, json.dumps(reply.get("result") or reply.get("error")))
        case _:
            answer(number, "nothing odd")


def main() -> None:
    if MODE == "crashes at start":
        print("no configuration found", file=sys.stderr, flush=True)
        sys.exit(7)
    if MODE == "silent at start":
        time.sleep(600)
    if MODE == "talks at start":
        raw("Welcome to the server!\nListening …\n")
    for line in sys.stdin:
        message = json.loads(line)
        number, method, params = message.get("id"), message["method"], message.get("params", {})
        if method == "initialize":
            send(
                id=number,
                result={
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "odd", "version": "1"},
                },
            )
        elif method == "tools/list":
            if MODE == "endless list":
                page = int(params.get("cursor", 0)) + 1
                send(
                    id=number,
                    result={
                        "tools": [{"name": f"t{page}", "inputSchema": {"type": "object"}}],
                        "nextCursor": str(page),
                    },
                )
            else:
                if MODE == "restless":
                    send(method="notifications/tools/list_changed")
                send(id=number, result={"tools": tools()})
        elif method == "tools/call" and params["name"] == "echo":
            answer(number, json.dumps(params.get("arguments")))
        elif method == "tools/call":
            be_odd(number, params.get("arguments", {}))
        elif number is not None:
            send(id=number, error={"code": -32601, "message": "Method not found"})
    if MODE == "ignores the end":
        time.sleep(600)


if __name__ == "__main__":
    main()
