"""What each key does in the line editor: prompt_toolkit's own bindings, and ours; one set for all shells."""

from functools import cache
from typing import TYPE_CHECKING

from prompt_toolkit.application.current import get_app
from prompt_toolkit.filters import (
    Condition,
    emacs_insert_mode,
    emacs_mode,
    has_completions,
    vi_insert_mode,
    vi_navigation_mode,
)
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.bindings.auto_suggest import load_auto_suggest_bindings
from prompt_toolkit.key_binding.defaults import load_key_bindings
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from sshhome.channels.editor import Editor

#: Repeat counts of vi commands stay below this: a larger one would let one key press insert gigabytes.
_MOST_REPEATED = 100
_typing = emacs_insert_mode | vi_insert_mode


def _editor(event: KeyPressEvent | None = None) -> "Editor":
    app: object = event.app if event is not None else get_app()
    return app  # type: ignore[return-value]  # (no other application runs here)


@Condition
def _searching() -> bool:
    return _editor().search is not None


@Condition
def _asking() -> bool:
    return _editor().asks()


@cache
def keys() -> KeyBindings:
    """Return all bindings in one flat set: what is asked of it at every key is looked up once and remembered."""
    flat = KeyBindings()
    for binding in (*load_key_bindings().bindings, *load_auto_suggest_bindings().bindings):
        flat.add(*binding.keys)(binding)
    _add_editing(flat)
    _add_bounds(flat)
    _add_search(flat)
    return flat


def _add_editing(keys: KeyBindings) -> None:
    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    @keys.add("c-d")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.delete()
        else:
            event.app.exit(exception=EOFError)

    @keys.add("c-l")
    def _(event: KeyPressEvent) -> None:
        _editor(event).clear()

    @keys.add("?", filter=_typing & _asking)
    def _(event: KeyPressEvent) -> None:
        _editor(event).explain()

    @keys.add(" ", filter=_typing & Condition(lambda: _editor().spaced()))
    def _(event: KeyPressEvent) -> None:
        _editor(event).take_space()

    @keys.add(".", filter=_typing & Condition(lambda: _editor().spaced()))
    def _(event: KeyPressEvent) -> None:
        # An attribute of the device that was completed.
        event.current_buffer.delete_before_cursor(1)
        event.current_buffer.insert_text(".")

    @keys.add(Keys.Any, filter=_typing & Condition(lambda: _editor().chosen()))
    def _(event: KeyPressEvent) -> None:
        # What is chosen is whole, unless an attribute follows: `kitchen` and 30 are not kitchen30.
        if event.data.isalnum() or event.data in set("@#+-'\"|"):
            _editor(event).part()
        event.current_buffer.insert_text(event.data)

    @keys.add("escape", filter=_typing & has_completions, eager=True)
    def _(event: KeyPressEvent) -> None:
        _editor(event).close_menu()
        if event.key_processor.input_queue:
            # It begins a key of its own, such as Alt-B.
            event.key_processor.feed(event.key_sequence[-1], first=True)

    @keys.add("c-i", filter=_typing)
    def _(event: KeyPressEvent) -> None:
        _editor(event).complete()

    @keys.add(Keys.BracketedPaste)
    def _(event: KeyPressEvent) -> None:
        # A pasted newline separates orders, as `;` does: nothing runs before Enter. Comments are as in a batch.
        lines = event.data.replace("\r", "\n").split("\n")
        given = (line.strip() for line in lines if not line.lstrip().startswith("#"))
        one = lines[0] if len(lines) == 1 else "; ".join(filter(None, given))
        event.current_buffer.insert_text(one)


def _add_bounds(keys: KeyBindings) -> None:
    """Take away what would let few keys cost much: repeat counts without bound, and macros that call themselves."""
    nothing = [*(("escape", digit) for digit in "0123456789-"), ("c-x", "("), ("c-x", "e")]
    for sequence in nothing:
        # In vi, Escape and a digit are two keys.
        keys.add(*sequence, filter=emacs_mode)(lambda _: None)
    for name in ("q", "@"):
        keys.add(name, Keys.Any, filter=vi_navigation_mode, eager=True)(lambda _: None)
    for digit in "123456789":
        keys.add(digit, filter=vi_navigation_mode, eager=True)(_count)

    @keys.add("0", filter=vi_navigation_mode & Condition(lambda: get_app().key_processor.arg is not None), eager=True)
    def _(event: KeyPressEvent) -> None:
        _count(event)


def _count(event: KeyPressEvent) -> None:
    if not event.arg_present or event.arg * 10 < _MOST_REPEATED:
        event.append_to_arg_count(event.data)
    else:
        event.key_processor.arg = str(event.arg)


def _add_search(keys: KeyBindings) -> None:
    """Search the history with ^R as readline does; what is no part of a search ends it, and then does what it does."""

    @keys.add("c-r")
    def _(event: KeyPressEvent) -> None:
        _editor(event).find(older=True)

    @keys.add(Keys.Any, filter=_searching, eager=True)
    def _(event: KeyPressEvent) -> None:
        press = event.key_sequence[-1]
        editor = _editor(event)
        if press.key in {Keys.ControlR, Keys.ControlS}:
            editor.find(older=press.key == Keys.ControlR)
        elif press.key in {Keys.ControlG, Keys.ControlC, Keys.SIGINT}:
            editor.leave_search(keep=False)
        elif press.key in {Keys.ControlH, Keys.Backspace}:
            editor.narrow(None)
        elif press.key is Keys.BracketedPaste or (len(press.data) == 1 and press.data.isprintable()):
            editor.narrow(press.data.partition("\n")[0])
        else:
            editor.leave_search(keep=True)
            if press.key is not Keys.Escape:
                event.key_processor.feed(KeyPress(press.key, press.data), first=True)
