"""Commands, as whole processes, against `python -c pass`."""

import sys

from benchmarks.measure import caxton, paired, wall

RUNS = 15
COMMANDS = (
    ["version"],
    ["--help"],
    ["server", "status"],
    ["agent", "list"],
    ["agent", "list", "--output", "json"],
    ["message", "send", "bench", "Hello"],
    ["template", "list"],
)


def main() -> None:
    with caxton(agents={"bench": 'name = "bench"\nsystem_prompt = "You echo."\n'}) as (url, data, _, _):
        for arguments in COMMANDS:
            command = [sys.executable, "-m", "caxton", *arguments]
            ours, bare, ratio = paired(
                lambda command=command: wall(command, CAXTON_URL=url, CAXTON_DATA_DIR=str(data)),
                lambda: wall([sys.executable, "-c", "pass"]),
                RUNS,
            )
            words = "caxton " + " ".join(arguments)
            print(f"{words:38} median {ours * 1e3:4.0f} ms; python -c pass {bare * 1e3:3.0f} ms; ratio {ratio:.1f}")
