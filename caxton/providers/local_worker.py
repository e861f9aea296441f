"""The process that runs the embedded model: llama.cpp's own server, on a loopback port of its own.

Told what to do by one line of JSON on standard input, it answers with one on standard output: `{"url": …}` when it
serves, `{"error": …}` when it cannot. It ends when its standard input does, and that is when its parent is gone, in
whatever way. A model that takes its process down takes down this one, not the server.
"""

import json
import os
import sys

import xllamacpp


def main() -> None:
    """Serve until standard input ends."""
    # llama.cpp prints to standard output at times, which here carries the protocol: move that away from file 1.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.readline())
    try:
        server = serve(task)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        sys.exit(1)
    print(json.dumps({"url": server.listening_address}), file=answers, flush=True)
    sys.stdin.read()
    # Without the interpreter's and the model's own clean-up, which waits for answers nobody is there to read.
    os._exit(0)


def serve(task: dict[str, object]) -> "xllamacpp.Server":
    """A listening server. `context_length` is in tokens for each of `parallel` answers at once."""
    params = xllamacpp.CommonParams()
    params.model.path = str(task["model_path"])
    params.model_alias = [str(task["model"])]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [str(task["key"])]
    params.n_parallel = int(str(task["parallel"]))
    params.n_ctx = int(str(task["context_length"])) * params.n_parallel
    params.cpuparams.n_threads = int(str(task["threads"]))
    params.use_jinja = True
    params.ui = False
    params.endpoint_slots = False
    params.warmup = False
    params.cache_ram_mib = 512
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
