"""SPADE with its embedded server: `with_spade.py ONE_WAY REQUESTS IN_FLIGHT`, two agents in one process."""

import asyncio
import json
import os
import sys
import time
from importlib.metadata import version

try:
    import spade
    from spade.agent import Agent
    from spade.behaviour import CyclicBehaviour, OneShotBehaviour
    from spade.message import Message
except ImportError:
    print("make bench-peers")
    sys.exit(3)

RECEIVER, SENDER = "receiver@localhost", "sender@localhost"
PATIENCE = 60
"""Seconds to wait for a message: more than any takes."""


def message(to: str, kind: str, number: int, text: str = "x" * 200) -> Message:
    return Message(to=to, sender=SENDER, body=json.dumps({"text": text, "number": number}), metadata={"kind": kind})


class Receive(CyclicBehaviour):
    def __init__(self) -> None:
        super().__init__()
        self.received, self.wanted, self.done = 0, -1, asyncio.Event()

    async def run(self) -> None:
        got = await self.receive(timeout=PATIENCE)
        if got is None:
            return
        number = json.loads(got.body)["number"]
        if got.get_metadata("kind") == "ask":
            await self.send(message(SENDER, "reply", number, "ok"))
            return
        assert number == self.received, "order is broken"
        self.received += 1
        if self.received == self.wanted:
            self.done.set()


class Send(OneShotBehaviour):
    """Both measurements, with the figures in `figures` when it is done."""

    def __init__(self, receive: Receive, told: int, asked: int, in_flight: int) -> None:
        super().__init__()
        self.receive_behaviour, self.told, self.asked, self.in_flight = receive, told, asked, in_flight
        self.figures: dict[str, float] = {}

    async def run(self) -> None:
        self.receive_behaviour.wanted = self.told
        began = time.perf_counter()
        for number in range(self.told):
            await self.send(message(RECEIVER, "tell", number))
        await asyncio.wait_for(self.receive_behaviour.done.wait(), PATIENCE)
        self.figures["one_way"] = self.told / (time.perf_counter() - began)
        began = time.perf_counter()
        for number in range(self.in_flight):
            await self.send(message(RECEIVER, "ask", number))
        for number in range(self.asked):
            got = await self.receive(timeout=PATIENCE)
            assert got is not None, f"reply {number} did not come"
            assert json.loads(got.body)["number"] == number, "order is broken"
            if number + self.in_flight < self.asked:
                await self.send(message(RECEIVER, "ask", number + self.in_flight))
        self.figures["requests"] = self.asked / (time.perf_counter() - began)


async def measure() -> None:
    told, asked, in_flight = map(int, sys.argv[1:])
    receiver, sender = Agent(RECEIVER, "secret"), Agent(SENDER, "secret")
    receive = Receive()
    send = Send(receive, told, asked, in_flight)
    receiver.add_behaviour(receive)
    await receiver.start()
    sender.add_behaviour(send)
    await sender.start()
    await send.join()
    if "requests" not in send.figures:
        raise RuntimeError(f"SPADE broke off: {send.exit_code!r}, {receive.exit_code!r}")
    print(json.dumps({"version": version("spade"), **send.figures}), flush=True)
    # Its agents and its server are not asked to stop: that may take them long, and whoever measures ends them all.
    os._exit(0)


spade.run(measure(), embedded_xmpp_server=True)
