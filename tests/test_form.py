"""An answer has two forms, and what a filter left of it has the same."""

import pytest

from sshhome.device import ATTRIBUTES, Device
from sshhome.form import human, plain
from sshhome.grant import Privilege
from sshhome.order import Column, Order, Table
from sshhome.outcome import Answer, DryRun, Filtered, Outcome

LAMP = Device(id="light.desk", name="Desk", attributes={"on": ATTRIBUTES["on"]}, state={"on": True})
TABLE = Table((Column("id"),), [("light.desk",)])


async def _run() -> None: ...


ORDER = Order("try", Privilege.READ, "{label} is {on_off}", _run, (), "")


@pytest.mark.parametrize(
    ("answer", "wait", "told"),
    [
        (Answer(LAMP, {}, "desk"), True, "desk is on"),
        (Answer(LAMP, {}, "desk", "comes back in 5 min"), True, "desk is on; comes back in 5 min"),
        (Answer(LAMP, {}, "desk"), False, "sent to desk"),
        (Answer(DryRun("off desk", "light.desk", {"on": True}, {"on": False}), {}, "desk"), False, None),
        (Answer(Filtered("desk is on")), False, "desk is on"),
        (Answer(Filtered(TABLE)), True, TABLE),
    ],
)
def test_what_people_read(answer: Answer, told: str | Table | None, *, wait: bool) -> None:
    """People read a sentence or a table; what was filtered has been one before."""
    said = human(Outcome(order=ORDER, answers=[answer], wait=wait), answer)
    assert said == ("would change desk: on: yes → no" if told is None else told)


def test_what_programs_read() -> None:
    """JSON has a device in its one form, wherever it stands, and what was filtered as it is."""
    assert plain([LAMP, (LAMP, 1)]) == [LAMP.as_json(), [LAMP.as_json(), 1]]
    assert plain(Filtered([{"id": "x"}])) == [{"id": "x"}]
