"""`python -m benchmarks [NAME …]`: run the named benchmarks, or all."""

import sys
from importlib import import_module

NAMES = (
    "startup",
    "cli",
    "reload",
    "http_message",
    "idle_agents",
    "provider_layer",
    "memory_search",
    "context",
    "tool_call",
    "wasm_call",
    "bus",
    "bus_durable",
    "bus_routing",
    "bus_memory",
)


def main() -> int:
    chosen = sys.argv[1:] or NAMES
    if unknown := set(chosen) - set(NAMES):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    for name in chosen:
        print(f"== {name}", flush=True)
        import_module(f"benchmarks.{name}").main()
    return 0


sys.exit(main())
