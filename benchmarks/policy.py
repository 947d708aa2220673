"""What a decision costs a user with 200 grants in a house of 1,000 devices, beside pycasbin with the same policy.

All are asked the same questions, and one that is not answered alike fails the run. To put a question costs nothing
here, and pycasbin is told in it what sshhome finds out by itself: which action an order is on a device that guards, and
what a lamp would be once it is switched on. There is no counted grant and no step-up, which pycasbin cannot express.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TypeVar, cast

import tomlkit
from rich.console import Console
from rich.table import Table

import sshhome.orders  # noqa: F401 (importing the orders registers them)
from benchmarks import household
from benchmarks.household import ZONE, Question, Written
from benchmarks.pycasbin import Casbin
from sshhome.authorize import Authorizer
from sshhome.clock import Clock
from sshhome.device import Device
from sshhome.grant import Roles, parse_grant
from sshhome.house import House
from sshhome.naming import Naming
from sshhome.order import REGISTRY
from sshhome.policy import Policy, Rights
from sshhome.session import Login, Session, Standing
from sshhome.store import Store
from sshhome.user import Users, parse_user
from sshhome.uses import Uses

#: Microseconds that a decision may take.
GOAL = 50.0
#: 2 June 2026, noon UTC: no Sunday.
_TUESDAY = 1780401600.0
SUBJECT, PEERS = "sshhome", ("pycasbin", "indexed")

FIRST = "first decision about a device, us"
PLAIN = "decision by plain grants, us"
CONDITIONAL = "decision with conditions, us"
ALL = "decision, all 200 about it and closed, us"
STANDING = "who gives an order, by the file, us"
KEPT = "what they see, as before, us"
SIGHT = "what they see, found anew, ms"
OPEN = "which orders are open to them, ms"
COMPILED = "policy of the grants, us"
LOADED = "policy of the text of the file, ms"

#: All samples of a figure, by whose they are; in the unit that the figure ends in.
Results = dict[str, dict[str, list[float]]]
Peers = Callable[[str], Casbin]
T = TypeVar("T")


class Sshhome:
    """The house with its devices, the user's file, and what decides."""

    def __init__(self, folder: Path, devices: Mapping[str, Device], written: Sequence[Written]) -> None:
        """Write the file and take in the devices."""
        self.text = tomlkit.dumps({"grants": list(written)})
        (folder / "anna.toml").write_text(self.text, encoding="utf-8")
        self.house = House(Naming(cast("Store", None)))
        self.house.devices = dict(devices)
        self.users = Users(folder, Roles(zone=ZONE))
        # No grant here is counted, so that nothing is asked of the store.
        uses = Uses(cast("Store", None))
        self.authorizer = Authorizer(REGISTRY, self.house, uses, Clock(), ZONE)
        login = Login("anna", "192.168.1.20", "publickey")
        self.session = Session(1, login, "benchmark", started=0, end=lambda _: None, standing=self.standing)

    def standing(self) -> Standing:
        """Return who gives the orders, by their file as it is now."""
        user = self.users.get("anna")
        assert user is not None
        assert not user.shut_out(0)
        return Standing(user, self.users.rights(user, None))

    def allows(self, rights: Rights, question: Question) -> bool:
        """Return whether an order may be given."""
        return self.authorizer.may(rights, question.order, question.device, question.facts, question.change).allowed


def main() -> int:
    """Measure and print; return 1 when the goal is missed, or when two answers to a question differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policy", description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=2000, help="how many random questions are asked")
    arguments = parser.parse_args()
    devices, written = household.devices(), household.grants()
    with tempfile.TemporaryDirectory(prefix="policy-") as folder:
        ours = Sshhome(Path(folder), devices, written)
        questions = household.questions(ours.house.devices, arguments.questions)
        # Made when they are first asked, after sshhome: patterns that one has compiled, all have.
        peers = cache(lambda name: Casbin(written, devices, indexed=name == "indexed"))
        results: Results = {}
        different = _decisions(results, ours, peers, questions)
        _worst(results, ours, questions)
        different += _sights(results, ours, peers)
        _others(results, ours)
        _loads(results, ours, written)
        about = [sum(grant.covers(device) for grant in ours.standing().user.grants) for device in devices.values()]
    each = f"{statistics.mean(about):.1f} grants about each, {max(about)} at most"
    print(f"{len(written)} grants, {len(devices)} devices, {each}")
    show(results)
    for question in different[:10]:
        print(f"not answered alike: {question}")
    alike = f"{len(questions) - len(different)} of {len(questions)} questions answered alike"
    slowest = max(statistics.median(results[figure][SUBJECT]) for figure in (FIRST, PLAIN, CONDITIONAL))
    print(f"{alike}; a decision takes {slowest:.1f} us at most, at the median (goal {GOAL:g} us)")
    return 1 if different or slowest > GOAL else 0


# -- measuring --------------------------------------------------------------------------------------------------------


def _decisions(results: Results, ours: Sshhome, peers: Peers, questions: Sequence[Question]) -> list[str]:
    """Time each decision, and return the questions that are not answered alike."""
    grants = ours.standing().user.grants
    rights = Rights((Policy(grants),))

    def ask(figure: str, asked: Sequence[Question]) -> list[str]:
        answers = [_time(results, figure, SUBJECT, [partial(ours.allows, rights, question) for question in asked])]
        for name in PEERS:
            requests = [peers(name).request(question) for question in asked]
            answers.append(_time(results, figure, name, [partial(peers(name).enforce, *one) for one in requests]))
        told = [
            f"{question.order.name} {question.device.id}, {question.change}, by {question.facts}" for question in asked
        ]
        return [f"{one}: {said}" for one, *said in zip(told, *answers, strict=True) if len(set(said)) > 1]

    first = {question.device.id: question for question in reversed(questions)}
    different = ask(FIRST, list(first.values()))
    bound = {
        name for name, one in first.items() if any(not grant.plain and grant.covers(one.device) for grant in grants)
    }
    different += ask(PLAIN, [question for question in questions if question.device.id not in bound])
    return different + ask(CONDITIONAL, [question for question in questions if question.device.id in bound])


def _worst(results: Results, ours: Sshhome, questions: Sequence[Question]) -> None:
    """Time a user whose every grant is about the device and closed: no index helps, and the goal is not for them."""
    dim = next(question for question in questions if question.order.name == "dim")
    asked = dim._replace(facts=replace(dim.facts, now=_TUESDAY))
    closed: list[Written] = [
        {"allow": "control:light.*", "when": f"sun 0{number // 50}:{number % 50:02}-23:59"} for number in range(200)
    ]
    rights = Rights((Policy([parse_grant(grant, "benchmark", ZONE) for grant in closed]),))
    _time(results, ALL, SUBJECT, [partial(ours.allows, rights, asked)] * 200)
    for name in PEERS:
        peer = Casbin(closed, ours.house.devices, indexed=name == "indexed")
        _time(results, ALL, name, [partial(peer.enforce, *peer.request(asked))] * 200)


def _sights(results: Results, ours: Sshhome, peers: Peers) -> list[str]:
    """Time how long it takes to find out what the user sees, and return who finds something else."""
    standing, devices = ours.standing(), ours.house.devices
    facts = ours.authorizer.facts(standing, ours.session)
    anew = [Rights((Policy(standing.user.grants),)) for _ in range(20)]
    scopes = _time(results, SIGHT, SUBJECT, [partial(ours.authorizer.scope, rights, facts) for rights in anew])
    seen = [device.id for device in scopes[0].index]
    get, _ = REGISTRY.find(["get"])
    assert get is not None
    different = []
    for name in PEERS:
        requests = {device.id: peers(name).request(Question(get, device, None, facts)) for device in devices.values()}
        call = partial(_seen, peers(name), requests)
        different += [f"what {name} sees" for found in _time(results, SIGHT, name, [call] * 3) if found != seen]
    return different


def _seen(peer: Casbin, requests: Mapping[str, Sequence[object]]) -> list[str]:
    return [device_id for device_id, request in requests.items() if peer.enforce(*request)]


def _others(results: Results, ours: Sshhome) -> None:
    """Time what an order or a key press takes besides."""
    authorizer, rights = ours.authorizer, ours.standing().rights
    facts = authorizer.facts(ours.standing(), ours.session)
    _time(results, STANDING, SUBJECT, [lambda: authorizer.facts(ours.standing(), ours.session)] * 1000)
    _time(results, KEPT, SUBJECT, [lambda: authorizer.scope(rights, facts)] * 1000)
    _time(results, OPEN, SUBJECT, [lambda: authorizer.allowed(rights, facts)] * 50)


def _loads(results: Results, ours: Sshhome, written: Sequence[Written]) -> None:
    """Time what a file that has changed takes."""
    user = ours.standing().user
    _time(results, COMPILED, SUBJECT, [lambda: Policy(user.grants)] * 50)
    _time(results, LOADED, SUBJECT, [lambda: parse_user("anna", ours.text, ours.users.roles).rights] * 20)
    for name in PEERS:
        load = partial(Casbin, written, ours.house.devices, indexed=name == "indexed")
        _time(results, LOADED, name, [load] * 5)


def _time(results: Results, figure: str, name: str, calls: Sequence[Callable[[], T]]) -> list[T]:
    """Time each call, and return what they returned."""
    share = 1e-3 if figure.endswith("us") else 1e-6
    samples = results.setdefault(figure, {}).setdefault(name, [])
    returned = []
    for call in calls:
        started = time.perf_counter_ns()
        value = call()
        samples.append((time.perf_counter_ns() - started) * share)
        returned.append(value)
    return returned


# -- telling ----------------------------------------------------------------------------------------------------------


def show(results: Results) -> None:
    """Print the table of medians and ratios."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("median (p99)", no_wrap=True)
    for name in (SUBJECT, *PEERS):
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True)
        if name != SUBJECT:
            table.add_column("ratio", justify="right", no_wrap=True)
    for figure, samples in results.items():
        cells = []
        for name in (SUBJECT, *PEERS):
            times = samples.get(name, ())
            cells += [f"{statistics.median(times):.1f}", f"({_p99(times):.1f})"] if times else ["-", ""]
            if name != SUBJECT:
                ratio = statistics.median(times) / statistics.median(samples[SUBJECT]) if times else None
                cells.append("" if ratio is None else f"{ratio:.{1 if ratio < 100 else 0}f} x")
        table.add_row(figure, *cells)
    Console(width=200, highlight=False).print(table, soft_wrap=True)


def _p99(samples: Sequence[float]) -> float:
    return sorted(samples)[len(samples) * 99 // 100]


if __name__ == "__main__":
    sys.exit(main())
