"""The convention that docs/add-a-convention.md shows is one."""

import re
from pathlib import Path

from sshhome.convention import NOTHING, Make, Message

PAGE = (Path(__file__).parents[1] / "docs" / "add-a-convention.md").read_text(encoding="utf-8")


def test_the_guides_convention() -> None:
    """It makes a device of what a lamp says, says what the lamp understands, and leaves alone what is not its own."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    module: dict[str, Make] = {}
    exec(code, module)  # noqa: S102 (it is our own page)
    lamps = module["Lamps"]({})
    (lamp,) = lamps.hear("lamps/Hall bulb", b"on", 0.0).changed
    assert (lamp.id, lamp.name, lamp.state) == ("light.hall_bulb", "Hall bulb", {"on": True})
    assert lamps.say(lamp, {"on": False}) == [Message("lamps/Hall bulb/set", b"off")]
    for topic, payload in (("lamps/Hall bulb", b"\xff"), ("lamps/Hall bulb/set", b"on"), ("lamp/Hall bulb", b"on")):
        assert lamps.hear(topic, payload, 0.0) is NOTHING
    assert lamps.later(1.0) is NOTHING
