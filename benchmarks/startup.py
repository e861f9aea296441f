"""From nothing to ready: the server with ten agents, the embedded model loading behind it, against `python -c pass`."""

import statistics
import sys

from benchmarks.measure import caxton, wall

RUNS = 10


def main() -> None:
    agents = {f"agent-{n}": f'name = "agent-{n}"\nsystem_prompt = "You help."\n' for n in range(10)}
    ready, bare = [], []
    for _ in range(RUNS):
        with caxton("", agents) as (_, _, _, seconds):
            ready.append(seconds)
        bare.append(wall([sys.executable, "-c", "pass"]))
    ratio = statistics.median(a / b for a, b in zip(ready, bare, strict=True))
    print(f"start to ready   median {statistics.median(ready) * 1e3:.0f} ms, worst {max(ready) * 1e3:.0f} ms")
    print(f"python -c pass   median {statistics.median(bare) * 1e3:.0f} ms; ratio {ratio:.1f}")
