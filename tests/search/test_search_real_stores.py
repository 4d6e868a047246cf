"""Search on the stores of real users, where they are at hand: what is found, and what is not.

The report is shown, so that whoever changes the ranking sees what it does to real data.
"""

import os
import re
from pathlib import Path

import pytest

from swarm_memory import Swarm
from swarm_memory.importers import read_store
from swarm_memory.ranking import MIN_SCORE
from swarm_memory.text import words_of_key

REPOSITORY = Path(__file__).parents[2]
STORES = Path(
    os.environ.get("REAL_STORES") or REPOSITORY.parent.joinpath("shared", "data", "stores")
)
pytestmark = pytest.mark.skipif(
    not STORES.is_dir(),
    reason="no real stores here: set REAL_STORES to a directory of them",
)
FALSE_ALARMS_MAX = 0.05
HIT_1_MIN, HIT_10_MIN = 0.85, 0.98
VALUE_HIT_1_MIN, VALUE_HIT_10_MIN = 0.254, 0.556  # plain porter, measured on stores of this kind
EVERY = 3  # of the records are asked for
RECORDS_MIN = 4  # fewer tell nothing of what a question finds among others

# Of nothing that these stores are about: everyday questions, and work on other software.
UNRELATED = """
How do I bake a sourdough bread with rye flour?
What is the capital of Mongolia?
Who won the football world cup in 1998?
Recommend a good hiking trail in the Dolomites
My cat refuses to eat dry food, what should I do?
Explain the causes of the French Revolution
How long should I boil eggs for a soft yolk?
Which instruments are in a string quartet?
Tell me a joke about penguins
How does photosynthesis work in desert plants?
What time does the train to Zurich leave tomorrow morning?
Can you translate good evening into Portuguese?
Why is the sky blue and the sunset red?
Write a birthday poem for my grandmother
What are the symptoms of vitamin D deficiency?
How much does a kilogram of saffron cost?
Best way to remove red wine stains from a carpet
When did the Roman empire fall?
How do bees communicate the location of flowers?
Difference between a violin and a viola
How do I tie a bowline knot?
What is the distance from the Earth to the Moon?
Should I prune apple trees in winter or spring?
Please fix the off-by-one error in the pagination of the invoice list
Add dark mode to the settings screen of the iOS app
Why does my Rust borrow checker complain about a mutable reference?
Rename the column customer_name to full_name in the Django model
Make the CSS grid wrap on small screens
Upgrade webpack to version 5 and remove the deprecated loaders
The kubernetes pod is stuck in CrashLoopBackOff, how can I see its logs?
Convert this recursive Haskell function into a tail recursive one
Set up a cron job that rotates the nginx access logs every night
Explain how a bloom filter decides whether an element may be in a set
Profile the memory usage of the image resizing worker
Does the payment webhook verify the Stripe signature?
Generate a fake dataset of 1000 customers with names and addresses
""".strip().splitlines()


def items_of(path):
    """Return what a file holds that is known, as against what happened."""
    found = read_store(path, now_ms=0).items()
    return [item for item in found if "/operations/" not in item.key]


def words(key):
    """Return the words of the name that an agent chose, in an import's key."""
    name = words_of_key(key).split("/", 3)[-1].partition("entries/")
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name[2] or name[0])
    return re.sub(r"[^\w]+|_", " ", apart)


@pytest.fixture(scope="module")
def stores():
    """Every real store with something in it, each in two of ours: as it is, and by numbers."""
    opened = []
    for path in sorted(STORES.glob("*/*")):
        if path.suffix not in {".db", ".json"} or path.parent.name == "orphan-wal":
            continue
        items = items_of(path)
        if len(items) < RECORDS_MIN:
            continue
        named = Swarm.open("sqlite:///:memory:", agent="reader")
        named.records.put_many([(item.key, item.value) for item in items])
        numbered = Swarm.open("sqlite:///:memory:", agent="reader")
        numbered.records.put_many([(f"x/{n}", item.value) for n, item in enumerate(items)])
        opened.append((items, named, numbered))
    assert len(opened) >= 8
    yield opened
    for _, named, numbered in opened:
        named.close()
        numbered.close()


def ranks(stores, search):
    found = []
    for items, named, numbered in stores:
        for number, item in list(enumerate(items))[::EVERY]:
            hits = search(named, numbered, words(item.key))
            wanted = {item.key, f"x/{number}"}
            found.append(next((n for n, h in enumerate(hits) if h.record.key in wanted), 1000))
    return found


def share(found, k):
    return sum(rank < k for rank in found) / len(found)


def told(progress, what, found):
    shares = ", ".join(f"@{k} {share(found, k):.3f}" for k in (1, 5, 10))
    progress(f"{len(found)} {what}, hit{shares}")


def test_records_are_found_by_the_words_of_their_keys(stores, progress):
    found = ranks(stores, lambda named, _, query: named.search(query))
    told(progress, "records by the words of their keys", found)

    assert share(found, 1) >= HIT_1_MIN
    assert share(found, 10) >= HIT_10_MIN


def test_values_are_found_by_the_words_of_keys_that_are_not_there(stores, progress):
    found = ranks(stores, lambda _, numbered, query: numbered.search(query))
    told(progress, "values alone", found)

    assert share(found, 1) >= VALUE_HIT_1_MIN
    assert share(found, 10) >= VALUE_HIT_10_MIN


@pytest.mark.parametrize("joined", [1, 3], ids=["a question", "a long prompt"])
def test_questions_about_something_else_get_no_answer(stores, progress, joined):
    prompts = [" ".join(UNRELATED[n : n + joined]) for n in range(0, len(UNRELATED), joined)]
    alarms = [
        (query, hits[0].record.key)
        for _, named, _ in stores
        for query in prompts
        if (hits := named.search(query, min_score=MIN_SCORE))
    ]
    asked = len(stores) * len(prompts)
    progress(f"{len(alarms)} false alarms of {asked}")

    assert len(alarms) / asked <= FALSE_ALARMS_MAX


def test_what_is_there_is_above_the_threshold(stores):
    found = ranks(stores, lambda named, _, query: named.search(query, min_score=MIN_SCORE))

    assert share(found, 10) >= HIT_10_MIN
