"""NATS JetStream: `with_nats.py MESSAGES BYTES IN_FLIGHT`, acknowledged publishes to a file on a server of its own.

The server acknowledges a message when it has written it to its file, and syncs the file every two minutes.
"""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

try:
    import nats
    from nats.js.api import StorageType
except ImportError:
    print("make bench-peers")
    sys.exit(3)

PATIENCE = 10.0
"""Seconds until the server has to answer."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def connected(port: int) -> nats.NATS:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False)
        except (OSError, nats.errors.NoServersError):
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.05)


async def measure(port: int, count: int, size: int, in_flight: int) -> dict[str, float]:
    client = await connected(port)
    # As many acknowledgements as there are publishers may be under way at once.
    stream = client.jetstream(timeout=PATIENCE)
    await stream.add_stream(name="bench", subjects=["bench"], storage=StorageType.FILE)
    body, waits = b"x" * size, []

    async def publisher() -> None:
        for _ in range(count // in_flight):
            began = time.perf_counter()
            await stream.publish("bench", body)
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(publisher() for _ in range(in_flight)))
    seconds = time.perf_counter() - began
    stored = (await stream.stream_info("bench")).state.messages
    assert stored == len(waits), f"{stored} of {len(waits)} are stored"
    await client.close()
    waits.sort()
    return {"accepted": len(waits) / seconds, "p50": waits[len(waits) // 2], "p99": waits[int(len(waits) * 0.99)]}


def main() -> None:
    server = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin")
    if server is None:
        print("the server: apt-get install nats-server")
        sys.exit(3)
    count, size, in_flight = map(int, sys.argv[1:])
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [server, "--jetstream", "--store_dir", folder, "--addr", "127.0.0.1", "--port", str(port)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            try:
                figures = asyncio.run(measure(port, count, size, in_flight))
            finally:
                running.terminate()
    print(json.dumps({"version": f"{said}, nats-py {version('nats-py')}", **figures}))


main()
