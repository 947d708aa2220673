"""Home Assistant's templates as devices send them: read by jinja2's parser, and run by a small interpreter of our own.

Whoever may publish on the broker writes them, and jinja2's sandbox lets one line take a gigabyte. So what is not listed
here is refused as it is read, with a reason for people: there are no loops, nothing of Python's is called, and what a
rendering makes and looks through is counted (`function`). A template runs each of its parts once at most.
"""

# ruff: noqa: ARG005  (what runs a part gets the run, whether it asks anything of it or not)

import functools
import inspect
import operator
import re
from collections.abc import Callable, Mapping, Sequence

import jinja2
from jinja2 import nodes

from sshhome.conventions.discovery.function import (
    COMPARISONS,
    FILTERS,
    FUNCTIONS,
    LARGEST,
    METHODS,
    TESTS,
    UNDEFINED,
    Failed,
    Run,
    Value,
    from_json,
    numeric,
)

__all__ = ["Failed", "NotSupported", "check", "render", "variables"]

#: Letters of a template; the longest that bridges send have 700.
_LONGEST = 4096
#: Tokens of a template, of which each costs jinja2's parser some microseconds; and how deep one part may be in another.
_TOKENS, _DEEPEST = 1000, 50
# Longer ones are read before they can be refused.
_DIGITS = re.compile(r"[0-9_]{100}")
#: Templates that are kept ready to run: each once, however many devices have it.
_KEPT = 512

#: What a template may ask for; the rest of what Home Assistant knows is about a house that is not ours.
_OF_ALL = ("value", "value_json", "this", "entity_id", "name", "state", "code", "action", "tone", "duration")
_OF_LIGHTS = ("brightness", "red", "green", "blue", "hue", "sat", "white", "color_temp", "color_temp_kelvin", "effect")
_OF_OTHERS = ("color", "flash", "transition", "position", "tilt_position", "percentage", "preset_mode", "volume_level")
_OF_SCALES = ("position_open", "position_closed", "tilt_min", "tilt_max", "x", "y", "cold_white", "warm_white", "speed")
_NAMES = frozenset(_OF_ALL + _OF_LIGHTS + _OF_OTHERS + _OF_SCALES)

_Part = Callable[[Run], Value]


class NotSupported(Exception):
    """A template asks for what is not offered; the message says what, as in `it has a loop`."""


def check(text: str) -> None:
    """Read a template; raises NotSupported."""
    _ready(text)


def variables(payload: str) -> dict[str, Value]:
    """Return what the templates of a payload may ask for: `value`, and `value_json` if it is JSON."""
    try:
        return {"value": payload, "value_json": from_json(payload)}
    except ValueError:
        return {"value": payload}


def render(text: str, names: Mapping[str, Value]) -> str:
    """Return what a template makes of these names, without space around it; raises NotSupported or Failed."""
    outputs = _ready(text)
    run = Run(names)
    out: list[str] = []
    if any(isinstance(value, str) and len(value) > LARGEST for value in names.values()):
        raise Failed("what it is given is too long")
    try:
        for part in outputs:
            part(run, out)
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise Failed(str(error)[:80]) from None
    return "".join(out).strip()


_Output = Callable[[Run, list[str]], None]


def _ready(text: str) -> Sequence[_Output]:
    found = _read(text)
    if isinstance(found, str):
        raise NotSupported(found)
    return found


@functools.lru_cache(_KEPT)
def _read(text: str) -> Sequence[_Output] | str:
    """Return what runs a template, or why there is nothing that does."""
    if len(text) > _LONGEST:
        return f"it has more than {_LONGEST} characters"
    if _DIGITS.search(text):
        return "a number is too large"
    try:
        if any(count == _TOKENS for count, _ in enumerate(_parser().lex(text))):
            return "it has too many parts"
        return _Reader().body(_parser().parse(text.strip()).body)
    except jinja2.TemplateSyntaxError as error:
        return f"it is no template: {str(error.message)[:80]}"
    except (RecursionError, OverflowError, ValueError, MemoryError):
        return "it is too deep or too large"
    except NotSupported as refusal:
        return str(refusal)


@functools.cache
def _parser() -> jinja2.Environment:
    return jinja2.Environment(autoescape=False)  # noqa: S701  only its parser is used, and nothing here is HTML


# -- what is read -----------------------------------------------------------------------------------------------------

_OPERATORS: Mapping[type[nodes.Node], Callable[[Value, Value], Value]] = {
    nodes.Add: operator.add,
    nodes.Sub: operator.sub,
    nodes.Mul: operator.mul,
    nodes.Div: operator.truediv,
    nodes.FloorDiv: operator.floordiv,
    nodes.Mod: operator.mod,
}
_WHAT: Mapping[type[nodes.Node], str] = {
    nodes.For: "a loop",
    nodes.Macro: "a macro",
    nodes.CallBlock: "a macro",
    nodes.FilterBlock: "a filter around a block",
    nodes.AssignBlock: "a block that is set",
    nodes.Include: "another template",
    nodes.Import: "another template",
    nodes.FromImport: "another template",
    nodes.Extends: "another template",
    nodes.Pow: "**",
    nodes.NSRef: "a namespace",
}


class _Reader:
    """Makes of each part of a template, as jinja2's parser gives it, what runs it."""

    def __init__(self) -> None:
        self._names = set(_NAMES)
        self._depth = 0

    def body(self, parts: Sequence[nodes.Node]) -> Sequence[_Output]:
        return tuple(output for part in parts for output in self._statement(part))

    def _statement(self, node: nodes.Node) -> Sequence[_Output]:
        with self._deeper():
            match node:
                case nodes.Output():
                    return [self._print(part) for part in node.nodes]
                case nodes.If():
                    return [self._if(node)]
                case nodes.Assign(target=nodes.Name(name=name)):
                    made = self.part(node.node)
                    self._names.add(name)
                    return [functools.partial(_assign, name, made)]
        raise _refusal(node)

    def _print(self, node: nodes.Node) -> _Output:
        if isinstance(node, nodes.TemplateData):
            return functools.partial(_say, node.data)
        return functools.partial(_print, self.part(node))

    def _if(self, node: nodes.If) -> _Output:
        branches = [(self.part(branch.test), self.body(branch.body)) for branch in (node, *node.elif_)]
        return functools.partial(_choose, branches, self.body(node.else_))

    def _deeper(self) -> "_Reader":
        if self._depth > _DEEPEST:
            raise NotSupported("it is nested too deeply")
        return self

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1

    def part(self, node: nodes.Node) -> _Part:
        """Return what finds the value of an expression."""
        with self._deeper():
            return self._part(node)

    def _part(self, node: nodes.Node) -> _Part:  # noqa: C901, PLR0912  (one case a kind of node)
        match node:
            case nodes.Const():
                value = node.value
                if isinstance(value, int):
                    _numeric_constant(value)
                return lambda run: value
            case nodes.Name():
                if node.name not in self._names:
                    raise NotSupported(f"it asks for {node.name[:40]}")
                name = node.name
                return lambda run: run.names.get(name, UNDEFINED)
            case nodes.Getattr():
                attribute = node.attr
                return self._item(node.node, lambda run: attribute)
            case nodes.Getitem(arg=nodes.Slice() as span):
                return self._slice(node.node, span)
            case nodes.Getitem():
                return self._item(node.node, self.part(node.arg))
            case nodes.List():
                return self._list(node.items, list)
            case nodes.Tuple():
                return self._list(node.items, tuple)
            case nodes.Dict():
                return self._dict(node)
            case nodes.Concat():
                return self._concat([self.part(one) for one in node.nodes])
            case nodes.And() | nodes.Or() | nodes.Not() | nodes.CondExpr():
                return self._logic(node)
            case nodes.Compare():
                return self._compare(node)
            case nodes.Neg() | nodes.Pos():
                operand, sign = self.part(node.node), -1 if isinstance(node, nodes.Neg) else 1
                return lambda run: sign * numeric(operand(run))
            case nodes.Filter() if node.node is not None:
                return self._apply(node, f"the filter {node.name[:40]}", FILTERS.get(node.name), node.node)
            case nodes.Test():
                return self._apply(node, f"the test {node.name[:40]}", TESTS.get(node.name), node.node)
            case nodes.Call():
                return self._call(node)
            case nodes.BinExpr() if type(node) in _OPERATORS:
                return self._reckon(node)
        raise _refusal(node)

    def _item(self, node: nodes.Node, key: _Part) -> _Part:
        whole = self.part(node)

        def find(run: Run) -> Value:
            value, at = whole(run), key(run)
            if value is UNDEFINED:
                raise Failed("a part of what is undefined")
            try:
                return value[at] if isinstance(value, dict | list | tuple | str) else UNDEFINED
            except (LookupError, TypeError):
                return UNDEFINED

        return find

    def _slice(self, node: nodes.Node, span: nodes.Slice) -> _Part:
        whole = self.part(node)
        bounds = [self.part(bound) if bound is not None else None for bound in (span.start, span.stop, span.step)]

        def cut(run: Run) -> Value:
            value = whole(run)
            start, stop, step = (bound(run) if bound is not None else None for bound in bounds)
            if value is UNDEFINED:
                raise Failed("a part of what is undefined")
            if not isinstance(value, list | tuple | str):
                return UNDEFINED
            run.pay(len(value))
            return value[start:stop:step]

        return cut

    def _list(self, items: Sequence[nodes.Node], kind: type[list[Value]] | type[tuple[Value, ...]]) -> _Part:
        parts = [self.part(item) for item in items]

        def make(run: Run) -> Value:
            made = kind([part(run) for part in parts])
            # Looked through at once: lists of the same lists grow beyond all bounds in a few lines.
            run.look(made)
            return made

        return make

    def _dict(self, node: nodes.Dict) -> _Part:
        pairs = []
        for pair in node.items:
            if not isinstance(pair.key, nodes.Const):
                raise NotSupported("it has a dictionary whose keys are not written out")
            self._part(pair.key)
            pairs.append((pair.key.value, self.part(pair.value)))

        def make(run: Run) -> Value:
            made = {key: part(run) for key, part in pairs}
            run.look(made)
            return made

        return make

    def _concat(self, parts: Sequence[_Part]) -> _Part:
        def join(run: Run) -> str:
            texts = [run.text(part(run)) for part in parts]
            run.room(sum(map(len, texts)))
            return "".join(texts)

        return join

    def _logic(self, node: nodes.Node) -> _Part:
        match node:
            case nodes.And():
                left, right = self.part(node.left), self.part(node.right)
                return lambda run: left(run) and right(run)
            case nodes.Or():
                left, right = self.part(node.left), self.part(node.right)
                return lambda run: left(run) or right(run)
            case nodes.Not():
                operand = self.part(node.node)
                return lambda run: not operand(run)
            case nodes.CondExpr():
                test, one = self.part(node.test), self.part(node.expr1)
                other = self.part(node.expr2) if node.expr2 is not None else lambda run: UNDEFINED
                return lambda run: one(run) if test(run) else other(run)
        raise _refusal(node)

    def _compare(self, node: nodes.Compare) -> _Part:
        first = self.part(node.expr)
        rest = [(COMPARISONS[operand.op], self.part(operand.expr)) for operand in node.ops]

        def compare(run: Run) -> bool:
            left = first(run)
            for holds, part in rest:
                right = part(run)
                if not holds(run, left, right):
                    return False
                left = right
            return True

        return compare

    def _reckon(self, node: nodes.BinExpr) -> _Part:
        left, right, apply = self.part(node.left), self.part(node.right), _OPERATORS[type(node)]
        return lambda run: numeric(apply(numeric(left(run)), numeric(right(run))))

    def _call(self, node: nodes.Call) -> _Part:
        match node.node:
            case nodes.Name(name=name):
                if not node.args:
                    raise NotSupported(f"it calls {name[:40]}")
                first, node.args = node.args[0], node.args[1:]
                return self._apply(node, f"a call of {name[:40]}", FUNCTIONS.get(name), first)
            case nodes.Getattr(attr=name, node=owner):
                kind, method = METHODS.get(name, (str, None))
                return self._apply(node, f"a call of .{name[:40]}", method, owner, kind)
        raise NotSupported("it calls what it has made")

    def _apply(
        self,
        node: nodes.Filter | nodes.Test | nodes.Call,
        what: str,
        function: Callable[..., Value] | None,
        on: nodes.Node,
        kind: type = object,
    ) -> _Part:
        """Return what applies a function to a value, which must be of this kind."""
        if function is None:
            raise NotSupported(f"it has {what}")
        subject = self.part(on)
        args = [self.part(arg) for arg in node.args]
        named: dict[str, _Part] = {str(pair.key): self.part(pair.value) for pair in node.kwargs}
        try:
            if node.dyn_args is not None or node.dyn_kwargs is not None:
                raise TypeError
            _signature(function).bind(None, None, *args, **named)
        except TypeError:
            raise NotSupported(f"it has {what} with what that does not take") from None

        def apply(run: Run) -> Value:
            value = subject(run)
            if not isinstance(value, kind):
                raise Failed(f"{value!r:.40} has no such method")
            return function(
                run, value, *(arg(run) for arg in args), **{name: part(run) for name, part in named.items()}
            )

        return apply


_signature = functools.cache(inspect.signature)


def _numeric_constant(value: int) -> None:
    try:
        numeric(value)
    except Failed as failure:
        raise NotSupported(str(failure)) from None


def _refusal(node: nodes.Node) -> NotSupported:
    what = _WHAT.get(type(node), type(node).__name__.lower())
    return NotSupported(f"it has {what}")


# -- what is run ------------------------------------------------------------------------------------------------------


def _say(text: str, run: Run, out: list[str]) -> None:
    run.room(len(text))
    out.append(text)


def _print(part: _Part, run: Run, out: list[str]) -> None:
    _say(run.text(part(run)), run, out)


def _assign(name: str, part: _Part, run: Run, _: list[str]) -> None:
    run.names[name] = part(run)


def _choose(
    branches: Sequence[tuple[_Part, Sequence[_Output]]], otherwise: Sequence[_Output], run: Run, out: list[str]
) -> None:
    chosen = next((body for test, body in branches if test(run)), otherwise)
    for part in chosen:
        part(run, out)
