"""What a thousand idle agents take: memory of the server against one with a single agent, and time to ready."""

import psutil

from benchmarks.measure import caxton

AGENTS = 1000
PROMPT = "You are a helpful agent with a system prompt of a usual length. " * 10


def main() -> None:
    sizes = {}
    for count in (1, AGENTS):
        agents = {f"agent-{n:04}": f'name = "agent-{n:04}"\nsystem_prompt = "{PROMPT}"\n' for n in range(count)}
        with caxton(agents=agents) as (_, _, pid, seconds):
            sizes[count] = psutil.Process(pid).memory_info().rss
            print(f"{count:5} agents: {sizes[count] / 2**20:.0f} MiB, ready in {seconds * 1e3:.0f} ms")
    print(f"an idle agent: {(sizes[AGENTS] - sizes[1]) / (AGENTS - 1) / 1024:.1f} KiB")
