"""CrewAI's memories in a swarm: all of a storage's methods, and no change is lost."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("crewai", reason="CrewAI has an environment of its own")

from adapter_processes import ended, go, started
from crewai import Memory
from crewai.memory.storage.backend import EmbeddingDimensionMismatchError, StorageBackend
from crewai.memory.storage.factory import set_memory_storage_factory
from crewai.memory.types import MemoryRecord

from swarm_memory import ConflictError, InvalidValueError, Swarm, SwarmMemoryManager
from swarm_memory.adapters.crewai import SwarmStorage, embed_words

NOON = datetime(2026, 11, 1, 12)


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch):
    # CrewAI asks, for five seconds at every save, whether it may send traces.
    monkeypatch.setenv("CREWAI_TRACING_ENABLED", "false")


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="skipper", swarm="boat") as swarm:
        yield swarm


@pytest.fixture
def storage(swarm):
    return SwarmStorage(swarm)


def memory(content="tea is served", scope="/crew/galley", *, hours=0, vector=(1.0, 0.0), **more):
    more = {"created_at": NOON + timedelta(hours=hours), "embedding": list(vector), **more}
    return MemoryRecord(content=content, scope=scope, **more)


def contents(records):
    return [record.content for record in records]


def test_it_is_a_storage_backend(storage):
    assert isinstance(storage, StorageBackend)


def test_a_memory_comes_back_as_it_was_saved(storage):
    saved = memory(
        categories=["drinks"], metadata={"pot": 2}, importance=0.9, source="ada", private=True
    )
    storage.save([saved])

    found = storage.get_record(saved.id)

    assert saved.model_dump(exclude={"last_accessed"}) == found.model_dump(
        exclude={"last_accessed"}
    )
    assert [1.0, 0.0] == found.embedding
    assert storage.get_record("another") is None


def test_a_value_is_json_that_others_read_and_search(storage, swarm):
    saved = memory("tea is served in the galley")
    storage.save([saved])

    (hit,) = swarm.search("where is tea served")

    assert f"crewai/crew/galley/{saved.id}" == hit.record.key
    assert "tea is served in the galley" == hit.record.value["content"]
    assert "2026-11-01T12:00:00" == hit.record.value["created_at"]


def test_all_memories_of_a_call_are_saved_or_none(storage):
    with pytest.raises(InvalidValueError):
        storage.save([memory(), memory(vector=(float("nan"), 1))])

    assert 0 == storage.count()


def test_the_nearest_come_first_with_their_cosine(storage):
    storage.save(
        [memory("far", vector=(0, 1)), memory("near", vector=(2, 0)), memory("mid", vector=(1, 1))]
    )

    found = storage.search([1.0, 0.0], limit=2)

    assert [("near", 1.0), ("mid", 0.7071)] == [(m.content, round(s, 4)) for m, s in found]
    assert ["near"] == contents(m for m, _ in storage.search([1.0, 0.0], min_score=0.9))
    assert [] == storage.search([1.0, 0.0], limit=0)


def test_a_search_keeps_to_its_scope_categories_and_metadata(storage):
    storage.save(
        [
            memory("a", "/crew", categories=["x"]),
            memory("b", "/crew/galley", metadata={"pot": 1}),
            memory("c", "/crews", categories=["x", "y"]),  # begins alike and is no part of it
            memory("d", "/"),
        ]
    )

    def found(**criteria):
        return sorted(contents(m for m, _ in storage.search([1.0, 0.0], **criteria)))

    assert ["a", "b"] == found(scope_prefix="/crew") == found(scope_prefix="crew/")
    assert ["a", "b", "c", "d"] == found(scope_prefix="/") == found()
    assert ["a", "c"] == found(categories=["x", "z"])
    assert ["b"] == found(metadata_filter={"pot": 1})
    assert [] == found(scope_prefix="/crew", categories=["y"])


def test_vectors_of_another_length_are_refused_before_anything_is_written(storage, swarm):
    with pytest.raises(EmbeddingDimensionMismatchError):
        storage.save([memory(), memory(vector=(1, 2, 3))])
    storage.save([memory()])
    another = SwarmStorage(swarm)  # as another process
    for call in (
        lambda: another.save([memory(vector=(1, 2, 3))]),
        lambda: another.update(memory(vector=(1, 2, 3))),
        lambda: another.search([1.0, 2.0, 3.0]),
    ):
        with pytest.raises(EmbeddingDimensionMismatchError):
            call()
    assert 1 == storage.count()

    storage.reset()
    storage.save([memory(vector=(1, 2, 3))])
    assert 1 == len(storage.search([1.0, 2.0, 3.0]))


def test_memories_without_a_vector_are_kept_and_come_last(storage, swarm):
    storage.save([memory("bare tea", embedding=None), memory("tea", vector=(1, 1))])

    assert [("tea", 0.7071), ("bare tea", 0.0)] == [
        (m.content, round(s, 4)) for m, s in storage.search([1.0, 0.0])
    ]
    knowing = SwarmStorage(swarm, embed=lambda texts: [[1.0, 0.0] for _ in texts])
    assert ["bare tea", "tea"] == contents(m for m, _ in knowing.search([1.0, 0.0]))


def test_a_text_is_embedded_once_for_each_version(storage, swarm):
    asked = []

    def embed(texts):
        asked.append(list(texts))
        return [[1.0, 0.0] for _ in texts]

    storage = SwarmStorage(swarm, embed=embed)
    saved = memory("tea", embedding=None)
    storage.save([saved])
    for _ in range(3):
        storage.search([1.0, 0.0])
    saved.content = "coffee"
    storage.save([saved])
    storage.search([1.0, 0.0])

    assert [["tea"], ["coffee"]] == asked


def test_lists_are_newest_first_and_paged(storage):
    storage.save([memory(str(n), hours=n) for n in (2, 0, 3, 1)])
    late = datetime(2026, 11, 1, 14, 30, tzinfo=UTC)
    storage.save([memory("zoned", created_at=late), memory("other", "/else", hours=9)])

    assert ["3", "zoned", "2", "1", "0"] == contents(storage.list_records("/crew"))
    assert ["zoned", "2"] == contents(storage.list_records("/crew", limit=2, offset=1))
    assert [] == storage.list_records(limit=0) == storage.list_records(offset=-1)


def test_scopes_and_categories_are_counted(storage):
    storage.save(
        [
            memory(scope="/crew", categories=["x"], hours=1),
            memory(scope="/crew/galley", categories=["x", "y"], hours=3),
            memory(scope="/crew/galley/shelf", hours=2),
            memory(scope="/"),
        ]
    )

    assert ["/crew"] == storage.list_scopes()
    assert ["/crew/galley"] == storage.list_scopes("/crew/")
    assert {"x": 2, "y": 1} == storage.list_categories() == storage.list_categories("/crew")
    assert (4, 3, 2, 0) == tuple(
        storage.count(scope) for scope in (None, "/crew", "/crew/galley", "/crew/gal")
    )
    info = storage.get_scope_info("/crew")
    assert ("/crew", 3, ["x", "y"]) == (info.path, info.record_count, info.categories)
    assert (1, 3) == (info.oldest_record.hour - 12, info.newest_record.hour - 12)
    assert ["/crew/galley"] == info.child_scopes
    assert 0 == storage.get_scope_info("/none").record_count


DEEP = "/" + "/".join(f"level-{n}-ß {'x' * 70}" for n in range(12))


def test_scopes_of_any_depth_and_letters_are_kept_apart(storage):
    names = [DEEP, DEEP + "/one", DEEP + "/two", "/Ä b", "/Ä b*", "/..", "/a+b", "/crewai"]
    storage.save([memory(name, name) for name in names])

    for name in names:
        assert name in contents(storage.list_records(name))
        below = [other for other in names if other == name or other.startswith(name + "/")]
        assert len(below) == storage.count(name) == len(storage.list_records(name))
    assert [DEEP + "/one", DEEP + "/two"] == storage.list_scopes(DEEP)


def test_what_is_deleted_meets_all_criteria(storage):
    old, new = memory("old", hours=0, categories=["x"]), memory("new", hours=5, categories=["x"])
    else_ = memory("else", "/else", categories=["x"], metadata={"pot": 1})
    storage.save([old, new, else_])

    assert 0 == storage.delete("/else", record_ids=[old.id])
    assert 0 == storage.delete(record_ids=[])  # no ids are not all
    assert 0 == storage.delete(record_ids=["unknown"])
    assert 1 == storage.delete("/crew", categories=["x"], older_than=NOON + timedelta(hours=1))
    assert 1 == storage.delete(metadata_filter={"pot": 1})
    assert ["new"] == contents(storage.list_records())
    assert 1 == storage.delete(record_ids=[new.id], older_than=datetime.now(UTC))
    assert 0 == storage.count() == storage.delete()


def test_a_memory_that_changes_before_it_is_deleted_is_looked_at_again(storage, swarm, monkeypatch):
    tea, coffee = memory("tea", categories=["x"]), memory("coffee", categories=["x"])
    storage.save([tea, coffee])
    records = type(swarm.records)
    delete = records.delete

    def change_first(self, key, **options):
        monkeypatch.setattr(records, "delete", delete)
        value = self.get(key).value
        self.put(key, value | {"categories": ["kept"]})
        return delete(self, key, **options)

    monkeypatch.setattr(records, "delete", change_first)

    assert 1 == storage.delete(categories=["x"])
    assert [["kept"]] == [left.categories for left in storage.list_records()]


def test_reset_leaves_other_scopes(storage):
    storage.save([memory("a", "/crew"), memory("b", "/crews"), memory("c", "/crew/galley")])
    storage.reset("/crew")

    assert ["b"] == contents(storage.list_records())


# --- changes ----------------------------------------------------------------------------------


def test_an_update_keeps_when_it_was_made_and_what_was_never_set(storage):
    saved = memory(source="ada", private=True, categories=["x"])
    storage.save([saved])
    # As CrewAI's own consolidation makes it: without the source, and without its being private.
    storage.update(
        MemoryRecord(id=saved.id, content="tea is over", scope=saved.scope, embedding=[0.0, 1.0])
    )

    found = storage.get_record(saved.id)

    assert ("tea is over", [0.0, 1.0], NOON) == (found.content, found.embedding, found.created_at)
    assert ("ada", True, ["x"]) == (found.source, found.private, found.categories)
    assert found.last_accessed > found.created_at


def test_an_update_of_what_is_not_there_saves_it(storage):
    storage.update(memory("tea"))

    assert ["tea"] == contents(storage.list_records())


def test_two_changes_of_different_fields_are_both_kept(storage, swarm):
    saved = memory()
    storage.save([saved])
    one, two = storage.get_record(saved.id), SwarmStorage(swarm).get_record(saved.id)
    storage.update(one.model_copy(update={"importance": 0.9}))
    storage.update(two.model_copy(update={"content": "tea is over", "categories": ["late"]}))

    found = storage.get_record(saved.id)

    assert (0.9, "tea is over", ["late"]) == (found.importance, found.content, found.categories)


def test_fields_of_metadata_are_merged_one_by_one(storage):
    saved = memory(metadata={"kept": 1, "gone": 1, "old": 1})
    storage.save([saved])
    one, two = storage.get_record(saved.id), storage.get_record(saved.id)
    storage.update(one.model_copy(update={"metadata": {"kept": 1, "gone": 1, "old": 2}}))
    storage.update(two.model_copy(update={"metadata": {"kept": 1, "old": 1, "new": 1}}))

    assert {"kept": 1, "old": 2, "new": 1} == storage.get_record(saved.id).metadata


def test_two_changes_of_one_field_are_a_conflict_for_the_second(storage, swarm):
    saved = memory()
    storage.save([saved])
    one, two = storage.get_record(saved.id), storage.get_record(saved.id)
    storage.update(one.model_copy(update={"content": "mine", "importance": 0.9}))

    # Even to the same: they may both have counted up.
    for change in ({"content": "yours"}, {"importance": 0.9}):
        with pytest.raises(ConflictError):
            storage.update(two.model_copy(update=change))
    assert "mine" == storage.get_record(saved.id).content


def test_a_change_to_a_version_that_is_kept_no_more_is_a_conflict(storage, swarm):
    saved = memory()
    storage.save([saved])
    read = storage.get_record(saved.id)
    kept = swarm.config.category_of("crewai/x").versions_max
    for n in range(kept):
        storage.update(storage.get_record(saved.id).model_copy(update={"metadata": {"n": n}}))

    with pytest.raises(ConflictError) as raised:
        storage.update(read.model_copy(update={"importance": 0.9}))
    assert "history" in raised.value.hint
    assert (0.5, {"n": kept - 1}) == (
        storage.get_record(saved.id).importance,
        storage.get_record(saved.id).metadata,
    )


def test_a_change_does_not_bring_back_what_was_deleted_or_moved(storage, swarm):
    saved = memory()
    storage.save([saved])
    read = storage.get_record(saved.id)
    moved = storage.get_record(saved.id).model_copy(update={"scope": "/crew/deck"})
    SwarmStorage(swarm).update(moved)

    with pytest.raises(ConflictError):
        storage.update(read.model_copy(update={"content": "mine"}))
    assert ["/crew/deck"] == [left.scope for left in storage.list_records()]

    read = storage.get_record(saved.id)
    storage.delete(record_ids=[saved.id])
    with pytest.raises(ConflictError):
        storage.update(read.model_copy(update={"content": "mine"}))
    assert 0 == storage.count()


def test_a_memory_that_is_moved_is_in_one_place(storage):
    saved = memory()
    storage.save([saved])
    storage.update(memory("moved", "/crew/deck", id=saved.id))

    assert [("moved", "/crew/deck", NOON)] == [
        (m.content, m.scope, m.created_at) for m in storage.list_records()
    ]
    assert "moved" == storage.get_record(saved.id).content


COUNT = """
import sys
from crewai.memory.types import MemoryRecord
from swarm_memory import ConflictError, Swarm
from swarm_memory.adapters.crewai import SwarmStorage
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Swarm.open(url, agent=name, swarm="race") as swarm:
    storage = SwarmStorage(swarm)
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(count):
        while True:
            read = storage.get_record("shared")
            changed = read.metadata | {"count": read.metadata["count"] + 1}
            try:
                storage.update(read.model_copy(update={"metadata": changed}))
                break
            except ConflictError:
                pass
        # One's own field of the same memory is nobody else's conflict, while history has it.
        while True:
            read = storage.get_record("mine and yours")
            changed = read.metadata | {f"{name}-{n}": n}
            try:
                storage.update(read.model_copy(update={"metadata": changed}))
                break
            except ConflictError as error:
                assert "history" in error.hint, error.hint
"""
PROCESSES, STEPS = 3, 40


def test_processes_that_change_one_memory_lose_no_change(tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    with Swarm.open(url, swarm="race") as swarm:
        storage = SwarmStorage(swarm)
        storage.save([memory(id="shared", metadata={"count": 0}), memory(id="mine and yours")])
    with started(COUNT, *((url, f"p{n}", STEPS) for n in range(PROCESSES))) as running:
        go(running)
        ended(running)

    with Swarm.open(url, swarm="race") as swarm:
        storage = SwarmStorage(swarm)
        assert PROCESSES * STEPS == storage.get_record("shared").metadata["count"]
        every = {f"p{p}-{n}": n for p in range(PROCESSES) for n in range(STEPS)}
        assert every == storage.get_record("mine and yours").metadata


# --- others -----------------------------------------------------------------------------------


def test_what_the_swarm_shares_is_found_in_every_scope_and_cannot_be_changed(swarm):
    shared = SwarmMemoryManager.of(swarm).share_knowledge_with_swarm("tides", "high tide at noon")
    storage = SwarmStorage(swarm, embed=embed_words)
    (query,) = embed_words(["when is high tide"])

    ((found, score),) = storage.search(query, scope_prefix="/crew")

    assert ("high tide at noon", "/crew", "skipper") == (found.content, found.scope, found.source)
    assert score > 0.5
    assert 0 == storage.delete(record_ids=[found.id]) == storage.count()
    storage.update(found.model_copy(update={"content": "high tide at one"}))
    assert ["high tide at one"] == contents(storage.list_records("/crew"))
    assert 1 == storage.delete()
    assert shared == swarm.records.get(shared.key)
    assert [] == storage.search(query, categories=["x"])
    assert [] == SwarmStorage(swarm, embed=embed_words, also=()).search(query)
    assert [] == SwarmStorage(swarm).search(query)  # nobody to compare texts by


def test_records_of_others_in_its_place_are_memories(storage, swarm):
    swarm.records.put("crewai/crew/galley/note", "tea is served")
    swarm.records.put("crewai/crew/list", [1, {"a": None}])
    swarm.records.put("crewai", "no dimension")

    found = {m.id: m for m in storage.list_records("/crew")}

    assert ("tea is served", "/crew/galley") == (found["note"].content, found["note"].scope)
    assert '[1, {"a": null}]' == found["list"].content
    storage.update(found["note"].model_copy(update={"importance": 1.0}))
    assert (1.0, "tea is served") == (
        storage.get_record("note").importance,
        storage.get_record("note").content,
    )
    assert 1 == storage.delete(record_ids=["list"])


def test_words_make_texts_near_that_share_them():
    one, two, three, none = embed_words(
        ["The harbour opens", "harbours open late", "green tea", ""]
    )

    def near(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert near(one, two) > 0.7 > 0.2 > near(one, three)
    assert not any(none)
    assert [one] == embed_words(["The harbour opens"])


# --- with CrewAI's Memory ---------------------------------------------------------------------


def crew_memory(storage, **more):
    # It is given all that it would ask a model for, so none is ever called.
    return Memory(storage=storage, llm=object(), embedder=embed_words, **more)


def test_crewais_memory_remembers_recalls_changes_and_forgets(swarm):
    crew = crew_memory(SwarmStorage(swarm), root_scope="/crew/boat")
    kept = crew.remember("The harbour opens at nine", "/facts", ["port"], importance=0.5)
    other = crew_memory(SwarmStorage(swarm), root_scope="/crew/other")

    (match,) = crew.recall("when does the harbour open", depth="shallow")
    assert ("The harbour opens at nine", "/crew/boat/facts") == (
        match.record.content,
        match.record.scope,
    )
    assert [] == other.recall("when does the harbour open", depth="shallow")
    crew.update(kept.id, content="The harbour opens at ten")
    assert "ten" in crew.recall("harbour", depth="shallow")[0].record.content
    assert ("/crew/boat/facts", {"port": 1}) == (
        crew.info().child_scopes[0],
        crew.list_categories(),
    )
    assert 0 == other.forget()
    assert 1 == crew.forget(categories=["port"])
    crew.close()


def test_crewai_makes_it_for_a_name(swarm):
    set_memory_storage_factory(lambda spec: SwarmStorage(swarm) if spec == "swarm" else None)
    try:
        crew_memory("swarm").remember("tea", "/", ["x"], importance=0.5)
    finally:
        set_memory_storage_factory(None)

    assert 1 == SwarmStorage(swarm).count()


def test_a_recall_writes_nothing(swarm):
    crew = crew_memory(SwarmStorage(swarm))
    kept = crew.remember("The harbour opens at nine", "/facts", ["port"], importance=0.5)
    before = swarm.events.newest()
    assert crew.recall("harbour", depth="shallow")

    assert before == swarm.events.newest()
    assert 1 == len(swarm.records.history(f"crewai/facts/{kept.id}"))


def test_the_async_twins_do_the_same(storage):
    async def run():
        saved = memory("tea", categories=["x"])
        await storage.asave([saved, memory("far", vector=(0, 1))])
        found = await storage.asearch([1.0, 0.0], "/crew", ["x"], None, 5, 0.5)
        gone = await storage.adelete("/crew", None, [saved.id])
        return contents(m for m, _ in found), gone, storage.count()

    assert (["tea"], 1, 1) == asyncio.run(run())
