"""What every memory has to do. A new backend is one more id of the fixture `backend`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.memories import BACKENDS, MINE, Backend, found, note, within

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import (
    MemoryEntry,
    MemoryFilter,
    MemoryLimits,
    MemoryQuery,
    MemoryRecord,
    MemorySpace,
    NewMemory,
    Relation,
    SearchMode,
)
from caxton.domain.ports.memory import Memory

THEIRS = MemorySpace(scope=MemoryScope.AGENT, owner="other")
SHARED = MemorySpace(scope=MemoryScope.WORKSPACE, owner="office")
EVERYONES = MemorySpace(scope=MemoryScope.GLOBAL)
TALK = MemorySpace(scope=MemoryScope.SESSION, owner="helper")
SPACES = (MINE, THEIRS, SHARED, EVERYONES, TALK)
ALL = MemoryFilter(spaces=None)
MODES = list(SearchMode)


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    async with AsyncExitStack() as stack:
        yield Backend(tmp_path, stack, request.param)


@pytest.fixture
async def memory(backend: Backend) -> Memory:
    return await backend.open()


async def values(memory: Memory, filter: MemoryFilter) -> list:
    return [entry.value for entry in await memory.newest(filter, limit=1000)]


async def exported(memory: Memory, filter: MemoryFilter = ALL) -> list[MemoryRecord]:
    return [record async for record in memory.export(filter)]


class TestRemembering:
    async def test_an_entry_is_kept_whole(self, memory, backend):
        entry = await note(
            memory,
            {"name": "Zoë 👋", "ages": [1, 2.5, None], "nested": {"yes": True}},
            key="who",
            tags=("person", "näme"),
            importance=0.9,
            subject="zoe",
            source="message-1",
            expires_at=backend.clock.now() + 60,
        )
        assert entry.created_at == entry.updated_at == entry.used_at == backend.clock.now()
        assert entry.space == MINE
        assert await memory.get(MINE, "who") == entry
        assert await memory.newest(within(), limit=10) == [entry]

    @pytest.mark.parametrize(
        "value", ["", "text", "line\nbreak\ttab", 0, 2**60, 1.5, True, None, [], {}, ["a", {"b": 1}]]
    )
    async def test_any_json_value_comes_back_as_it_was(self, memory, value):
        await note(memory, value, key="k")
        back = (await memory.get(MINE, "k")).value
        assert back == value
        assert type(back) is type(value)

    async def test_a_key_is_unique_in_its_space_and_setting_it_again_replaces(self, memory, backend):
        first = await note(memory, "red", key="colour", tags=("old",))
        await note(memory, "other red", THEIRS, key="colour")
        await backend.clock.advance(10)
        second = await note(memory, "blue", key="colour", tags=("new",))
        assert (second.id, second.created_at) == (first.id, first.created_at)
        assert second.updated_at == first.updated_at + 10
        assert (await memory.get(MINE, "colour")).value == "blue"
        assert (await memory.get(THEIRS, "colour")).value == "other red"
        for mode in MODES:
            assert await found(memory, "colour blue", mode) == ["blue"]
        assert await found(memory, "red", SearchMode.EXACT) == []
        assert await values(memory, within(tags=("old",))) == []
        assert (await memory.stats([MINE])).entries == 1

    async def test_what_is_not_there_is_none(self, memory):
        assert await memory.get(MINE, "nothing") is None
        assert await memory.newest(within(), limit=10) == []
        assert await memory.forget(within()) == 0

    async def test_ids_are_in_the_order_of_their_making(self, memory):
        entries = await memory.remember(MINE, [NewMemory(value=n) for n in range(50)])
        assert [entry.id for entry in entries] == sorted({entry.id for entry in entries})
        assert await values(memory, within()) == list(range(49, -1, -1))

    async def test_a_tag_given_twice_is_there_once(self, memory):
        assert (await note(memory, "a", tags=("x", "y", "x"))).tags == ("x", "y")
        assert await values(memory, within(tags=("x", "y"))) == ["a"]

    async def test_nothing_to_remember_is_fine(self, memory):
        assert await memory.remember(MINE, []) == []

    @pytest.mark.parametrize(
        "new",
        [
            NewMemory(value="a\0b"),
            NewMemory(value="half \ud83d of a character"),
            NewMemory(value={"nested": ["\udc00"]}),
            NewMemory(value={"a": len}),
            NewMemory(value="x" * 10_000_000),
            NewMemory(value="a", key=""),
            NewMemory(value="a", key="k\0"),
            NewMemory(value="a", key="k" * 513),
            NewMemory(value="a", tags=("",)),
            NewMemory(value="a", tags=tuple(map(str, range(65)))),
            NewMemory(value="a", importance=1.1),
            NewMemory(value="a", importance=float("nan")),
            NewMemory(value="a", expires_at=float("inf")),
        ],
        ids=lambda new: repr(new)[:60],
    )
    async def test_what_cannot_be_stored_is_refused_and_nothing_is_lost(self, memory, new):
        await note(memory, "kept")
        with pytest.raises(CaxtonError) as raised:
            await memory.remember(MINE, [NewMemory(value="good"), new])
        assert raised.value.code is Code.MEMORY_INVALID
        assert await values(memory, within()) == ["kept"]
        assert await found(memory, "kept good") == ["kept"]

    @pytest.mark.parametrize(
        "space",
        [
            MemorySpace(scope=MemoryScope.AGENT),
            MemorySpace(scope=MemoryScope.GLOBAL, owner="x"),
            MemorySpace(scope=MemoryScope.SESSION, owner="\ud800"),
        ],
    )
    async def test_a_space_that_is_none_is_refused(self, memory, space):
        with pytest.raises(CaxtonError) as raised:
            await note(memory, "a", space)
        assert raised.value.code is Code.MEMORY_INVALID

    async def test_many_at_once_are_all_kept(self, memory):
        await asyncio.gather(*(note(memory, f"number {n}", SPACES[n % 5], key=str(n)) for n in range(300)))
        assert len(await memory.newest(ALL, limit=1000)) == 300
        assert (await memory.stats()).pending == 0


class TestSearching:
    @pytest.fixture(autouse=True)
    async def entries(self, memory):
        await memory.remember(
            MINE,
            [
                NewMemory(value="The cat sleeps on the warm stove", tags=("animal", "home")),
                NewMemory(value="A dog barks in the garden", tags=("animal",)),
                NewMemory(value="Rent is due on the first of the month", tags=("money", "home")),
            ],
        )
        await note(memory, "The cat of the neighbour is called Tom", THEIRS)

    @pytest.mark.parametrize("mode", MODES)
    async def test_the_best_comes_first(self, memory, mode):
        assert (await found(memory, "cat stove", mode))[0] == "The cat sleeps on the warm stove"
        assert (await found(memory, "barks garden", mode, limit=1)) == ["A dog barks in the garden"]

    async def test_an_exact_search_wants_every_word_and_phrases_whole(self, memory):
        assert await found(memory, "cat garden", SearchMode.EXACT) == []
        assert len(await found(memory, "the cat", SearchMode.EXACT)) == 1
        assert len(await found(memory, '"warm stove" cat', SearchMode.EXACT)) == 1
        assert await found(memory, '"stove warm"', SearchMode.EXACT) == []

    @pytest.mark.parametrize(
        "text", ["", "  ", "?!", '"', '""', "the of and", "a' OR \"1", "x NEAR y*", "col:x", "-cat"]
    )
    @pytest.mark.parametrize("mode", MODES)
    async def test_any_text_can_be_searched_for(self, memory, text, mode):
        await found(memory, text, mode)

    @pytest.mark.parametrize("text", ["a\0b", "\ud800"])
    async def test_text_that_is_none_is_refused(self, memory, text):
        with pytest.raises(CaxtonError) as raised:
            await found(memory, text)
        assert raised.value.code is Code.MEMORY_INVALID

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    async def test_a_limit_out_of_range_is_refused(self, memory, limit):
        with pytest.raises(CaxtonError, match=str(limit)):
            await found(memory, "cat", limit=limit)

    async def test_hits_carry_their_similarity_and_are_ordered_by_score(self, memory):
        result = await memory.search(MemoryQuery(text="cat on the stove", filter=within()))
        assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)
        similar = [hit.similarity for hit in result.hits]
        assert similar[0] == max(similar)
        assert all(-1.01 < one < 1.01 for one in similar)

    async def test_a_key_is_searched_with_its_value(self, memory):
        await note(memory, "teal", key="favourite colour")
        for mode in MODES:
            assert (await found(memory, "favourite colour", mode))[0] == "teal"

    @pytest.mark.parametrize("mode", MODES)
    async def test_filters_hold_in_every_mode(self, memory, backend, mode):
        text = "cat dog rent" if mode is not SearchMode.EXACT else "the"
        assert set(await found(memory, text, mode, tags=("home",))) <= {
            "The cat sleeps on the warm stove",
            "Rent is due on the first of the month",
        }
        assert await found(memory, "cat", mode, tags=("animal", "home")) == ["The cat sleeps on the warm stove"]
        assert await found(memory, text, mode, tags=("absent",)) == []
        await backend.clock.advance(100)
        await note(memory, "cat again", importance=1.0, subject="ann", key="late")
        now = backend.clock.now()
        for condition in (
            {"created_from": now},
            {"used_from": now},
            {"min_importance": 0.9},
            {"subject": "ann"},
            {"key": "late"},
        ):
            assert await found(memory, "cat", mode, **condition) == ["cat again"]
        assert "cat again" not in await found(memory, "cat", mode, created_until=now)
        assert "cat again" not in await found(memory, "cat", mode, used_until=now)

    @pytest.mark.parametrize("mode", MODES)
    async def test_no_space_means_nothing_and_none_means_all(self, memory, mode):
        assert await found(memory, "cat", mode, filter=MemoryFilter(spaces=())) == []
        assert len(await found(memory, "cat", mode, filter=ALL)) >= 2
        both = await found(memory, "cat", mode, filter=within(MINE, THEIRS))
        assert {"The cat sleeps on the warm stove", "The cat of the neighbour is called Tom"} <= set(both)

    @pytest.mark.parametrize("mode", MODES)
    async def test_what_has_expired_is_not_found(self, memory, backend, mode):
        await note(memory, "cat for a minute", key="brief", expires_at=backend.clock.now() + 60)
        assert "cat for a minute" in await found(memory, "cat minute", mode)
        await backend.clock.advance(59)
        assert await memory.get(MINE, "brief")
        await backend.clock.advance(1)
        assert await memory.get(MINE, "brief") is None
        assert "cat for a minute" not in await found(memory, "cat minute", mode)
        assert "cat for a minute" not in await values(memory, within())

    async def test_searching_notes_nothing_but_use_does(self, memory, backend):
        (entry,) = await memory.newest(within(tags=("money",)), limit=1)
        await backend.clock.advance(5)
        await found(memory, "rent")
        assert (await memory.newest(within(tags=("money",)), limit=1)) == [entry]
        await memory.used([entry.id, "no such id"])
        (later,) = await memory.newest(within(tags=("money",)), limit=1)
        assert later == msgspec.structs.replace(entry, used_at=backend.clock.now())


class TestListing:
    async def test_pages_follow_one_another(self, memory, backend):
        for n in range(7):
            await note(memory, n)
            await backend.clock.advance(1)
        seen, before = [], None
        while page := await memory.newest(within(), limit=3, before=before):
            seen += [entry.value for entry in page]
            before = page[-1].id
        assert seen == [6, 5, 4, 3, 2, 1, 0]
        assert await memory.newest(within(), limit=3, before="no such id") == []

    async def test_times_are_half_open(self, memory, backend):
        start = backend.clock.now()
        for n in range(4):
            await note(memory, n)
            await backend.clock.advance(10)
        assert await values(memory, within(created_from=start + 10, created_until=start + 30)) == [2, 1]


class TestLimits:
    async def test_the_least_important_and_longest_unused_go_first(self, memory, backend):
        limits = MemoryLimits(max_entries=3)
        entries = {}
        for name, importance in (("a", 0.5), ("b", 0.9), ("c", 0.5), ("d", 0.1)):
            entries[name] = await note(memory, name, importance=importance)
            await backend.clock.advance(1)
        await memory.used([entries["a"].id])
        await memory.remember(MINE, [NewMemory(value="e")], limits=limits)
        assert set(await values(memory, within())) == {"a", "b", "e"}
        assert await found(memory, "d c", SearchMode.EXACT) == []

    async def test_bytes_are_limited_and_what_is_new_stays(self, memory):
        await note(memory, "x" * 100, importance=1)
        await note(memory, "other space", THEIRS)
        await memory.remember(MINE, [NewMemory(value="y" * 90, importance=0.1)], limits=MemoryLimits(max_bytes=150))
        assert await values(memory, within()) == ["y" * 90]
        assert (await memory.stats([MINE])).bytes == 92
        assert await values(memory, within(THEIRS)) == ["other space"]

    async def test_age_and_expiry_are_trimmed(self, memory, backend):
        await note(memory, "old")
        await note(memory, "brief", expires_at=backend.clock.now() + 5)
        await backend.clock.advance(10)
        assert await memory.trim(MINE, MemoryLimits()) == 1
        await note(memory, "new")
        assert await memory.trim(MINE, MemoryLimits(max_age=9)) == 1
        assert await values(memory, within()) == ["new"]
        assert await memory.trim(TALK, MemoryLimits(max_entries=1)) == 0

    async def test_what_has_expired_is_deleted_in_the_background(self, memory, backend):
        await note(memory, "brief", expires_at=backend.clock.now() + 5)
        await backend.clock.advance(10)
        await memory.settle()
        assert (await memory.stats()).entries == 0

    @pytest.mark.parametrize("limits", [MemoryLimits(max_entries=0), MemoryLimits(max_age=-1.0)])
    async def test_a_limit_that_leaves_nothing_is_refused(self, memory, limits):
        with pytest.raises(CaxtonError) as raised:
            await memory.remember(MINE, [NewMemory(value="a")], limits=limits)
        assert raised.value.code is Code.MEMORY_INVALID


class TestRelations:
    async def chain(self, memory, *names: str, space=MINE) -> list[str]:
        ids = [(await note(memory, name, space)).id for name in names]
        for one, other in pairwise(ids):
            await memory.relate(SPACES, one, "leads to", other)
        return ids

    async def test_a_walk_goes_both_ways_and_tells_how_it_went(self, memory):
        a, b, c = await self.chain(memory, "a", "b", "c")
        await memory.relate([MINE], a, "knows", b)
        reached = await memory.related([MINE], a, hops=2)
        assert [(one.entry.value, one.hops) for one in reached] == [("b", 1), ("c", 2)]
        assert reached[1].kinds[1] == "leads to"
        assert [one.entry.value for one in await memory.related([MINE], c, hops=1)] == ["b"]
        assert [one.entry.value for one in await memory.related([MINE], a, hops=5, kinds=["knows"])] == ["b"]
        assert b

    async def test_a_walk_ends_after_five_hops_and_where_it_is_limited(self, memory):
        ids = await self.chain(memory, *"abcdefgh")
        await memory.relate([MINE], ids[3], "back to", ids[0])
        reached = await memory.related([MINE], ids[0], hops=5)
        assert [(one.entry.value, one.hops) for one in reached] == [
            ("b", 1), ("d", 1), ("c", 2), ("e", 2), ("f", 3), ("g", 4), ("h", 5),
        ]  # fmt: skip
        assert [len(one.kinds) for one in reached] == [one.hops for one in reached]
        assert len(await memory.related([MINE], ids[0], hops=5, limit=2)) == 2
        for hops in (0, 6):
            with pytest.raises(CaxtonError, match="1 to 5 hops"):
                await memory.related([MINE], ids[0], hops=hops)

    async def test_a_walk_never_goes_through_other_spaces(self, memory):
        mine = await note(memory, "mine")
        theirs = await note(memory, "theirs", THEIRS)
        beyond = await note(memory, "mine beyond")
        await memory.relate(SPACES, mine.id, "to", theirs.id)
        await memory.relate(SPACES, theirs.id, "to", beyond.id)
        assert await memory.related([MINE], mine.id, hops=5) == []
        assert len(await memory.related([MINE, THEIRS], mine.id, hops=5)) == 2
        for call in (
            memory.related([MINE], theirs.id),
            memory.relate([MINE], mine.id, "to", theirs.id),
            memory.unrelate([MINE], mine.id, "to", theirs.id),
            memory.relate([MINE], mine.id, "to", "no such id"),
        ):
            with pytest.raises(CaxtonError) as raised:
                await call
            assert raised.value.code is Code.MEMORY_NOT_FOUND

    async def test_edges_are_drawn_once_removed_once_and_go_with_their_ends(self, memory):
        a, b = await self.chain(memory, "a", "b")
        await memory.relate([MINE], a, "leads to", b)
        assert await memory.unrelate([MINE], a, "leads to", b) is True
        assert await memory.unrelate([MINE], a, "leads to", b) is False
        assert await memory.related([MINE], a) == []
        await memory.relate([MINE], a, "leads to", b)
        await memory.forget(within(ids=(b,)))
        assert await memory.related([MINE], a) == []

    async def test_an_entry_is_not_related_to_itself(self, memory):
        entry = await note(memory, "a")
        with pytest.raises(CaxtonError, match="itself"):
            await memory.relate([MINE], entry.id, "is", entry.id)


class TestForgetting:
    async def test_a_persons_data_is_forgotten_everywhere(self, memory):
        for space in SPACES:
            await note(memory, f"Ann likes secretword {space.scope}", space, subject="ann", key="ann", tags=("t",))
            await note(memory, "Bob likes tea", space, subject="bob")
        assert await memory.forget(MemoryFilter(spaces=None, subject="ann")) == 5
        assert await values(memory, MemoryFilter(spaces=None, subject="ann")) == []
        for mode in (SearchMode.EXACT, SearchMode.HYBRID):
            assert all("Bob" in value for value in await found(memory, "secretword", mode, filter=ALL))
        assert (await memory.stats()).entries == 5

    async def test_forgetting_keeps_to_its_filter(self, memory):
        kept = await note(memory, "kept", tags=("b",))
        gone = await note(memory, "gone", tags=("a", "b"))
        await note(memory, "theirs", THEIRS, tags=("a",))
        assert await memory.forget(within(tags=("a",))) == 1
        assert await memory.forget(within(ids=(gone.id,))) == 0
        assert await memory.newest(within(), limit=10) == [kept]
        assert await values(memory, within(THEIRS)) == ["theirs"]
        assert await memory.forget(ALL) == 2
        assert (await memory.stats()).spaces == 0


class TestExport:
    async def test_an_export_restored_is_the_same(self, memory, backend):
        ids = []
        for n, space in enumerate(SPACES * 3):
            entry = await note(memory, {"n": n}, space, key=f"k{n}", tags=("a", str(n)), importance=n / 20, subject="s")
            ids.append(entry.id)
            await backend.clock.advance(1)
        await memory.relate(SPACES, ids[0], "next", ids[1])
        records = await exported(memory)
        assert [type(one) for one in records] == [MemoryEntry] * 15 + [Relation]
        other = await backend.open("other")
        await backend.clock.advance(1000)
        lines = [msgspec.json.decode(msgspec.json.encode(one), type=MemoryRecord) for one in records]
        assert await other.restore(lines) == 16
        assert await exported(other) == records
        assert await other.restore(lines) == 0
        assert [one.entry.id for one in await other.related(SPACES, ids[0])] == [ids[1]]
        await other.settle()
        assert (await other.stats()).pending == 0
        assert await found(other, '{"n": 7}', SearchMode.SEMANTIC, limit=1, filter=ALL) == [{"n": 7}]

    async def test_an_export_keeps_to_its_filter(self, memory):
        mine, theirs = await note(memory, "mine"), await note(memory, "theirs", THEIRS)
        await memory.relate(SPACES, mine.id, "to", theirs.id)
        assert await exported(memory, within()) == [mine]

    async def test_a_key_that_is_taken_is_not_given_away(self, memory, backend):
        entry = await note(memory, "first", key="k")
        other = await backend.open("other")
        await note(other, "second", key="k")
        assert await other.restore([entry]) == 0
        assert (await other.get(MINE, "k")).value == "second"

    async def test_what_cannot_be_stored_is_refused_whole(self, memory):
        entry = await note(memory, "first")
        await memory.forget(ALL)
        bad = msgspec.structs.replace(entry, id="2", value="\0")
        with pytest.raises(CaxtonError) as raised:
            await memory.restore([entry, bad])
        assert raised.value.code is Code.MEMORY_INVALID
        assert await exported(memory) == []

    async def test_many_entries_are_exported_and_restored(self, memory, backend):
        await memory.remember(MINE, [NewMemory(value=n) for n in range(1203)])
        records = await exported(memory)
        assert [record.value for record in records] == list(range(1203))
        other = await backend.open("other")
        assert await other.restore(records) == 1203


operations = st.lists(
    st.tuples(
        st.sampled_from(["remember", "set", "forget", "relate"]),
        st.sampled_from(SPACES),
        st.sampled_from(["apple", "banana", "cherry", "apple banana"]),
    ),
    max_size=12,
)


@pytest.mark.parametrize("kind", BACKENDS)
@given(operations=operations, given=st.sets(st.sampled_from(SPACES)), text=st.sampled_from(["apple", "cherry banana"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_of_a_space_is_seen_by_who_was_not_given_it(kind, tmp_path_factory, operations, given, text):
    """Whatever was done in whatever spaces, every way of reading gives entries of the spaces given and no others."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            memory = await Backend(tmp_path_factory.mktemp("spaces"), stack, kind).open()
            known: dict[str, MemorySpace] = {}
            for what, space, value in operations:
                if what == "forget":
                    await memory.forget(MemoryFilter(spaces=(space,)))
                    known = {id: home for id, home in known.items() if home != space}
                elif what == "relate" and len(known) > 1:
                    one, *_, other = known
                    await memory.relate(SPACES, one, value, other)
                else:
                    entry = await note(memory, value, space, key="k" if what == "set" else None, tags=(value,))
                    known[entry.id] = space
            spaces = tuple(sorted(given))
            expected = {id for id, home in known.items() if home in given}
            filter = MemoryFilter(spaces=spaces)
            assert {entry.id for entry in await memory.newest(filter, limit=100)} == expected
            assert {
                record.id for record in await exported(memory, filter) if isinstance(record, MemoryEntry)
            } == expected
            for mode in MODES:
                for narrow in (
                    filter,
                    MemoryFilter(spaces=spaces, tags=("apple",)),
                    MemoryFilter(spaces=spaces, key="k"),
                ):
                    hits = (await memory.search(MemoryQuery(text=text, filter=narrow, mode=mode, limit=50))).hits
                    assert {hit.entry.id for hit in hits} <= expected
            for id in expected:
                assert {one.entry.id for one in await memory.related(spaces, id, hops=5)} <= expected
            assert (await memory.stats(spaces)).entries == len(expected)
            assert await memory.forget(MemoryFilter(spaces=spaces, ids=tuple(set(known) - expected))) == 0

    asyncio.run(run())
