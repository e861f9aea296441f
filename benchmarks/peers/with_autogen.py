"""autogen-core: `with_autogen.py ONE_WAY REQUESTS IN_FLIGHT`, so many messages each way, in one process."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

try:
    from autogen_core import (
        AgentId,
        DefaultTopicId,
        MessageContext,
        RoutedAgent,
        SingleThreadedAgentRuntime,
        TypeSubscription,
        message_handler,
    )
except ImportError:
    print("make bench-peers")
    sys.exit(3)


@dataclass
class Told:
    content: dict[str, Any]


@dataclass
class Asked:
    content: dict[str, Any]


class Receiver(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("receives")
        self.received = 0

    @message_handler
    async def on_told(self, message: Told, ctx: MessageContext) -> None:
        assert message.content["number"] == self.received, "order is broken"
        self.received += 1

    @message_handler
    async def on_asked(self, message: Asked, ctx: MessageContext) -> Asked:
        return Asked({"text": "ok", "number": message.content["number"]})


def content(number: int) -> dict[str, Any]:
    return {"text": "x" * 200, "number": number}


async def one_way(count: int) -> float:
    runtime = SingleThreadedAgentRuntime()
    await Receiver.register(runtime, "receiver", Receiver)
    await runtime.add_subscription(TypeSubscription("default", "receiver"))
    runtime.start()
    began = time.perf_counter()
    for number in range(count):
        await runtime.publish_message(Told(content(number)), DefaultTopicId())
    await runtime.stop_when_idle()
    seconds = time.perf_counter() - began
    agent = await runtime.try_get_underlying_agent_instance(AgentId("receiver", "default"), Receiver)
    assert agent.received == count, f"{agent.received} of {count} arrived"
    return count / seconds


async def requests(count: int, in_flight: int) -> float:
    runtime = SingleThreadedAgentRuntime()
    await Receiver.register(runtime, "receiver", Receiver)
    runtime.start()
    to = AgentId("receiver", "default")

    async def asker() -> None:
        for number in range(count // in_flight):
            reply = await runtime.send_message(Asked(content(number)), to)
            assert reply.content["number"] == number

    began = time.perf_counter()
    await asyncio.gather(*(asker() for _ in range(in_flight)))
    seconds = time.perf_counter() - began
    await runtime.stop()
    return count // in_flight * in_flight / seconds


def main() -> None:
    told, asked, in_flight = map(int, sys.argv[1:])
    figures = {"one_way": asyncio.run(one_way(told)), "requests": asyncio.run(requests(asked, in_flight))}
    print(json.dumps({"version": version("autogen-core"), **figures}))


main()
