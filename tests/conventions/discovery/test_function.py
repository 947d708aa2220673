"""What a template does is counted, and what would be too much fails instead of taking a server's time and memory."""

import json

import pytest

from sshhome.conventions.discovery.function import ALLOWANCE, LARGEST, Failed, Run, numeric
from sshhome.conventions.discovery.template import render, variables

LONG = "a" * LARGEST
WIDE = json.dumps([1] * 20_000)
DEEP = "[" * 900 + "]" * 900

HOSTILE = [
    ("{{ 'a' * 999999999 }}", ""),
    ("{{ value % 1 }}", "%999999999d"),
    ("{{ 99999999 * 99999999 * 99999999 * 99999999 * 99999999 * 99999999 }}", ""),
    ("{{ value | int }}", "9" * 4000),
    ("{{ value | round(999999999) }}", "1"),
    ("{{ 1e300 | round | string }}", ""),
    ("{{ value | truncate(999999999, true, value, 999999999) }}", LONG),
    ("{{ value | replace('a', 'bbbbbbbbbb') }}", LONG),
    ("{{ value | replace('', value) }}", LONG),
    ("{{ value | join(value) }}", LONG),
    ("{{ value ~ value }}", LONG),
    ("{{ value }}{{ value }}{{ value }}", LONG),
    ("{% set a = value | upper %}" * 5, LONG),
    ("{{ value | tojson }}", "'" * LARGEST),
    ("{{ value_json | tojson }}{{ value_json }}{{ value_json }}", WIDE),
    ("{{ value_json == value_json[0:] }}{{ value_json == value_json[0:] }}", WIDE),
    ("{{ 2 in value_json }}" * 2, WIDE),
    ("{{ value_json | max }}{{ value_json | min }}", WIDE),
    ("{{ value_json }}" * 20, DEEP),
    ("{% set a = [1] %}" + "{% set a = [a, a] %}" * 30 + "{{ a }}", ""),
    ("{% set a = [1] %}" + "{% set a = {'x': a, 'y': a} %}" * 30 + "{{ a == a }}", ""),
    ("{% set a = [value, value] %}" + "{% set a = [a, a, a, a] %}" * 20, LONG),
    ("{{ value.split('a') | length }}" * 3, LONG),
    ("{{ 'x' in value }}" * 20, LONG),
    ("{{ value == value ~ '' }}", LONG),
]


@pytest.mark.parametrize(("template", "payload"), HOSTILE, ids=[template[:40] for template, _ in HOSTILE])
def test_what_would_be_too_much_fails(template: str, payload: str) -> None:
    """A template that multiplies, repeats or compares beyond all measure fails, and says in a few words why."""
    with pytest.raises(Failed) as failure:
        render(template, variables(payload))
    assert len(str(failure.value)) <= 120


@pytest.mark.parametrize(("template", "payload"), HOSTILE, ids=[template[:40] for template, _ in HOSTILE])
def test_failing_costs_no_more_than_is_allowed(template: str, payload: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is paid until a template fails is the allowance, and one step at most that could not be paid for."""
    paid: list[int] = []
    pay = Run.pay

    def noted(run: Run, units: int) -> None:
        pay(run, units)
        paid.append(units)

    monkeypatch.setattr(Run, "pay", noted)
    with pytest.raises(Failed):
        render(template, variables(payload))
    assert sum(paid) <= ALLOWANCE


def test_what_is_given_is_bounded_too() -> None:
    """A text longer than any payload is not looked at."""
    with pytest.raises(Failed, match="too long"):
        render("{{ value | length }}", {"value": LONG + "a"})


def test_what_devices_say_is_well_within_bounds() -> None:
    """The largest payloads that there are can be printed, searched and made into JSON."""
    told = {
        f"sensor_{number}": {"value": number / 10, "unit": "°C", "at": "2026-11-21T12:00:00Z"} for number in range(200)
    }
    payload = json.dumps(told)
    assert len(payload) > 10_000
    assert render("{{ value_json.sensor_7.value }}", variables(payload)) == "0.7"
    assert len(render("{{ value_json | tojson }}", variables(payload))) > 10_000
    assert render("{{ 'sensor_8' in value_json and 'sensor_9' in value }}", variables(payload)) == "True"


def test_numbers_are_bounded() -> None:
    """Numbers beyond those that anybody counts to are refused, and what is no number is not reckoned with."""
    assert numeric(2**128) == 2**128
    for value in (2**129, "1", None, [1]):
        with pytest.raises(Failed):
            numeric(value)
