"""The orders as typed methods of `sshhome.client`, generated from the registry, so that they cannot tell otherwise."""

import keyword
import types
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from sshhome.bind import named
from sshhome.device import Device, Scalar
from sshhome.grant import Privilege
from sshhome.order import Order, Param, Registry
from sshhome.param import Change, Choice, Number, Of

#: Orders that need no more than to look and yet do something that must not be done twice.
_DO = frozenset({"confirm"})
_HEAD = '''\
"""The orders of a house, one method each; made by `make docs`, and a test fails when they differ from the house's own.

What is not given is not sent, so that the house's own default counts.
"""

# ruff: noqa: A002, E501, UP013 (whatever the house calls things, and however long it tells of them)

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, cast

from sshhome.client.device import Device, Value, devices_of

T = TypeVar("T")


class Given(TypedDict, total=False):
    """What any order takes besides: that it is meant, a one-time code, and a key under which it runs once."""

    yes: bool
    code: str
    idempotency_key: str


class Changing(Given, total=False):
    """What an order that changes the house takes besides: whether to wait, and for how long it shall be so."""

    no_wait: bool
    for_: str
    confirm: str


'''


def python(registry: Registry) -> str:
    """Return sshhome/client/orders.py."""
    orders = [order for order in registry if _answers(order) is not None]
    shapes: dict[str, type[msgspec.Struct]] = {}
    for order in orders:
        _collect(_answers(order), shapes)
    looking = ", ".join(f'"{order.name}"' for order in orders if _looks(order))
    parts = [
        _HEAD,
        f"#: Orders that only look, so that they may be given again.\nLOOKING = frozenset({{{looking}}})\n\n",
    ]
    parts += (_shape(shapes[name]) for name in sorted(shapes))
    parts.append(
        "class Orders(ABC):\n"
        '    """Each order as a method that waits for its answer."""\n\n'
        "    @abstractmethod\n"
        "    async def call(self, order: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401 (any JSON)\n"
        '        """Give an order and return its answer as JSON has it."""\n\n'
    )
    parts += [_method(order) for order in orders]
    parts.append(
        "\nclass BlockingOrders(ABC):\n"
        '    """Each order as a method that blocks until it is answered."""\n\n'
        "    _orders: Orders\n\n"
        "    @abstractmethod\n"
        "    def wait(self, answer: Awaitable[T]) -> T:\n"
        '        """Block until there is an answer."""\n\n'
    )
    parts += [_method(order, blocking=True) for order in orders]
    return "".join(parts).rstrip("\n") + "\n"


def _looks(order: Order) -> bool:
    """Return whether it does no harm to give an order again of which nobody knows whether it has run."""
    does = order.changes or order.proves or order.keeps or order.name in _DO
    return order.needs is Privilege.READ and not does


def _answers(order: Order) -> Any:  # noqa: ANN401 (an annotation)
    """Return the annotation of what an order answers with, None for one that answers without end."""
    if order.changes:
        return Sequence[Device]
    returns = get_type_hints(order.run)["return"]
    endless = [kind for kind in _alternatives(returns) if get_origin(kind) is AsyncGenerator]
    left = [kind for kind in _alternatives(returns) if kind not in endless]
    return Union[tuple(left)] if left else None  # noqa: UP007 (of as many as there are)


def _alternatives(annotation: Any) -> Sequence[Any]:  # noqa: ANN401
    return get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else (annotation,)


def _collect(annotation: Any, shapes: dict[str, type[msgspec.Struct]]) -> None:  # noqa: ANN401
    """Add the shapes that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        if annotation is Device or shapes.get(annotation.__name__) is annotation:
            return
        if annotation.__name__ in shapes:
            raise TypeError(f"two answers are named {annotation.__name__}")
        shapes[annotation.__name__] = annotation
        for field in msgspec.structs.fields(annotation):
            _collect(field.type, shapes)
    for part in get_args(annotation):
        _collect(part, shapes)


def _shape(struct: type[msgspec.Struct]) -> str:
    """Return an answer as a TypedDict, by the form in which any name may be that of a field."""
    fields = [f'"{field.encode_name}": {_written(field.type, quoted=True)}' for field in msgspec.structs.fields(struct)]
    return f'{struct.__name__} = TypedDict("{struct.__name__}", {{{", ".join(fields)}}})\n\n'


def _written(annotation: Any, *, quoted: bool = False) -> str:  # noqa: ANN401
    """Return an annotation as the client has it; a shape that stands further down is `quoted`."""
    if annotation is Any:
        return "Any"
    if annotation is type(None):
        return "None"
    if annotation == Scalar:
        return "Value"
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        text = " | ".join(_written(part) for part in inner)
        return f'"{text}"' if quoted else text
    if origin is tuple or (origin in {Sequence, list} and inner):
        return f"Sequence[{_written(inner[0], quoted=quoted)}]"
    if origin in {Mapping, dict}:
        return f"Mapping[{', '.join(_written(part, quoted=quoted) for part in inner)}]"
    name: str = annotation.__name__
    return f'"{name}"' if quoted and issubclass(annotation, msgspec.Struct) else name


def _takes(param: Param) -> str:
    """Return the type of what a param is given."""
    kind = param.type
    if param.flag:
        return "bool"
    if isinstance(kind, Choice):
        return f"Literal[{', '.join(map(repr, kind.words))}]"
    if isinstance(kind, Number):
        return "int"
    return "str | float" if isinstance(kind, Of | Change) else "str"


def _method(order: Order, *, blocking: bool = False) -> str:
    """Return the method of an order; a line may be of any length, the formatter breaks it."""
    name = _name(order.name.replace(" ", "_").replace("-", "_"))
    answers = _answers(order)
    devices = answers == Sequence[Device]
    returns = "tuple[Device, ...]" if devices else _written(answers)
    given = f"**given: Unpack[{'Changing' if order.changes else 'Given'}]"
    signature = f"def {name}({', '.join(['self', *_params(order), given])}) -> {returns}:"
    if blocking:
        names = {param.name: _named(order, param) for param in order.params}
        passed = [f"{names[p.name]}={names[p.name]}" if p.option else names[p.name] for p in order.params]
        body = f"return self.wait(self._orders.{name}({', '.join([*passed, '**given'])}))"
    else:
        own = ", ".join([*(f'"{named(order, param)}": {_value(order, param)}' for param in order.params), "**given"])
        asked = f'await self.call("{order.name}", {{{own}}})'
        body = f"return devices_of({asked})" if devices else f'return cast("{returns}", {asked})'
    begins = "    " if blocking else "    async "
    return f'{begins}{signature}\n        """{order.summary}."""\n        {body}\n\n'


def _params(order: Order) -> Iterator[str]:
    options = False
    for param in order.params:
        if param.option and not options:
            options = True
            yield "*"
        name = _named(order, param)
        if param.required:
            yield f"{name}: {_takes(param)}"
        else:
            yield f"{name}: bool = False" if param.flag else f"{name}: {_takes(param)} | None = None"


def _value(order: Order, param: Param) -> str:
    return f"{_named(order, param)} or None" if param.flag else _named(order, param)


def _named(order: Order, param: Param) -> str:
    """Return the name of a param where it is one of Python's: `for` is `for_`."""
    return _name(named(order, param))


def _name(word: str) -> str:
    """Return a word as the name of a method."""
    return f"{word}_" if keyword.iskeyword(word) else word
