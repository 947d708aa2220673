"""A step-up: an order asks for more than the login proved, for a one-time code or for saying that it is meant."""

import asyncio
from collections.abc import Mapping

from sshhome.clock import Clock
from sshhome.errors import Denied, StepUp
from sshhome.execution import Ready
from sshhome.quantity import span
from sshhome.session import Session, Standing

#: Wrong codes in a row after which a session is closed.
MAX_BAD_CODES = 3
#: Seconds that whoever is asked has for the answer, and how many devices the question names.
PATIENCE, _NAMED = 60.0, 5
#: For each way: the question, what it is for, and the option that answers it beforehand.
_QUESTIONS = {
    "totp": ("{}: one-time code? ", "a one-time code", "--code 123456"),
    "confirm": ("{}: are you sure? ", "a confirmation", "--yes"),
}


async def prove(standing: Standing, session: Session, ready: Ready, common: Mapping[str, str], clock: Clock) -> None:
    """Have proved what the first of the asked calls needs, and remember it for the session.

    Raises StepUp when that is not done, and Denied when it cannot be.
    """
    way = ready.asked[0][1]
    name = _name(ready, way)
    if session.unattended:
        raise StepUp(f"'{name}' needs {_QUESTIONS[way][1]}, and nobody is there who could give it")
    if way == "confirm":
        said = "yes" if "--yes" in common else await _ask(session, name, way)
        if said.strip().lower() not in {"y", "yes"}:
            raise StepUp(f"'{name}' was not meant")
    else:
        if not standing.user.totp:
            raise Denied(f"'{name}' needs a one-time code, and you have no secret", "`totp` makes you one")
        code = common.get("--code") or await _ask(session, name, way)
        reason = await session.check_code(code.strip())
        if reason:
            session.bad_codes += 1
            if session.bad_codes < MAX_BAD_CODES:
                raise StepUp(reason)
            session.leaving = True
            raise StepUp(reason, "that was one too many, the session is closed")
        session.bad_codes = 0
    session.proved[way] = clock.monotonic()


def _name(ready: Ready, way: str) -> str:
    """Return what is asked about: the order, and the devices if there are any."""
    labels = [call.label for call, asked in ready.asked if asked == way]
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return f"{ready.order.name} {', '.join(labels[:_NAMED])}{more}".strip()


async def _ask(session: Session, name: str, way: str) -> str:
    """Return what whoever sits there says; raises StepUp when nobody does, or they say nothing."""
    question, needs, option = _QUESTIONS[way]
    if session.ask is None:
        raise StepUp(f"'{name}' needs {needs}", f"give it with {option}, or in the shell")
    try:
        async with asyncio.timeout(PATIENCE):
            said = await session.ask(question.format(name), way == "totp")
    except TimeoutError:
        raise StepUp(f"'{name}' needs {needs}, and nobody answered within {span(PATIENCE)}") from None
    if not said or not said.strip():
        raise StepUp(f"'{name}' needs {needs}")
    return said
