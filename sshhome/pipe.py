"""Filters behind an order, `show | match kitchen | count`: they make less of what it answered, and run no program.

A pipe is a `|` that stands by itself, unquoted, behind an order, with the name of a filter after it; from the first one
on all is filters. Any other `|` is plain text to an order that takes free text, and refused by all others.
"""

import re
import types
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from sshhome import words as tokenizer
from sshhome.device import Device
from sshhome.errors import BadArguments
from sshhome.form import human, plain
from sshhome.order import Cell, Order, Table
from sshhome.outcome import Answer, Filtered, Outcome
from sshhome.param import Suggestion
from sshhome.words import Word

PIPE = Word("|")
#: Each filter with what it takes and what it does.
FILTERS: Mapping[str, tuple[str, str]] = {
    "match": ("WORD…", "keep what holds this text, in capitals or not"),
    "except": ("WORD…", "leave out what holds this text"),
    "count": ("", "tell how many there are, and nothing else"),
    "first": ("NUMBER", "keep the first ones; what goes on ends after them"),
    "last": ("NUMBER", "keep the last ones"),
    "columns": ("NAME,…", "show these columns alone, in this order"),
    "sort": ("NAME", "put what is least in this column first"),
    "json": ("", "answer in JSON, as --json does"),
}
#: Filters that need the end, which what goes on does not have; and those that need columns.
_NEED_END, _NEED_COLUMNS = frozenset({"count", "last", "sort"}), frozenset({"columns", "sort"})
#: Options that may stand behind a filter too: they are about the answer.
_ANSWERING = frozenset({Word("--json"), Word("--keep-going"), Word("--stop-on-error")})
#: Filters of one order, and the largest number that one takes.
_MOST, _LARGEST = 8, 1_000_000
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_DEVICE_KEYS = tuple(Device(id="light.x", name="", note="x").as_json())


class Filter(msgspec.Struct, frozen=True):
    """One filter: its name, and the text, number or columns that it takes."""

    name: str
    text: str = ""
    number: int = 0
    columns: tuple[str, ...] = ()


# -- reading ----------------------------------------------------------------------------------------------------------


def split(words: Sequence[Word]) -> tuple[Sequence[Word], Sequence[Word]]:
    """Return an order's own words, and those of the filters behind it; options about the answer are the order's.

    What follows a bare `--` is nothing but text.
    """
    for at in range(1, len(words) - 1):
        if words[at] == Word("--"):
            break
        if words[at] == PIPE and _is_filter(words[at + 1]):
            behind = words[at:]
            options = [word for word in behind if word in _ANSWERING]
            return [*options, *words[:at]], [word for word in behind if word not in _ANSWERING]
    return words, ()


def parse(words: Sequence[Word]) -> tuple[Sequence[Filter], bool]:
    """Return the filters that these words are, and whether one of them is `json`; raises BadArguments."""
    groups: list[list[Word]] = []
    for word in words:
        if word == PIPE:
            groups.append([])
        elif word.is_option:
            raise BadArguments(f"'{word.text}' stands before the |", f'`| match "{word.text}"` looks for it')
        else:
            groups[-1].append(word)
    if len(groups) > _MOST:
        raise BadArguments(f"no more than {_MOST} filters")
    filters = [_filter(group) for group in groups]
    shaping = [found for found in filters if found.name != "json"]
    if any(found.name == "count" for found in shaping[:-1]):
        raise BadArguments("'count' leaves nothing to filter", "put it last")
    return shaping, len(shaping) < len(filters)


def _is_filter(word: Word) -> bool:
    return not word.quoted and word.text.lower() in FILTERS


def _filter(words: Sequence[Word]) -> Filter:
    if not words or not _is_filter(words[0]):
        raise _unknown(words[0] if words else None)
    name, given = words[0].text.lower(), [word.text for word in words[1:]]
    takes = FILTERS[name][0]
    usage = f"usage: | {name} {takes}".rstrip()
    if bool(given) != bool(takes) or (len(given) > 1 and name not in {"match", "except", "columns"}):
        raise BadArguments(f"'{name}' needs {takes}" if not given else f"one word too many: '{given[-1]}'", usage)
    if name in {"first", "last"}:
        if not (given[0].isascii() and given[0].isdigit() and len(given[0]) < 8 and 1 <= int(given[0]) <= _LARGEST):
            raise BadArguments(f"'{given[0]}' is not a number from 1", usage)
        return Filter(name, number=int(given[0]))
    if name in _NEED_COLUMNS:
        named = given if name == "sort" else [part for text in given for part in text.split(",")]
        columns = tuple(dict.fromkeys(part.strip().lower() for part in named if part.strip()))
        if not columns:
            raise BadArguments(f"'{name}' needs {takes}", usage)
        return Filter(name, columns=columns)
    text = " ".join(given).casefold()
    if takes and not text:
        # Everything holds it: a script whose variable is empty must not be told of all that there is.
        raise BadArguments(f"'{name}' needs {takes}", usage)
    return Filter(name, text)


def _unknown(word: Word | None) -> BadArguments:
    said = f"no filter '{word.text[:80]}'" if word else "no filter after the |"
    return BadArguments(said, f"there are {', '.join(FILTERS)}")


def check(order: Order, words: Sequence[Word], filters: Sequence[Filter], *, json: bool, rehearsed: bool) -> None:
    """Raise BadArguments, before an order runs, for what would be wrong with its filters once it had.

    What is rehearsed changes nothing, and its keys are others.
    """
    if PIPE in words and not any(param.type.rest for param in order.params):
        at = words.index(PIPE) + 1
        raise _unknown(words[at] if at < len(words) else None)
    shape = _shape(order)
    known = None if rehearsed else shape.keys
    for found in filters:
        if found.name in _NEED_COLUMNS:
            if not json and not shape.listed:
                raise BadArguments(f"'{order.name}' answers no table, so that there are no columns")
            if json and known is not None:
                _known(found.columns, known)
                known = found.columns if found.name == "columns" else known


def _known(wanted: Iterable[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are none"
            raise BadArguments(f"no column '{name[:80]}'", there)


class _Shape(NamedTuple):
    """What an order answers: whether a list, and the keys of its JSON objects, None where they are not known before."""

    listed: bool
    keys: Sequence[str] | None


def _shape(order: Order) -> _Shape:
    # People read a sentence of each device that was changed.
    return _Shape(listed=False, keys=_DEVICE_KEYS) if order.changes else _returned(order.run)


@cache
def _returned(function: Callable[..., Any]) -> _Shape:
    listed, keys = False, dict[str, None]()
    waiting = [get_type_hints(function).get("return")]
    while waiting:
        hint = waiting.pop(0)
        origin, parts = get_origin(hint), get_args(hint)
        if origin in {Union, types.UnionType}:
            waiting += parts
        elif isinstance(origin, type) and issubclass(origin, Sequence | AsyncGenerator):
            listed = True
            waiting.append(parts[0])
        elif hint is Device:
            keys.update(dict.fromkeys(_DEVICE_KEYS))
        elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            keys.update(dict.fromkeys(field.encode_name for field in msgspec.structs.fields(hint)))
        elif hint is Any or (isinstance(origin, type) and issubclass(origin, Mapping)):
            return _Shape(listed, None)
    return _Shape(listed, tuple(keys))


# -- filtering --------------------------------------------------------------------------------------------------------


class _Item(NamedTuple):
    """One row, line or JSON value, with the text that is looked at and the heading that it stands under."""

    value: Any
    text: str
    heading: str = ""


def filtered(outcome: Outcome, filters: Sequence[Filter]) -> Outcome:
    """Return an outcome with what filters leave of its answers; errors, and what was left out, stay as they are.

    Raises BadArguments for a column that there is not, and for what cannot be done with something that goes on.
    """
    if not filters or outcome.error is not None or outcome.order is None:
        return outcome
    stream = outcome.stream
    if stream is not None:
        endless = next((found.name for found in filters if found.name in _NEED_END), "")
        if endless:
            raise BadArguments(f"'{outcome.order.name}' goes on: '{endless}' would wait for its end")
        if not outcome.json and any(found.name in _NEED_COLUMNS for found in filters):
            raise BadArguments(f"'{outcome.order.name}' goes on in lines, which have no columns", "`--json` has them")
        return msgspec.structs.replace(outcome, answers=[Answer(_flowing(outcome, stream, filters))])
    make = _json if outcome.json else _for_people
    return msgspec.structs.replace(outcome, answers=make(outcome, filters), several=False)


def _json(outcome: Outcome, filters: Sequence[Filter]) -> Sequence[Answer]:
    """Filter the items of an array, or each answer by itself."""
    values = [_data(answer.value) for answer in outcome.answers]
    array = outcome.several
    if len(values) == 1 and isinstance(values[0], list):
        array, (values,) = True, values
    # Of what is rehearsed the keys are others.
    known = None if outcome.rehearsed or outcome.order is None else _shape(outcome.order).keys
    for found in filters:
        if found.name == "count":
            return [Answer(Filtered(len(values)))]
        if found.name in _NEED_COLUMNS:
            _known(found.columns, known or _keys(values)) if values else None
        if found.name == "columns":
            values, known = [_reduced(value, found) for value in values], found.columns
        else:
            items = [_Item(value, " ".join(_leaves(value)).casefold() if found.text else "") for value in values]
            keys = [value.get(name) if isinstance(value, dict) else None for name in found.columns for value in values]
            values = [item.value for item in _some(found, items, keys)]
    return [Answer(Filtered(values))] if array else [Answer(Filtered(value)) for value in values]


def _for_people(outcome: Outcome, filters: Sequence[Filter]) -> Sequence[Answer]:
    """Filter the rows of a table, or the lines of a text."""
    told = [human(outcome, answer) for answer in outcome.answers]
    table = told[0] if len(told) == 1 and isinstance(told[0], Table) else None
    items = list(_rows(table) if table is not None else _lines(told))
    before = len(items)
    for found in filters:
        at: list[int] = []
        if found.name in _NEED_COLUMNS:
            titles = [column.title.lower() for column in table.columns] if table is not None else []
            _known(found.columns, titles)
            at = [titles.index(name) for name in found.columns]
        if found.name == "count":
            return [Answer(Filtered(str(len(items))))]
        if found.name == "columns" and table is not None:
            columns = tuple(table.columns[place] for place in at)
            table = Table(columns, (), table.empty)
            items = [_row([item.value[place] for place in at], item.heading) for item in items]
        else:
            items = _some(found, items, [_text(item.value[place]) for place in at for item in items])
    if before and not items:
        return [Answer(Filtered("nothing matches"))]
    if table is None:
        return [Answer(Filtered("\n".join(item.value for item in items)))]
    rows: list[Any] = []
    heading = ""
    for item in items:
        if item.heading != heading:
            heading = item.heading
            rows += [heading] if heading else []
        rows.append(item.value)
    # What is left of a plot is no longer drawn.
    return [Answer(Filtered(Table(table.columns, rows, table.empty)))]


def _some(found: Filter, items: list[_Item], keys: Sequence[Any]) -> list[_Item]:
    """Return the items that a filter keeps, in the order it wants them; to be sorted they have a key each."""
    match found.name:
        case "match" | "except":
            return [item for item in items if (found.text in item.text) == (found.name == "match")]
        case "first":
            return items[: found.number]
        case "last":
            return items[-found.number :]
    # What is in order stands under no heading any more.
    ranked = sorted(zip(map(_rank, keys), items, strict=True), key=itemgetter(0))
    return [item._replace(heading="") for _, item in ranked]


async def _flowing(
    outcome: Outcome, stream: AsyncGenerator[Any, None], filters: Sequence[Filter]
) -> AsyncGenerator[Any, None]:
    """Yield what filters leave of what goes on, until there have been as many as were asked for."""
    left = [found.number for found in filters]
    async with aclosing(stream):
        async for told in stream:
            value, kept, ended = told, True, False
            for at, found in enumerate(filters):
                if found.name == "first":
                    left[at] -= 1
                    ended = ended or not left[at]
                elif found.name == "columns":
                    value = Filtered(_reduced(_data(value), found))
                elif (found.text in _said(outcome, value)) != (found.name == "match"):
                    kept = False
                    break
            if kept:
                yield value
            if ended:
                return


def _said(outcome: Outcome, value: Any) -> str:  # noqa: ANN401 (anything that goes on)
    """Return the text that is looked at of one value of what goes on."""
    if outcome.json:
        return " ".join(_leaves(_data(value))).casefold()
    text = human(outcome, Answer(value))
    return " ".join(item.text for item in _rows(text)) if isinstance(text, Table) else text.casefold()


def _rows(table: Table) -> Iterator[_Item]:
    """Yield the rows of a table; the heading of some of them is looked at with each of these."""
    heading = ""
    for row in table.rows:
        if isinstance(row, str):
            heading = row
        else:
            yield _row(row, heading)


def _row(cells: Sequence[Any], heading: str) -> _Item:
    return _Item(cells, " ".join((heading, *map(_text, cells))).casefold(), heading)


def _lines(told: Iterable[str | Table]) -> Iterator[_Item]:
    for text in told:
        lines = [" ".join(map(_text, item.value)) for item in _rows(text)] if isinstance(text, Table) else None
        for line in text.split("\n") if isinstance(text, str) else lines or ():
            if line:
                yield _Item(line, line.casefold())


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _data(value: Any) -> Any:  # noqa: ANN401 (anything an order returns)
    """Return what an order returned as dicts, lists and scalars."""
    return msgspec.to_builtins(plain(value))


def _leaves(value: Any) -> Iterator[str]:  # noqa: ANN401 (any JSON)
    """Yield the values in a JSON value, and not the names that they have."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    else:
        yield value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _keys(values: Iterable[Any]) -> Sequence[str]:
    return tuple(dict.fromkeys(key for value in values if isinstance(value, dict) for key in value))


def _reduced(value: Any, found: Filter) -> Any:  # noqa: ANN401 (any JSON)
    return {name: value[name] for name in found.columns if name in value} if isinstance(value, dict) else value


def _rank(value: Any) -> tuple[int, float, str]:  # noqa: ANN401 (any JSON, or the text of a cell)
    """Return where a value stands: numbers first, also those with a unit, then texts, and what is empty last."""
    if isinstance(value, dict | list):
        value = " ".join(_leaves(value))
    text = "" if value is None else str(value).strip().casefold()
    number = _NUMBER.match(text)
    if number is not None:
        return 0, float(number[0]), text
    return (1, 0.0, text) if text else (2, 0.0, "")


# -- typing -----------------------------------------------------------------------------------------------------------


def suggest(order: Order | None, done: Sequence[Word], typed: str, *, json: bool) -> Sequence[Suggestion] | None:
    """Return what may come next behind a pipe; None where the word that is half typed belongs to no filter.

    `done` are the words of this order before it, its name and all pipes included. A list of columns is completed
    behind its last comma.
    """
    pipes = [at for at, word in enumerate(done) if word == PIPE and at]
    if order is None or not pipes or Word("--") in done:
        return None
    behind = [word for word in done[pipes[-1] + 1 :] if word not in _ANSWERING]
    if not behind:
        return [Suggestion(name, f"{takes}  {says}" if takes else says) for name, (takes, says) in FILTERS.items()]
    if not _is_filter(behind[0]):
        return None
    name = behind[0].text.lower()
    if len(behind) > 1 and name != "columns":
        return ()
    if name in {"first", "last"}:
        return [Suggestion(str(number)) for number in (5, 10, 20)]
    if name not in _NEED_COLUMNS:
        return ()
    before = typed[: typed.rfind(",") + 1] if name == "columns" else ""
    taken = {part.strip().lower() for part in before.split(",")}
    return [Suggestion(f"{before}{title}") for title in columns(order, json=json) if title not in taken]


def columns(order: Order, *, json: bool) -> Sequence[str]:
    """Return the columns that the answer of an order has, as far as they are known before it is given."""
    shape = _shape(order)
    if json:
        return shape.keys or ()
    if shape.listed and callable(order.says):
        # A table with nothing in it has its columns; an order whose answer is none may not know what to say of nothing.
        with suppress(Exception):
            table = order.says([])
            if isinstance(table, Table):
                return [column.title.lower() for column in table.columns if column.title]
    return ()


def written(words: Sequence[Word]) -> str:
    """Return filters as the audit log tells of them, without the first pipe."""
    return tokenizer.join(words[1:])
