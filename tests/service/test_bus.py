from support.messages import a_request

from caxton.bus.metrics import BusMetrics
from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.service.bus import BusService
from caxton.testing.clock import FakeClock
from caxton.testing.messages import MemoryMessageStore


async def test_the_figures_have_what_waits_in_the_store():
    store, metrics = MemoryMessageStore(), BusMetrics(FakeClock())
    service = BusService(metrics=metrics, store=store)
    for agent in ("ada", "ada", "bob"):
        await store.append([message := a_request(agent=agent)])
        metrics.observe(BusEvent(kind=BusEventKind.ACCEPTED, at=1_800_000_000.0, message=message))
    told = await service.stats()
    assert {name: flow.queue.stored for name, flow in told.receivers.items()} == {"ada": 2, "bob": 1}
    assert (told.total.queue.stored, told.total.accepted) == (3, 3)
    one = await service.stats(receiver="bob")
    assert (list(one.receivers), one.total.queue.stored) == (["bob"], 1)
