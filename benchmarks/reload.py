"""From a saved file to the new behaviour: 200 edits, each over when a message is answered under the new prompt."""

import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import SCRIPTED, caxton, quantile

EDITS = 200
FILE = 'name = "bench"\nsystem_prompt = "version {}"\n'


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.toml"
        script.write_text('[[rules]]\nreply = "{system}"\n')
        settings = f"{SCRIPTED}script = {json.dumps(str(script))}\n"
        with caxton(settings, {"bench": FILE.format("start")}) as (url, data, _, _):
            measure(url, data / "agents" / "bench.toml")


def measure(url: str, file: Path) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def answer() -> str:
        connection.request("POST", "/agents/bench/message", body='{"text": "?", "history": []}')
        return str(json.loads(connection.getresponse().read())["text"])

    waits = []
    for number in range(EDITS):
        began = time.perf_counter()
        file.write_text(FILE.format(number))
        while answer() != f"version {number}":
            pass
        waits.append(time.perf_counter() - began)
        time.sleep(0.02)
    print(
        f"save to new behaviour, {EDITS} edits: p50 {statistics.median(waits) * 1e3:.0f} ms, "
        f"p99 {quantile(waits, 0.99) * 1e3:.0f} ms, worst {max(waits) * 1e3:.0f} ms"
    )
