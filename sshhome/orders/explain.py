"""Orders that say who may do what, by which rule, and when."""

from collections.abc import Sequence

import msgspec

from sshhome import words
from sshhome.clock import iso
from sshhome.errors import BadArguments, Denied
from sshhome.grant import Privilege
from sshhome.order import Column, Context, Judgement, Table, Verdict, order
from sshhome.param import GivenOrder, Moment, UserName
from sshhome.session import Standing
from sshhome.user import User
from sshhome.when import moment, parse_moment

_PROOF = {"totp": "with a one-time code", "confirm": "once it is confirmed"}


class Explanation(msgspec.Struct, frozen=True):
    """Whether a user may give an order on one device, by which rule of which file, and when it would be next.

    `key` is the one they would have to come with, where none of theirs lets them do all that they may.
    """

    user: str
    order: str
    id: str
    allowed: bool
    rule: str
    step_up: str = ""
    unmet: Sequence[str] = ()
    next: str = ""
    says: str = ""
    key: str = ""


def _explained(found: Sequence[Explanation]) -> str:
    return "\n".join(explanation.says for explanation in found)


@order("explain", needs=Privilege.READ, says=_explained)
async def explain(ctx: Context, line: GivenOrder, *, as_: UserName = "", at: Moment = "") -> Sequence[Explanation]:
    """Tell whether an order would be allowed, by which rule, and when it would be next; it is not given.

    line: the order, whole
    as_: ask about another user, as who runs the server
    at: ask about another time, such as 'tomorrow 18:00' or '2026-12-24 18:00'
    """
    now = parse_moment(ctx.dated(at), ctx.timezone) if at else ctx.clock.now()
    if as_ not in {"", ctx.user.login}:
        (who_can,) = (await ctx.explain("who-can explain", ctx.standing, ctx.clock.now())).devices
        if not who_can.allowed:
            raise Denied("to explain for somebody else takes the right to give 'who-can'")
        return await _explain_for(ctx, line, ctx.users.named(as_), now)
    verdict = await ctx.explain(line, ctx.standing, now)
    return [_explanation(ctx, verdict, judged, now) for judged in verdict.devices]


async def _explain_for(ctx: Context, line: str, user: User, now: float) -> Sequence[Explanation]:
    """Explain an order for somebody who is not here, with each key of theirs if none lets them do all that they may."""
    found: list[Explanation] = []
    unseen: BadArguments | None = None
    # Whoever has no way in of their own may have one by an authority of the site.
    for key in user.ways_in(now) or [None]:
        try:
            verdict = await ctx.explain(line, Standing(user, ctx.users.rights(user, key), whole=key is None), now)
        except BadArguments as error:
            # Another key may let them see it.
            unseen = error
            continue
        judged = verdict.devices
        if key is not None and key.order and _texts(line)[0] not in _texts(key.order):
            rule = f"its command '{key.order}' and no other"
            judged = [Judgement(device.id, allowed=False, rule=rule) for device in judged]
        named = "" if key is None else key.comment or key.fingerprint
        found += [_explanation(ctx, verdict, device, now, named) for device in judged]
    if unseen is not None and not found:
        raise unseen
    return found


def _texts(line: str) -> Sequence[Sequence[str]]:
    return [[word.text for word in order_words] for order_words in words.split(line)]


def _explanation(ctx: Context, verdict: Verdict, judged: Judgement, now: float, key: str = "") -> Explanation:
    user = ctx.users.get(verdict.user)
    shut_out = user.shut_out(now).replace("your", "your" if verdict.user == ctx.user.login else "their") if user else ""
    what = f"{verdict.order} {judged.id}".strip() + (f" with key {key}" if key else "")
    if shut_out:
        judged = msgspec.structs.replace(judged, allowed=False, step_up="", unmet=(shut_out,), next=None)
    allowed, unmet = judged.allowed, judged.unmet
    if shut_out:
        says = f"no, {verdict.user} may not {what}: {shut_out}"
    elif judged.allowed or judged.step_up:
        proof = f", {_PROOF[judged.step_up]}" if judged.step_up else ""
        says = f"yes, {verdict.user} may {what}{proof}, by {judged.rule}"
    else:
        by = "no grant gives it" if judged.rule == "no grant" else f"by {judged.rule}"
        says = f"no, {verdict.user} may not {what}, {by}" + (f": {'; '.join(unmet)}" if unmet else "")
    opens = "" if judged.next is None else iso(judged.next)
    if judged.next is not None and (again := f"next {moment(judged.next, ctx.timezone, now)}") not in says:
        says += f"; {again}"
    return Explanation(
        verdict.user, verdict.order, judged.id, allowed, judged.rule, judged.step_up, unmet, opens, says, key
    )


def _who(found: Sequence[Explanation]) -> Table:
    columns = (
        Column("user", keep=9),
        Column("may", keep=8, wraps=True),
        Column("device", keep=7),
        Column("by", keep=1, wraps=True),
    )
    rows = [(f"{e.user} with {e.key}" if e.key else e.user, _may(e), e.id, e.rule) for e in found]
    return Table(columns, rows, empty="nobody")


def _may(explanation: Explanation) -> str:
    if explanation.step_up:
        return _PROOF[explanation.step_up]
    return "yes" if explanation.allowed else f"not now: {'; '.join(explanation.unmet)}"


@order("who-can", needs=Privilege.ADMIN, says=_who)
async def who_can(ctx: Context, line: GivenOrder) -> Sequence[Explanation]:
    """List who could give an order now, or at another time.

    line: the order, whole
    """
    found: list[Explanation] = []
    now = ctx.clock.now()
    for user in ctx.users:
        try:
            explained = await _explain_for(ctx, line, user, now)
        except BadArguments:
            # What they cannot see they cannot operate.
            continue
        found += [e for e in explained if e.allowed or e.step_up or (e.unmet and e.rule != "no grant")]
    if not found:
        # A mistake in the order itself is told to who asks.
        await ctx.explain(line, ctx.standing, now)
    return found
