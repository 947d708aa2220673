"""Of a thing that several tell of, the one of the lowest rank counts, whoever comes and goes in whichever order."""

from hypothesis import given
from hypothesis import strategies as st

from sshhome.twins import Twins

LAMP = "00124b00aabbcc01"


def test_the_lowest_rank_counts() -> None:
    """Who is told to count first counts, until somebody better tells of the thing; nobody else is asked."""
    twins = Twins()
    assert twins.tell(LAMP, 2, "light.c") == ()
    assert twins.counts(LAMP, 2)
    assert set(twins.tell(LAMP, 0, "light.a")) == {"light.c"}
    assert set(twins.tell(LAMP, 1, "light.b")) == set()
    assert [twins.counts(LAMP, rank) for rank in range(3)] == [True, False, False]
    assert set(twins.forget(LAMP, 1, "light.b")) == set()
    assert set(twins.forget(LAMP, 0, "light.a")) == {"light.c"}
    assert twins.counts(LAMP, 2)
    assert set(twins.forget(LAMP, 2, "light.c")) == set()
    assert not twins._told


def test_parts_of_one_thing_count_together() -> None:
    """A thing of two parts is told of by two keys; it is the same thing's until the last of them is gone."""
    twins = Twins()
    for rank, keys in ((1, ("b.left", "b.right")), (0, ("a.left", "a.right"))):
        for key in keys:
            twins.tell(LAMP, rank, key)
    assert set(twins.forget(LAMP, 0, "a.left")) == set()
    assert not twins.counts(LAMP, 1)
    assert set(twins.forget(LAMP, 0, "a.right")) == {"b.left", "b.right"}


def test_what_has_no_address_is_no_twin() -> None:
    """Things without a burnt-in address are each their own."""
    twins = Twins()
    assert (*twins.tell("", 0, "a"), *twins.tell("", 1, "b"), *twins.forget("", 0, "a")) == ()
    assert twins.counts("", 1)
    assert not twins._told


def test_what_was_never_told_is_forgotten_already() -> None:
    """To forget what nobody told of changes nothing."""
    twins = Twins()
    twins.tell(LAMP, 1, "b")
    assert twins.forget(LAMP, 0, "a") == ()
    assert twins.counts(LAMP, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from("xy")), max_size=30))
def test_whatever_is_told_one_rank_counts(steps: list[tuple[bool, int, str]]) -> None:
    """As long as anybody tells of a thing, just the lowest rank that does counts; what changes that is told."""
    twins, told = Twins(), set[tuple[int, str]]()
    for tells, rank, key in steps:
        before = min((known for known, _ in told), default=None)
        if tells:
            answer = set(twins.tell(LAMP, rank, f"{rank}{key}"))
            told.add((rank, key))
        else:
            answer = set(twins.forget(LAMP, rank, f"{rank}{key}"))
            told.discard((rank, key))
        now = min((known for known, _ in told), default=None)
        assert all(twins.counts(LAMP, known) == (known == now) for known, _ in told)
        of = now if not tells else before
        changed = {f"{known}{key}" for known, key in told if known == of} if before != now and of is not None else set()
        assert answer == changed
    assert bool(twins._told) == bool(told)
