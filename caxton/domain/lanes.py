"""The order in which one receiver's messages are begun.

A lane holds the messages of one conversation, in the order they came; one of them at a time is under way. Lanes that
are ready wait by the priority of the most urgent message in them, and among equals in turn. Every so many takes the
lane that has waited longest goes first, whatever its priority, so that none waits for ever: with `n` lanes ready, each
is taken within `n * EVERY` takes.
"""

from collections import deque

from caxton.domain.message import Message

PRIORITIES = 10
"""From 0 to 9, the most urgent."""
EVERY = 8
"""How many takes there are to one that goes by waiting alone."""
SLACK = 64
"""How many void entries a queue may have before it is looked through."""


class Lane:
    """One conversation's messages. `priority` is that of the queue it waits in, `turn` says when it began to wait."""

    __slots__ = ("_level", "_peaks", "conversation", "messages", "priority", "turn")

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.messages: deque[tuple[Message, bool]] = deque()
        self._level = -1
        """The priority of all messages, as long as they have the same."""
        self._peaks: deque[int] | None = None
        """Else those that are the highest of all that came since: the first of them is the highest there is."""
        self.priority = -1
        self.turn = -1
        """-1 while it does not wait: its head is under way, or it is held."""

    @property
    def urgency(self) -> int:
        """The highest priority of its messages."""
        return self._peaks[0] if self._peaks else self._level

    def append(self, message: Message, again: bool) -> None:
        priority, peaks = message.priority, self._peaks
        if peaks is None:
            if priority == self._level or not self.messages:
                self._level = priority
                self.messages.append((message, again))
                return
            peaks = self._peaks = deque([self._level] * len(self.messages))
        self.messages.append((message, again))
        while peaks and peaks[-1] < priority:
            peaks.pop()
        peaks.append(priority)

    def popleft(self) -> None:
        message, _ = self.messages.popleft()
        if self._peaks and message.priority == self._peaks[0]:
            self._peaks.popleft()


class Lanes:
    """All lanes of one receiver. Nothing here waits: whoever takes a message says when it is done with."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._ready: list[deque[tuple[Lane, int]]] = [deque() for _ in range(PRIORITIES)]
        self._count = 0
        self._ready_lanes = 0
        self._turns = 0
        self._takes = 0
        self._top = -1
        """No queue above this one has an entry."""

    def __len__(self) -> int:
        """Messages in all lanes, those under way included."""
        return self._count

    @property
    def ready(self) -> int:
        """Lanes from which a message may be taken now."""
        return self._ready_lanes

    def put(self, message: Message, *, again: bool = False) -> Lane:
        """Add a message at the end of its conversation's lane."""
        lane = self._lanes.get(message.conversation_id)
        self._count += 1
        if lane is None:
            lane = self._lanes[message.conversation_id] = Lane(message.conversation_id)
            lane.append(message, again)
            self._wait(lane)
        else:
            lane.append(message, again)
            if lane.turn >= 0 and message.priority > lane.priority:
                # It waits from when it did, with the urgency of what it holds; the earlier entry has become void.
                lane.priority = message.priority
                self._enter(lane)
        return lane

    def take(self) -> tuple[Lane, Message, bool] | None:
        """The head of the lane whose turn it is, which is under way from now on; it stays in its lane."""
        if not self._ready_lanes:
            return None
        self._takes += 1
        lane = self._longest_waiting() if self._takes % EVERY == 0 else self._most_urgent()
        lane.turn = -1
        self._ready_lanes -= 1
        message, again = lane.messages[0]
        return lane, message, again

    def done(self, lane: Lane) -> None:
        """The head of a lane is dealt with; what follows may be taken."""
        lane.popleft()
        self._count -= 1
        if lane.messages:
            self._wait(lane)
        else:
            del self._lanes[lane.conversation]

    def again(self, lane: Lane, *, begun: bool = True) -> None:
        """The head of a lane, which was taken, waits to be taken once more; `begun` says whether it was begun then."""
        message, _ = lane.messages[0]
        lane.messages[0] = message, begun
        self._wait(lane)

    def clear(self) -> list[Message]:
        """Take out every message, those under way included; in no order between conversations."""
        messages = [message for lane in self._lanes.values() for message, _ in lane.messages]
        self._lanes.clear()
        for queue in self._ready:
            queue.clear()
        self._count = self._ready_lanes = 0
        return messages

    def _wait(self, lane: Lane) -> None:
        lane.turn = self._turns
        lane.priority = lane.urgency
        self._turns += 1
        self._ready_lanes += 1
        self._enter(lane)

    def _enter(self, lane: Lane) -> None:
        queue = self._ready[lane.priority]
        queue.append((lane, lane.turn))
        if lane.priority > self._top:
            self._top = lane.priority
        if len(queue) > 2 * self._ready_lanes + SLACK:
            # Most of them are void: of lanes that rose, or that are held.
            valid = [entry for entry in queue if _waits(entry, lane.priority)]
            queue.clear()
            queue.extend(valid)

    def _most_urgent(self) -> Lane:
        while True:
            queue = self._ready[self._top]
            while queue:
                entry = queue.popleft()
                if _waits(entry, self._top):
                    return entry[0]
            self._top -= 1

    def _longest_waiting(self) -> Lane:
        """Of the lanes at the heads of the queues: all that wait are taken before any that begins to wait later."""
        oldest: deque[tuple[Lane, int]] | None = None
        for priority, queue in enumerate(self._ready):
            while queue and not _waits(queue[0], priority):
                queue.popleft()
            if queue and (oldest is None or queue[0][1] < oldest[0][1]):
                oldest = queue
        if oldest is None:
            raise AssertionError("a lane that is ready is in a queue")
        return oldest.popleft()[0]


def _waits(entry: tuple[Lane, int], priority: int) -> bool:
    """Whether an entry of the queue of that priority still stands."""
    lane, turn = entry
    return lane.turn == turn and lane.priority == priority
