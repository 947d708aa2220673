"""Abbreviated keys are written out, and a base stands for itself in topics."""

from sshhome.conventions.discovery.abbreviation import ABBREVIATIONS, written_out


def test_every_abbreviation_stands_for_one_key() -> None:
    """The table has Home Assistant's abbreviations; none stands for another."""
    assert len(ABBREVIATIONS) > 250
    assert not set(ABBREVIATIONS) & set(ABBREVIATIONS.values())
    known = {
        "stat_t": "state_topic",
        "pl_not_avail": "payload_not_available",
        "cmps": "components",
        "clr_temp_k": "color_temp_kelvin",
    }
    assert {key: ABBREVIATIONS[key] for key in known} == known


def test_keys_are_written_out_inside_too() -> None:
    """Keys of the device and of each availability are abbreviated in their own way."""
    config = {
        "dev": {"ids": ["x"], "sa": "Hall", "mf": "ACME"},
        "avty": {"t": "a", "pl_avail": "on"},
        "uniq_id": "1",
        "own": 2,
    }
    assert written_out(config) == {
        "device": {"identifiers": ["x"], "suggested_area": "Hall", "manufacturer": "ACME"},
        "availability": [{"topic": "a", "payload_available": "on"}],
        "unique_id": "1",
        "own": 2,
    }


def test_a_base_stands_at_either_end_of_topics() -> None:
    """The base is put in place of `~` at the ends of what is a topic, in availability too, and nowhere else."""
    config = {
        "~": "home/lamp",
        "stat_t": "~/state",
        "cmd_t": "cmnd/~",
        "name": "~",
        "avty": [{"t": "~/LWT"}, {"t": "x"}],
    }
    assert written_out(config) == {
        "state_topic": "home/lamp/state",
        "command_topic": "cmnd/home/lamp",
        "name": "~",
        "availability": [{"topic": "home/lamp/LWT"}, {"topic": "x"}],
    }


def test_nonsense_is_left_as_it_is() -> None:
    """What is not as it should be is passed on, for whoever reads it to ignore."""
    assert written_out({"~": 5, "dev": 7, "avty": "x", "stat_t": None}) == {
        "device": 7,
        "availability": "x",
        "state_topic": None,
    }
    assert written_out({"avty": [1, {"t": 2}]}) == {"availability": [{"topic": 2}]}
    assert len(written_out({"~": "x" * 9999, "stat_t": "~~"})["state_topic"]) == 2048
