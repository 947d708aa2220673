"""Templates mean what they mean in Home Assistant, and what is not supported is refused with a reason."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Undefined
from jinja2.exceptions import UndefinedError
from jinja2.filters import do_float, do_int
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sshhome.conventions.discovery.template import Failed, NotSupported, check, render, variables

#: What templates are about.
Value: TypeAlias = Any

SAMPLES = Path(__file__).parents[2] / "samples" / "devices.jsonl"


# -- what jinja2 says, with the filters that Home Assistant has in place of its own -----------------------------------


def _round(value: Value, precision: int = 0, method: str = "common") -> Value:
    factor = 10**precision
    steps = {"ceil": math.ceil, "floor": math.floor}
    size = float(value)
    size = steps[method](size * factor) / factor if method in steps else round(size, precision)
    return int(size) if precision == 0 else size


def _truth(value: Value, default: Value = None) -> Value:
    words = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
    return words.get(value.lower(), default) if isinstance(value, str) else bool(value)


def _number(convert: Callable[..., Value]) -> Callable[..., Value]:
    def apply(value: Value, default: Value = ..., base: int = 10) -> Value:
        found = convert(value, ..., *((base,) if convert is do_int else ()))
        if found is ... and default is ...:
            raise ValueError(value)
        return default if found is ... else found

    return apply


def _given(value: Value) -> Value:
    if isinstance(value, Undefined):
        raise UndefinedError
    return value


def _iif(value: Value, yes: Value = True, no: Value = False) -> Value:  # noqa: FBT002  (as templates call it)
    return yes if value else no


def jinja() -> ImmutableSandboxedEnvironment:
    """Return the sandbox that Home Assistant runs templates in."""
    made = ImmutableSandboxedEnvironment()
    made.filters |= {
        "round": _round,
        "float": _number(do_float),
        "int": _number(do_int),
        "bool": _truth,
        "iif": _iif,
        "is_defined": _given,
        "from_json": json.loads,
        "to_json": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        "multiply": lambda value, amount: float(value) * amount,
    }
    return made


JINJA = jinja()


def both(template: str, payload: str) -> tuple[str | None, str | None]:
    """Return what jinja2 and this house make of a payload by a template; None for what cannot be made."""
    names = variables(payload)
    try:
        theirs = JINJA.from_string(template.strip()).render(names).strip()
    except Exception:  # noqa: BLE001  (whatever it raises, Home Assistant reads nothing)
        theirs = None
    try:
        ours = render(template, names)
    except Failed:
        ours = None
    return theirs, ours


#: Templates of bridges and of forums, with payloads that they are for, and some that they are not.
REAL = [
    ("{{ value_json.state }}", '{"state": "online"}'),
    ("{{ value_json.state }}", '{"state": null}'),
    ("{{ value_json.state }}", "{}"),
    ("{{ value_json.state }}", "no json"),
    ('{{ value_json["temperature"] }}', '{"temperature": 21.0}'),
    ("{{ value_json['a']['b'][1] }}", '{"a": {"b": [1, 2.50]}}'),
    ("{{ value_json[0].x }}", '[{"x": true}]'),
    ("{{ value }}", " 21 "),
    ("{{ value|float }}", "21"),
    ("{{ value|float }}", "unavailable"),
    ("{{ value | float(0) * 10 }}", "unavailable"),
    ("{{ value|int / 10 }}", "215"),
    ("{{ value|int }}", "42.9"),
    ("{{ (value_json.bri | float * 255 / 100) | round(0) | int }}", '{"bri": "40"}'),
    ("{{ value_json.humidity | round(1) }}", '{"humidity": 45.26}'),
    ("{{ value_json.p | multiply(2.55) | round(0) }}", '{"p": "40"}'),
    ("{{ value_json.rgb | join(',') }}", '{"rgb": [255, 0, 10]}'),
    ("{{ value_json.log_level | lower }}", '{"log_level": "INFO"}'),
    ("{{ value_json.permit_join | lower }}", '{"permit_join": false}'),
    ("{{ value_json.x | default('', True) | string | truncate(254, True, '', 0) }}", '{"x": null}'),
    ("{{ value_json.x | default('', True) | string | truncate(4, True, '', 0) }}", '{"x": "abcdefg"}'),
    ("{{ value_json.x is defined }}", '{"y": 1}'),
    ("{{ value_json.x | is_defined }}", '{"x": 1}'),
    ("{{ value_json.x | is_defined }}", '{"y": 1}'),
    ("{{ value_json.data.value | tojson }}", '{"data": {"value": {"b": "<é\'>", "a": [1, null]}}}'),
    ("{{ value_json | to_json }}", '{"b": "é", "a": [1, null]}'),
    ("{{ (value | from_json).a }}", '{"a": 5}'),
    ("{% if value_json.running %}on{% else %}off{% endif %}", '{"running": 0}'),
    ("{% if value == '0' %} off {% elif value|int > 50 %} high {% else %} low {% endif %}", "51"),
    (
        '{% if "a" in value_json and value_json["a"] %}A{% if value_json.b > 0 %}B{% endif %}{% endif %}',
        '{"a": 1, "b": 2}',
    ),
    (
        "{% set values = {None:None,'idle':'idle','heat':'heating'} %}{{ values[value_json.running] }}",
        '{"running": "heat"}',
    ),
    ("{% set values = {None:None,'idle':'idle'} %}{{ values[value_json.running] }}", '{"running": null}'),
    ("{% set values = {None:None,'idle':'idle'} %}{{ values[value_json.running] }}", "{}"),
    ("{{ {'off':0, 'low':33, 'high':100}[value_json.mode] | default('None') }}", '{"mode": "high"}'),
    ("{{ {'off':0, 'low':33, 'high':100}[value_json.mode] | default('None') }}", '{"mode": "turbo"}'),
    ("{{ value_json.m if value_json.m in ['on', 'auto'] else 'None' | default('None') }}", '{"m": "auto"}'),
    ("{{ value.split(',')[1] }}", "on,128,200"),
    ("{{ value.split(',')[4].split('-')[0] }}", "on,128,200,3,255-0-10"),
    ("{{ value.split()[0] }}", "on 5"),
    ("{{ value[0:2] }}", "abc"),
    ("{{ value_json['update'].get('progress', 'null') }}", '{"update": {}}'),
    ("{{ (value_json['update']['state'] == 'updating')|lower }}", '{"update": {"state": "idle"}}'),
    ("{{ 'ON' if value_json.ison else 'OFF' }}", '{"ison": true}'),
    ("{{ value_json.on | iif('ON', 'OFF') }}", '{"on": true}'),
    ("{{ value_json.on | bool | iif('ON', 'OFF') }}", '{"on": "off"}'),
    ("{{ [value|int, 0]|max }}", "-5"),
    ("{{ [value|int, 100]|min }}", "250"),
    ("{{ value | replace('_', ' ') | title }}", "front_door"),
    ("{{ value ~ '%' }}", "5"),
    ("{{ value_json.a | first }}{{ value_json.a | last }}{{ value_json.a | length }}", '{"a": [1, 2, 3]}'),
    ("{{ value_json.t is number and value_json.t > 20 }}", '{"t": 21}'),
    ("{{ not value_json.contact }}", '{"contact": true}'),
    ("{{ value_json }}", '{"a": [1, 2.5, null, true, "x\'y"]}'),
    ("{{ -value_json.a // 2 }} {{ value_json.a % 3 }}", '{"a": 7}'),
    ("{{ value_json.a / 0 }}", '{"a": 7}'),
    ("{{ 1 < value_json.a <= 7 }}", '{"a": 7}'),
    ("{{ value_json.a.b.c }}", '{"a": 7}'),
    ("{{ value_json.a < 'x' }}", '{"a": 7}'),
    ("{{ value_json.e is none }}", '{"e": null}'),
    ("{{ value_json.a is eq 7 and value_json.a is not string }}", '{"a": 7}'),
    ("{{ (1, 'a') }}{{ 3 in (1, 3) }}", ""),
    ("{{- value -}}  ", "x"),
    ("{# what it was #}{{ value }}\n", "x"),
    ("{% raw %}{{ x }}{% endraw %}", ""),
    ("plain", "x"),
]


@pytest.mark.parametrize(("template", "payload"), REAL)
def test_real_templates_say_what_jinja2_says(template: str, payload: str) -> None:
    """Templates as bridges send them make the same text as in Home Assistant, or none where that makes none."""
    theirs, ours = both(template, payload)
    assert ours == theirs


def templates(value: object) -> Iterator[str]:
    """Yield every template that there is in a discovery message."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) and key.endswith(("template", "tpl")):
                yield inner
            yield from templates(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from templates(inner)


def test_every_template_of_the_samples_is_supported() -> None:
    """Each template of the discovery messages among the samples is read, and makes of a payload what jinja2 makes."""
    records = [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]
    found = {text for record in records if "discovery" in record["convention"] for text in templates(record["payload"])}
    assert len(found) >= 15
    payload = {"state": "ON", "temperature": 21.37, "humidity": 45.26, "position": 30, "power": "ON", "bri": 40}
    payload |= {"rgb": [255, 0, 10], "relay": "ON", "running_state": "heat", "system_mode": "heat"}
    for text in found:
        check(text)
        theirs, ours = both(text, json.dumps(payload))
        assert ours == theirs, text


PAYLOAD = {"n": 21, "f": -3.75, "s": "On, Off", "l": [1, "a", None, 2.5], "t": True, "z": None, "d": {"a": "b"}}

NUMBER: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.integers(0, 100).map(str),
        st.sampled_from(["1.5", "0.25", "value_json.n", "value_json.f", "value_json.d.x", "value_json.z"]),
        st.tuples(NUMBER, st.sampled_from("+-*/%"), NUMBER).map(lambda parts: "({} {} {})".format(*parts)),
        st.tuples(NUMBER, NUMBER).map(lambda parts: "({} // {})".format(*parts)),
        st.tuples(NUMBER, st.sampled_from(["|abs", "|round", "|round(2)", "|round(1, 'floor')", "|int", "|float"])).map(
            "".join
        ),
        st.tuples(TEXT, st.sampled_from(["|int(0)", "|float(0)", "|length"])).map("".join),
        st.tuples(NUMBER, TRUTH, NUMBER).map(lambda parts: "({} if {} else {})".format(*parts)),
        NUMBER.map(lambda part: f"(-{part})"),
    )
)
TEXT: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["'on'", "'A b'", "''", "'12.5'", "value_json.s", "value_json.d.a", "value_json.d.x", "value"]),
        st.tuples(ANY, ANY).map(lambda parts: "({} ~ {})".format(*parts)),
        st.tuples(
            TEXT, st.sampled_from(["|lower", "|upper", "|trim", "|title", "|capitalize", "|replace('O', 'oo')"])
        ).map("".join),
        st.tuples(
            TEXT, st.sampled_from(["|truncate(6, true)", "|truncate(7, false, '!', 0)", "|default('?', true)"])
        ).map("".join),
        st.tuples(
            TEXT, st.sampled_from([".split(',')", ".split()"]), st.sampled_from(["|first", "|last", "|join('-')"])
        ).map(lambda one: "({}){}{}".format(*one)),
        st.tuples(LIST, st.sampled_from(["|join", "|join(', ')", "|string", "|to_json"])).map("".join),
        st.tuples(TEXT, st.sampled_from(["[0]", "[1:]", "[:2]", "[-1]"])).map(lambda one: "({}){}".format(*one)),
    )
)
TRUTH: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["true", "false", "value_json.t", "value_json.d.x", "value_json.l", "none"]),
        st.tuples(NUMBER, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBER).map(
            lambda one: "({} {} {})".format(*one)
        ),
        st.tuples(TEXT, st.sampled_from(["<", "==", "!=", "in", "not in"]), TEXT).map(
            lambda one: "({} {} {})".format(*one)
        ),
        st.tuples(ANY, LIST).map(lambda one: "({} in {})".format(*one)),
        st.tuples(TRUTH, st.sampled_from(["and", "or"]), TRUTH).map(lambda one: "({} {} {})".format(*one)),
        TRUTH.map(lambda one: f"(not {one})"),
        st.tuples(ANY, st.sampled_from(["defined", "none", "number", "string", "mapping", "boolean", "integer"])).map(
            lambda one: "({} is {})".format(*one)
        ),
    )
)
LIST: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.just("value_json.l"),
        st.lists(ANY, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.lists(ANY, min_size=2, max_size=3).map(lambda parts: f"({', '.join(parts)})"),
    )
)
ANY: st.SearchStrategy[str] = st.deferred(lambda: st.one_of(NUMBER, TEXT, TRUTH, LIST))


@settings(deadline=None)
@given(ANY)
def test_supported_expressions_say_what_jinja2_says(expression: str) -> None:
    """Whatever expression is made of supported parts, it makes the same text as in jinja2, or none in both."""
    template = f"{{% if {expression} %}}yes {{% endif %}}{{% set found = {expression} %}}{{{{ found }}}}"
    names = variables(json.dumps(PAYLOAD))
    try:
        theirs = JINJA.from_string(template).render(names).strip()
    except Exception:  # noqa: BLE001  (whatever it raises, Home Assistant reads nothing)
        theirs = None
    try:
        ours = render(template, names)
    except Failed:
        ours = None
    except NotSupported as refusal:
        # What has grown too large for anybody to have written it.
        assert str(refusal) in {"it is nested too deeply", "it has too many parts", "it is too deep or too large"}  # noqa: PT017
        return
    assert ours == theirs


REFUSED = [
    ("{% for x in value %}{{ x }}{% endfor %}", "a loop"),
    ("{{ 9**9**9 }}", r"\*\*"),
    ("{{ range(999999999)|list }}", "the filter list"),
    ("{{ now() }}", "it calls now"),
    ("{{ states('light.x') }}", "a call of states"),
    ("{{ states.light.x }}", "it asks for states"),
    ("{{ ''.__class__() }}", "a call of .__class__"),
    ("{{ '{:>999999999}'.format(1) }}", "a call of .format"),
    ("{{ '%999999999d'|format(1) }}", "the filter format"),
    ("{{ value|center(999999999) }}", "the filter center"),
    ("{{ value|regex_replace('(a+)+b', '') }}", "the filter regex_replace"),
    ("{{ value is match('(a+)+b') }}", "the test match"),
    ("{{ value|round(2, 3, 4, 5, 6) }}", "with what that does not take"),
    ("{{ value|truncate(*value_json) }}", "with what that does not take"),
    ("{{ value|default(nope=1) }}", "with what that does not take"),
    ("{{ {value: 1} }}", "keys are not written out"),
    ("{{ value_json.a()() }}", "a call of .a|calls what it has made"),
    ("{% set ns = namespace(x=1) %}", "it calls namespace"),
    ("{% set a, b = 1, 2 %}", "assign"),
    ("{% set a %}x{% endset %}", "a block that is set"),
    ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "a macro"),
    ("{% include 'x' %}", "another template"),
    ("{% filter upper %}x{% endfilter %}", "a filter around a block"),
    ("{% with x = 1 %}{% endwith %}", "with"),
    ("{{ " + "9" * 200 + " }}", "too large"),
    ("{{ 0xffffffffffffffffffffffffffffffffffff }}", "too large"),
    ("{{ ", "it is no template"),
    ("{% if 1 %}", "it is no template"),
    ("{{ value_json.a..b }}", "it is no template"),
    ("x" * 5000, "more than 4096 characters"),
    ("{{ " + "(" * 1500 + "1" + ")" * 1500 + " }}", "too (many|deep)"),
    ("{{ " + "(" * 400 + "1" + ")" * 400 + " }}", "too (deep|many)"),
    ("{{ " + "[" * 100 + "]" * 100 + " }}", "too deep"),
    ("{{ " + "not " * 200 + "1 }}", "too deep"),
    ("{{ " + "-" * 900 + "1 }}", "too (deep|many)"),
    ("{{ value" + ".a" * 400 + " }}", "too deep"),
    ("{{ value" + "|abs" * 400 + " }}", "too deep"),
    ("{{ " + "+".join("1" * 400) + " }}", "too deep"),
    ("{{ " + "+".join("1" * 1900) + " }}", "too many parts"),
    ("{% if 1 %}" * 100 + "{% endif %}" * 100, "too (deep|many)"),
]


@pytest.mark.parametrize(("template", "reason"), REFUSED, ids=[template[:30] for template, _ in REFUSED])
def test_what_is_not_supported_is_refused_with_a_reason(template: str, reason: str) -> None:
    """A template that asks for more than there is is refused as it is read, in a few words, each time."""
    for _ in range(2):
        with pytest.raises(NotSupported, match=reason) as refusal:
            check(template)
    assert len(str(refusal.value)) <= 120


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    """Reading a template raises nothing but its own refusal, and rendering it nothing but its own failure."""
    try:
        render(text, variables(text))
    except (NotSupported, Failed) as refusal:
        assert str(refusal)  # noqa: PT017  (either may be raised, or nothing)


def test_names_that_are_not_given_are_undefined() -> None:
    """What a template may ask for and is not told is undefined, as it is in jinja2."""
    assert render("{{ tone | default('alarm') }}{{ brightness is defined }}", {}) == "alarmFalse"
    with pytest.raises(Failed, match="undefined"):
        render("{{ this.state }}", {})


def test_a_method_of_a_dictionary_does_not_hide_its_key() -> None:
    """What a device calls `values` or `items` is read, where jinja2 would find a method of Python's."""
    assert render("{{ value_json.values }} {{ value_json.items }}", variables('{"values": 5, "items": 6}')) == "5 6"


def test_payloads_are_json_or_text() -> None:
    """What is not JSON, or is larger or more nested than anything a device says, is a text alone."""
    assert variables('{"a": 1}') == {"value": '{"a": 1}', "value_json": {"a": 1}}
    for payload in ("", "{", "NaN", "[" * 100_000, "[[]," * 5000 + "1", '"' + "x" * 70_000 + '"'):
        assert variables(payload) == {"value": payload}
