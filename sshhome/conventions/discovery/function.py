"""What the filters, tests and functions of a template do, and what each of them costs: all that there are.

They mean what they mean in Home Assistant, whose `round`, `int`, `float` and `bool` are not those of jinja2. Values are
what JSON holds, and tuples; whoever makes a text, or looks through a list, pays for it before it is made.
"""

# ruff: noqa: ARG001, ARG005, FBT002, PLR0917  (each gets the run, and then what templates give it, in their order)

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

#: What templates are about: what JSON holds, tuples, and what is undefined.
Value: TypeAlias = Any

#: Letters of what is read, of each text on the way and of what comes out; what devices say is a thousandth of it.
LARGEST = 64 * 1024
#: What one rendering may make and look at: a unit is an element of a list, or eight letters.
ALLOWANCE = 16 * 1024
#: Lists and dictionaries in what is read as JSON; each takes thirty times its two letters.
_NESTED = 4000
#: Beyond what any device counts to; numbers are as large as they like in Python, and slow.
_GREATEST = 2**128


class Failed(Exception):
    """A template cannot be rendered for what a device has said, or would make or look at too much."""


class Undefined:
    """What there is none of: it is false, prints as nothing, and has no parts."""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return ""

    def __repr__(self) -> str:
        return "Undefined"


UNDEFINED = Undefined()


class Run:
    """One rendering of a template: the names it knows, and what it may still make and look at."""

    __slots__ = ("left", "names")

    def __init__(self, names: Mapping[str, Value]) -> None:
        self.names = dict(names)
        self.left = ALLOWANCE

    def pay(self, units: int) -> None:
        """Take note of work; raises Failed when it has been too much."""
        self.left -= units
        if self.left < 0:
            raise Failed("it makes, or looks through, too much")

    def made(self, text: str) -> str:
        """Return a text once it is paid for."""
        self.room(len(text))
        return text

    def room(self, letters: int) -> None:
        """Pay for a text that is about to be made."""
        if letters > LARGEST:
            raise Failed("it makes a text that is too long")
        self.pay(letters // 8 + 1)

    def look(self, value: object) -> None:
        """Pay for looking through a value, everything in it included."""
        if isinstance(value, str):
            self.pay(len(value) // 16 + 1)
        if not isinstance(value, list | tuple | dict):
            return
        waiting = [value]
        while waiting:
            inner = waiting.pop()
            self.pay(len(inner) + 1)
            for part in (*inner, *inner.values()) if isinstance(inner, dict) else inner:
                if isinstance(part, str):
                    self.pay(len(part) // 8)
                elif isinstance(part, list | tuple | dict):
                    waiting.append(part)

    def text(self, value: object) -> str:
        """Return a value as it is printed."""
        if isinstance(value, str):
            return value
        if isinstance(value, list | tuple | dict):
            self.look(value)
            return self.made(str(value))
        return str(value)


def numeric(value: object) -> int | float:
    """Return what can be reckoned with; raises Failed."""
    if not isinstance(value, int | float):
        raise Failed(f"{value!r:.40} is no number")
    if isinstance(value, int) and abs(value) > _GREATEST:
        raise Failed("a number is too large")
    return value


@functools.lru_cache(4)
def from_json(text: str) -> Value:
    """Return what a text is as JSON, the same for all who ask for it at once; raises ValueError."""
    if len(text) > LARGEST or text.count("[") + text.count("{") > _NESTED:
        raise ValueError("it is too large")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _whole(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or not low <= value <= high:
        raise Failed(f"{value!r:.40} is no number from {low} to {high}")
    return value


# -- filters ----------------------------------------------------------------------------------------------------------

#: What stands for a default that was not given: a filter then fails.
_NONE_GIVEN: Value = object()


def _or_default(name: str, value: object, default: Value) -> Value:
    if default is _NONE_GIVEN:
        raise Failed(f"{name} is for numbers, not {value!r:.40}")
    return default


def _float(run: Run, value: Value, default: Value = _NONE_GIVEN) -> Value:
    run.look(value)
    if value is UNDEFINED:
        raise Failed("float of what is undefined")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return _or_default("float", value, default)


def _int(run: Run, value: Value, default: Value = _NONE_GIVEN, base: Value = 10) -> Value:
    run.look(value)
    if value is UNDEFINED:
        raise Failed("int of what is undefined")
    try:
        try:
            whole = int(value, _whole(base, 0, 36)) if isinstance(value, str) else int(value)
        except (TypeError, ValueError):
            whole = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return _or_default("int", value, default)
    return numeric(whole)


def _round(
    run: Run, value: Value, precision: Value = 0, method: Value = "common", default: Value = _NONE_GIVEN
) -> Value:
    run.look(value)
    digits = _whole(precision, -30, 30)
    try:
        size = float(value)
    except (TypeError, ValueError):
        return _or_default("round", value, default)
    if not math.isfinite(size):
        raise Failed("round is for numbers")
    shift = float(10**digits)
    if method == "ceil":
        size = math.ceil(size * shift) / shift
    elif method == "floor":
        size = math.floor(size * shift) / shift
    elif method == "half":
        size = round(size * 2) / 2
    else:
        size = round(size, digits)
    return numeric(int(size)) if digits == 0 else size


def _multiply(run: Run, value: Value, amount: Value, default: Value = _NONE_GIVEN) -> Value:
    run.look(value)
    try:
        return float(value) * numeric(amount)
    except (TypeError, ValueError):
        return _or_default("multiply", value, default)


def _add(run: Run, value: Value, amount: Value, default: Value = _NONE_GIVEN) -> Value:
    run.look(value)
    try:
        return float(value) + numeric(amount)
    except (TypeError, ValueError):
        return _or_default("add", value, default)


_WORDS = dict.fromkeys(("1", "true", "yes", "on", "enable"), True) | dict.fromkeys(
    ("0", "false", "no", "off", "disable"), False
)


def _bool(run: Run, value: Value, default: Value = _NONE_GIVEN) -> Value:
    if isinstance(value, str):
        run.look(value)
        known = _WORDS.get(value.lower().strip())
        return _or_default("bool", value, default) if known is None else known
    return value != 0 if isinstance(value, int | float) else _or_default("bool", value, default)


def _iif(run: Run, value: Value, if_true: Value = True, if_false: Value = False, if_none: Value = _NONE_GIVEN) -> Value:
    if value is None and if_none is not _NONE_GIVEN:
        return if_none
    return if_true if value else if_false


def _default(run: Run, value: Value, default_value: Value = "", boolean: Value = False) -> Value:
    return default_value if value is UNDEFINED or (boolean and not value) else value


def _is_defined(run: Run, value: Value) -> Value:
    if value is UNDEFINED:
        raise Failed("it is undefined")
    return value


def _length(run: Run, value: Value) -> Value:
    if value is UNDEFINED:
        return 0
    if not isinstance(value, str | list | tuple | dict):
        raise Failed("length is for lists and texts")
    return len(value)


def _parts(value: object) -> Value:
    if value is UNDEFINED:
        return ()
    if not isinstance(value, str | list | tuple | dict):
        raise Failed(f"{value!r:.40} has no parts")
    return value


def _first(run: Run, value: Value) -> Value:
    return next(iter(_parts(value)), UNDEFINED)


def _last(run: Run, value: Value) -> Value:
    return next(reversed(_parts(value)), UNDEFINED)


def _numbers(run: Run, values: tuple[Value, ...]) -> list[int | float]:
    parts = _parts(values[0]) if len(values) == 1 else values
    run.look(parts)
    return [numeric(part) for part in parts]


def _min(run: Run, *values: Value) -> Value:
    return min(_numbers(run, values), default=UNDEFINED)


def _max(run: Run, *values: Value) -> Value:
    return max(_numbers(run, values), default=UNDEFINED)


def _abs(run: Run, value: Value) -> Value:
    return abs(numeric(value))


def _string(run: Run, value: Value) -> Value:
    return run.text(value)


def _lower(run: Run, value: Value) -> Value:
    return run.made(run.text(value).lower())


def _upper(run: Run, value: Value) -> Value:
    return run.made(run.text(value).upper())


_WORD = re.compile(r"[^-\s({\[<]+")


def _title(run: Run, value: Value) -> Value:
    text = run.text(value)
    run.pay(len(text) // 2)
    return run.made(_WORD.sub(lambda word: word[0][0].upper() + word[0][1:].lower(), text))


def _capitalize(run: Run, value: Value) -> Value:
    return run.made(run.text(value).capitalize())


def _trim(run: Run, value: Value, chars: Value = None) -> Value:
    # What is stripped of is looked for at both ends, letter by letter.
    letters = None if chars is None else run.text(chars)[:100]
    return run.made(run.text(value).strip(letters))


def _replace(run: Run, s: Value, old: Value, new: Value) -> Value:
    text, out, into = run.text(s), run.text(old), run.text(new)
    run.look(text)
    run.room(len(text) + text.count(out) * (len(into) - len(out)))
    return text.replace(out, into)


def _join(run: Run, value: Value, d: Value = "") -> Value:
    between = run.text(d)
    run.look(parts := _parts(value))
    texts = [run.text(part) for part in parts]
    run.room(sum(map(len, texts)) + len(texts) * len(between))
    return between.join(texts)


def _truncate(
    run: Run, s: Value, length: Value = 255, killwords: Value = False, end: Value = "...", leeway: Value = None
) -> Value:
    if s is UNDEFINED:
        return s
    if not isinstance(s, str):
        raise Failed("truncate is for texts")
    text, tail = s, run.text(end)
    run.look(text)
    longest = _whole(length, len(tail), LARGEST)
    if len(text) <= longest + _whole(5 if leeway is None else leeway, 0, LARGEST):
        return text
    cut = text[: longest - len(tail)]
    return run.made((cut if killwords else cut.rsplit(" ", 1)[0]) + tail)


def _from_json(run: Run, value: Value, default: Value = _NONE_GIVEN) -> Value:
    text = run.text(value)
    run.room(len(text))
    try:
        return from_json(text)
    except ValueError:
        return _or_default("from_json", value, default)


def _tojson(run: Run, value: Value) -> Value:
    run.look(value)
    text = json.dumps(value, sort_keys=True)
    # As it is put into HTML.
    for char in "<>&'":
        run.room(len(text) + 5 * text.count(char))
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _to_json(run: Run, value: Value) -> Value:
    run.look(value)
    return run.made(msgspec.json.encode(value).decode())


def _bitwise(operation: Callable[[int, int], int]) -> Callable[..., Value]:
    def apply(run: Run, value: Value, second_value: Value) -> Value:
        return operation(_whole(value, -_GREATEST, _GREATEST), _whole(second_value, -_GREATEST, _GREATEST))

    return apply


FILTERS: Mapping[str, Callable[..., Value]] = {
    "abs": _abs,
    "add": _add,
    "bitwise_and": _bitwise(int.__and__),
    "bitwise_or": _bitwise(int.__or__),
    "bool": _bool,
    "capitalize": _capitalize,
    "count": _length,
    "d": _default,
    "default": _default,
    "first": _first,
    "float": _float,
    "from_json": _from_json,
    "iif": _iif,
    "int": _int,
    "is_defined": _is_defined,
    "join": _join,
    "last": _last,
    "length": _length,
    "lower": _lower,
    "max": _max,
    "min": _min,
    "multiply": _multiply,
    "replace": _replace,
    "round": _round,
    "string": _string,
    "title": _title,
    "to_json": _to_json,
    "tojson": _tojson,
    "trim": _trim,
    "truncate": _truncate,
    "upper": _upper,
}
#: Those that are called by their name too.
FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    name: FILTERS[name] for name in ("bool", "float", "iif", "int", "max", "min")
}


# -- what is called on a value ----------------------------------------------------------------------------------------


def _split(run: Run, value: Value, sep: Value = None, maxsplit: Value = -1) -> Value:
    run.look(value)
    # A text in two is two texts; how many there will be is not known before but for what is between them.
    run.pay(len(value) // 4 if sep is None else value.count(sep))
    return value.split(sep, _whole(maxsplit, -1, LARGEST))


def _starts(run: Run, value: Value, prefix: Value) -> Value:
    return isinstance(prefix, str) and value.startswith(prefix)


def _ends(run: Run, value: Value, suffix: Value) -> Value:
    return isinstance(suffix, str) and value.endswith(suffix)


def _join_on(run: Run, value: Value, iterable: Value) -> Value:
    return _join(run, iterable, value)


def _get(run: Run, value: Value, key: Value, default: Value = None) -> Value:
    return value.get(key, default)


METHODS: Mapping[str, tuple[type, Callable[..., Value]]] = {
    "capitalize": (str, _capitalize),
    "endswith": (str, _ends),
    "get": (dict, _get),
    "join": (str, _join_on),
    "lower": (str, _lower),
    "replace": (str, _replace),
    "split": (str, _split),
    "startswith": (str, _starts),
    "strip": (str, _trim),
    "upper": (str, _upper),
}


# -- tests and comparisons --------------------------------------------------------------------------------------------


def equal(run: Run, left: Value, right: Value) -> bool:
    """Return whether two values are the same."""
    run.look(left)
    run.look(right)
    return bool(left == right)


def contains(run: Run, part: Value, whole: Value) -> bool:
    """Return whether a value is in a text, a list, or the keys of a dictionary."""
    run.look(part)
    run.look(whole)
    return part in _parts(whole)


def ordered(compare: Callable[[Value, Value], bool]) -> Callable[[Run, Value, Value], bool]:
    """Return a comparison of two numbers, or of two texts."""

    def apply(run: Run, left: Value, right: Value) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            run.look(left)
            return compare(left, right)
        return compare(numeric(left), numeric(right))

    return apply


COMPARISONS: Mapping[str, Callable[[Run, Value, Value], bool]] = {
    "eq": equal,
    "ne": lambda run, left, right: not equal(run, left, right),
    "gt": ordered(lambda left, right: bool(left > right)),
    "gteq": ordered(lambda left, right: bool(left >= right)),
    "lt": ordered(lambda left, right: bool(left < right)),
    "lteq": ordered(lambda left, right: bool(left <= right)),
    "in": contains,
    "notin": lambda run, left, right: not contains(run, left, right),
}


def _is_number(run: Run, value: Value) -> bool:
    number = _float(run, value, None) if value is not UNDEFINED else None
    return number is not None and math.isfinite(number)


TESTS: Mapping[str, Callable[..., bool]] = {
    "boolean": lambda run, value: isinstance(value, bool),
    "defined": lambda run, value: value is not UNDEFINED,
    "divisibleby": lambda run, value, num: numeric(value) % numeric(num) == 0,
    "even": lambda run, value: numeric(value) % 2 == 0,
    "false": lambda run, value: value is False,
    "float": lambda run, value: isinstance(value, float),
    "integer": lambda run, value: isinstance(value, int) and not isinstance(value, bool),
    "is_number": _is_number,
    "iterable": lambda run, value: value is UNDEFINED or isinstance(value, str | list | tuple | dict),
    "mapping": lambda run, value: isinstance(value, dict),
    "none": lambda run, value: value is None,
    "number": lambda run, value: isinstance(value, int | float),
    "odd": lambda run, value: numeric(value) % 2 == 1,
    "sequence": lambda run, value: value is UNDEFINED or isinstance(value, str | list | tuple | dict),
    "string": lambda run, value: isinstance(value, str),
    "true": lambda run, value: value is True,
    "undefined": lambda run, value: value is UNDEFINED,
    **{name: COMPARISONS[name] for name in ("eq", "ne", "gt", "lt", "in")},
    "equalto": COMPARISONS["eq"],
    "==": COMPARISONS["eq"],
    "!=": COMPARISONS["ne"],
    "ge": COMPARISONS["gteq"],
    "le": COMPARISONS["lteq"],
    "greaterthan": COMPARISONS["gt"],
    "lessthan": COMPARISONS["lt"],
    ">": COMPARISONS["gt"],
    ">=": COMPARISONS["gteq"],
    "<": COMPARISONS["lt"],
    "<=": COMPARISONS["lteq"],
}
