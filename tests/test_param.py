"""What a param's annotation makes of text, and what it offers to type."""

import contextlib
from typing import Annotated, Any, Literal, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome import param
from sshhome.backends.simulated import family_house
from sshhome.device import Device
from sshhome.errors import BadArguments
from sshhome.param import Choice, Devices, Duration, Named, Number, ParamType, Scope, Suggestion, Text, type_of
from sshhome.target import Index, Match

HOUSE = {device.id: device for device in family_house()}
SCOPE = Scope(Index(HOUSE, HOUSE), {"users": lambda: [Suggestion("home"), Suggestion("guest")]})


def on(device_id: str, attribute: str = "", **state: Any) -> Scope:  # noqa: ANN401 (any state)
    """Return the scope of a param that follows a device, with some of its state changed."""
    device = HOUSE[device_id].with_state(state)
    return msgspec.structs.replace(SCOPE, device=device, attribute=attribute)


def param_type(annotation: object) -> Any:  # noqa: ANN401 (any ParamType)
    """Return the ParamType of an annotation."""
    return type_of(annotation)


def offered(kind: ParamType, scope: Scope) -> list[str]:
    """Return what may be typed."""
    return [suggestion.text for suggestion in kind.suggest(scope)]


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (str, Text),
        (int, Number),
        (bool, Choice),
        (Literal["home", "away"], Choice),
        (param.UserName, Named),
        (param.Seconds, Duration),
        (param.Switchable, Devices),
        (Annotated[int, "words", Number()], Number),
    ],
)
def test_annotations(annotation: object, kind: type[ParamType]) -> None:
    """An annotation says of which type a param is."""
    assert type(type_of(annotation)) is kind


@pytest.mark.parametrize(
    "annotation", [float, list[str], str | None, Annotated[str, "words"], Device, None, "str", object]
)
def test_annotations_that_say_nothing(annotation: object) -> None:
    """An annotation that is no type of a param is refused, rather than taken for text."""
    with pytest.raises(TypeError):
        type_of(annotation)


@pytest.mark.parametrize(
    ("kind", "scope", "text", "value"),
    [
        (type_of(str), SCOPE, " As it is ", " As it is "),
        (type_of(int), SCOPE, "007", 7),
        (type_of(Literal["home", "away"]), SCOPE, "AWAY", "away"),
        (type_of(param.UserName), SCOPE, "nobody", "nobody"),
        (type_of(param.Seconds), SCOPE, "1h30m", 5400.0),
        (type_of(param.Brightness), on("light.desk", brightness=40), "+10", 50),
        (type_of(param.Position), on("cover.living"), "closed", 0),
        (type_of(param.NewState), on("climate.living"), "21.5", {"target_temperature": 21.5}),
        (type_of(param.NewState), on("climate.living"), "off", {"mode": "off"}),
        (type_of(param.NewState), on("light.desk"), "40%", {"brightness": 40}),
        (type_of(param.NewState), on("light.desk"), "on", {"on": True}),
        (type_of(param.NewState), on("light.desk"), "2700k", {"color_temperature": 2700}),
        (type_of(param.NewState), on("light.desk", "hue"), "32", {"hue": 32}),
        (type_of(param.NewState), on("lock.front_door"), "unlocked", {"locked": False}),
        (type_of(param.NewState), on("alarm_control_panel.house"), "night", {"armed": "night"}),
        (type_of(param.Color), on("light.desk"), "red", {"hue": 0, "saturation": 100}),
        (type_of(param.Color), on("light.kitchen"), "warm white", {"color_temperature": 2700}),
    ],
)
def test_text_becomes_a_value(kind: ParamType, scope: Scope, text: str, value: object) -> None:
    """Text becomes the value that the annotation promises, for the device named before it."""
    assert kind.parse(text, scope) == value


@pytest.mark.parametrize(
    ("kind", "scope", "text"),
    [
        (type_of(int), SCOPE, "-1"),
        (type_of(int), SCOPE, "1.5"),
        (type_of(int), SCOPE, "٣"),
        (type_of(int), SCOPE, "1" * 10),
        (type_of(int), SCOPE, ""),
        (type_of(Literal["home", "away"]), SCOPE, "night"),
        (type_of(param.Seconds), SCOPE, "1"),
        (type_of(param.Brightness), on("light.desk"), "140"),
        (type_of(param.Brightness), SCOPE, "40"),
        (type_of(param.NewState), on("climate.living"), "35"),
        (type_of(param.NewState), on("climate.living"), "on"),
        (type_of(param.NewState), on("scene.evening"), "0"),
        (type_of(param.NewState), on("scene.evening", "activated"), "0"),
        (type_of(param.NewState), on("sensor.outdoor_temperature"), "20"),
        (type_of(param.NewState), SCOPE, "20"),
        (type_of(param.Color), on("light.kitchen"), "red"),
        (type_of(param.Color), on("light.kitchen"), "2000k"),
        (type_of(param.Color), on("light.desk"), "9999999k"),
        (type_of(param.Color), on("light.desk"), "rot"),
    ],
)
def test_text_that_does_not_fit(kind: ParamType, scope: Scope, text: str) -> None:
    """Text that is no value for this device is refused."""
    with pytest.raises(BadArguments):
        kind.parse(text, scope)


@pytest.mark.parametrize("text", ["1234567k", "0.001mired"])
def test_refusals_speak_of_what_was_typed(text: str) -> None:
    """A value out of bounds is told its bounds, never a form of the number that nobody typed."""
    with pytest.raises(BadArguments, match="color temperature must be 2200 to 6500 K"):
        type_of(param.Color).parse(text, on("light.desk"))


@pytest.mark.parametrize(
    ("annotation", "text", "ids", "attribute"),
    [
        (param.Settable, "desk", ["light.desk"], ""),
        (param.Settable, "climate.living.mode", ["climate.living"], "mode"),
        (param.Settable, "living.thermostat.target_temperature", ["climate.living"], "target_temperature"),
        (param.Settable, "@study.brightness", ["light.desk"], "brightness"),
        (param.Readable, "climate.living.temperature", ["climate.living"], "temperature"),
        (param.Readable, "sensor.*.battery", None, "battery"),
        (param.Readable, "kitchen.temperature", ["sensor.kitchen_temperature"], ""),
    ],
)
def test_targets_with_an_attribute(annotation: object, text: str, ids: list[str] | None, attribute: str) -> None:
    """`.ATTRIBUTE` after any TARGET names the attribute, and the devices are those that have it."""
    match = type_of(annotation).parse(text, SCOPE)
    assert isinstance(match, Match)
    assert match.attribute == attribute
    assert all(attribute in {"", *device.attributes} for device in match.devices)
    assert ids is None or [device.id for device in match.devices] == ids


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (param.Settable, "climate.living.temperature"),
        (param.Settable, "sensor.outdoor_temperature"),
        (param.Settable, "light.desk.nosuch"),
        (param.Settable, ".on"),
        (param.Readable, "light.desk.position"),
        (param.Readable, "light.nosuch.on"),
    ],
)
def test_attributes_that_are_not_there(annotation: object, text: str) -> None:
    """An attribute the device lacks, or that cannot be set, is refused."""
    with pytest.raises(BadArguments):
        type_of(annotation).parse(text, SCOPE)


@pytest.mark.parametrize(
    ("annotation", "fitting"),
    [
        (param.Switchable, {"light", "switch", "fan"}),
        (param.Dimmable, {"light"}),
        (param.Colorable, {"light"}),
        (param.Openable, {"cover"}),
        (param.Lock, {"lock"}),
        (param.Alarm, {"alarm_control_panel"}),
        (param.Scene, {"scene"}),
        (
            param.Settable,
            {"light", "switch", "fan", "cover", "climate", "lock", "alarm_control_panel", "scene"},
        ),
    ],
)
def test_what_fits(annotation: object, fitting: set[str]) -> None:
    """Each type of device takes the kinds it is for, and no other."""
    kind = param_type(annotation)
    assert {device.kind for device in HOUSE.values() if kind.fits(device)} == fitting


def test_what_guards_is_switched_by_name_alone() -> None:
    """A siren can be on, and is yet never swept up by what switches, nor meant where something else has its name."""
    attributes = HOUSE["light.hall"].attributes
    sirens = [Device(id=f"siren.{name}", name=name, room="hall", attributes=attributes) for name in ("loud", "hall")]
    house = {**HOUSE, **{siren.id: siren for siren in sirens}}
    scope, kind = Scope(Index(house, house)), param_type(param.Switchable)
    named = {"loud": "siren.loud", "siren.hall": "siren.hall", "hall": "light.hall"}
    assert {text: kind.parse(text, scope).devices[0].id for text in named} == named
    for swept in ("all", "@hall", "*"):
        assert "siren" not in {device.kind for device in kind.parse(swept, scope).devices}
    with pytest.raises(BadArguments, match=r"nothing in 'siren\.\*' is switchable"):
        kind.parse("siren.*", scope)
    with pytest.raises(BadArguments, match=r"lock\.front_door is not switchable"):
        kind.parse("lock.front_door", scope)


def test_buttons_are_pressed_one_by_one() -> None:
    """What has to be activated is activated by its name; a room or `all` means its scenes, and no script or button."""
    scene = HOUSE["scene.evening"]
    others = [msgspec.structs.replace(scene, id=id_, members={}) for id_ in ("script.evening", "button.bell")]
    house = {**HOUSE, **{device.id: device for device in others}}
    scope, kind = Scope(Index(house, house)), param_type(param.Scene)
    named = {"bell": "button.bell", "script.evening": "script.evening", "evening": "scene.evening"}
    assert {text: kind.parse(text, scope).devices[0].id for text in named} == named
    assert {device.kind for device in kind.parse("all", scope).devices} == {"scene"}
    assert "bell" in offered(kind, scope)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nosuch", "no device 'nosuch'"),
        ("@kids", "'@kids' may be several; name one device"),
        ("all", "'all' may be several; name one device"),
        ("light.*", "'light.*' may be several; name one device"),
        ("bedroom", "'bedroom' is ambiguous: .*"),
    ],
)
def test_one_device(text: str, told: str) -> None:
    """An order that is about what a device is called takes one, by any of its names."""
    kind = param_type(param.Called)
    assert kind.parse("Reading lamp", SCOPE).id == "light.reading"
    with pytest.raises(BadArguments, match=told):
        kind.parse(text, SCOPE)


@pytest.mark.parametrize(("text", "room"), [("Living room", "living_room"), ("büro", "buro"), ("-", "-"), ("@a", "a")])
def test_rooms(text: str, room: str) -> None:
    """A room is named as people do, and kept as its name is part of an id."""
    assert param_type(param.RoomName).parse(text, SCOPE) == room


@pytest.mark.parametrize("text", ["", "@", "--", "?!"])
def test_rooms_without_a_letter(text: str) -> None:
    """A room has a letter or a digit in its name."""
    with pytest.raises(BadArguments):
        param_type(param.RoomName).parse(text, SCOPE)


@pytest.mark.parametrize(
    ("annotation", "scope", "some", "none"),
    [
        (param.Lock, SCOPE, {"front_door", "side_door", "@hall", "@garage", "all"}, {"desk", "@kitchen"}),
        (param.Switchable, SCOPE, {"light.bedroom", "fan.bedroom", "desk"}, {"bedroom", "front_door"}),
        (param.UserName, SCOPE, {"home", "guest"}, set()),
        (param.UserName, Scope(SCOPE.index), set(), {"home"}),
        (Literal["home", "away"], SCOPE, {"home", "away"}, set()),
        (param.Seconds, SCOPE, {"10m", "1h"}, {"1"}),
        (param.Brightness, on("light.desk"), {"0", "50", "100"}, set()),
        (param.NewState, on("climate.living"), {"21", "heat", "off"}, {"locked"}),
        (param.NewState, on("climate.living", "mode"), {"heat", "off", "auto"}, {"21"}),
        (param.NewState, on("scene.evening"), set(), {"", "0"}),
        (param.NewState, SCOPE, set(), {"on"}),
        (param.Color, on("light.kitchen"), {"warm white"}, {"red"}),
        (param.Color, on("light.desk"), {"warm white", "red"}, set()),
        (str, SCOPE, set(), {""}),
    ],
)
def test_suggestions(annotation: object, scope: Scope, some: set[str], none: set[str]) -> None:
    """What is offered is what this user may name and this device can take."""
    texts = offered(type_of(annotation), scope)
    assert some <= set(texts)
    assert not none & set(texts)
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("name", sorted(name for name, value in vars(param).items() if get_origin(value) is Annotated))
def test_every_suggestion_can_be_given(name: str) -> None:
    """Whatever is offered for a device is understood when it is typed."""
    kind = type_of(getattr(param, name))
    scopes = [msgspec.structs.replace(SCOPE, device=device) for device in HOUSE.values()] if kind.dependent else [SCOPE]
    for scope in scopes:
        assert scope.device is None or isinstance(scope.device, Device)
        texts = offered(kind, scope)
        if name in {"Brightness", "Position"}:
            texts = texts if scope.device and name.lower() in scope.device.attributes else []
        if name == "Color" and not (scope.device and scope.device.can_set("color_temperature")):
            texts = []
        for text in filter(None, texts):
            kind.parse(text, scope)


@settings(deadline=None)
@given(
    st.sampled_from([int, Literal["home"], param.NewState, param.Color, param.Settable, param.Readable, param.Lock]),
    st.sampled_from(sorted(HOUSE)),
    st.text() | st.from_regex(r"[+-]?[0-9.]{1,12} ?[a-z%]{0,4}", fullmatch=True),
)
def test_any_text_is_a_value_or_bad_arguments(annotation: object, device_id: str, text: str) -> None:
    """Whatever is typed after whichever device, it is a value or BadArguments."""
    with contextlib.suppress(BadArguments):
        type_of(annotation).parse(text, on(device_id))


def test_what_is_taken_can_be_understood() -> None:
    """`takes`, which is asked at every key, says of each TARGET what `parse` would, and costs less."""
    kinds = [type_of(found) for found in vars(param).values() if get_origin(found) is Annotated]
    targets = [
        "all",
        "ALL",
        "@kitchen",
        "@Kitchen",
        "@nosuch",
        "@",
        "light.*",
        "nosuch.*",
        "l*" * 70,
        "kitchen",
        "hall",
    ]
    targets += [
        "light.kids",
        "lock.*",
        "*.on",
        "light.*.on",
        "light.*.nosuch",
        "all.on",
        "@hall.locked",
        "front_door.on",
    ]
    for kind in (kind for kind in kinds if isinstance(kind, Devices)):
        for text in targets:
            try:
                known = bool(kind.parse(text, SCOPE))
            except BadArguments:
                known = False
            assert kind.takes(text, SCOPE) == known, (kind.fitting, text)
