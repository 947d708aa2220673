"""What a hook is: how sshhome.toml writes it, what it is told of, and how that is signed."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from sshhome.audit import EVENTS
from sshhome.config import parse
from sshhome.device import Device
from sshhome.errors import SiteError
from sshhome.feed import Changed, Happened, Lost
from sshhome.hook import Hook, hooks
from tests.servers.receiver import SECRET, is_signed

LAMP = Device(id="light.lamp", name="Lamp", room="living")
DOOR = Device(id="cover.garage", name="Door", room="garage")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a site with a secret."""
    write(tmp_path / "hook.secret", SECRET)
    return tmp_path


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a secret."""
    path.write_text(f"{text}\n")
    path.chmod(mode)


def hook(site: Path, **keys: object) -> Hook:
    """Return a hook that is written with these keys."""
    written = {"url": "https://door.example/x", "secret_file": "hook.secret", "events": ["state"], **keys}
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in written.items())
    (found,) = hooks(parse(f"[[hook]]\n{text}").hook, site).values()
    return found


def changed(device: Device | None, before: Device | None = None) -> Changed:
    """Return a change."""
    known = device or before
    assert known is not None
    return Changed(1, 0, known.id, device, before, "")


def happened(event: str) -> Happened:
    """Return something that happened."""
    return Happened(1, 0, "audit", event, {})


# -- as it is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"url": "door.example"}, "hook.url: a url is https://HOST"),
        ({"url": "https://anna:secret@door.example"}, "hook.url: a url has no user, password or #fragment here"),
        ({"url": "http://door.example"}, "hook.url: http:// is for addresses at home, which `allow` names"),
        ({"url": 7}, "Expected `str`, got `int` - at `$.hook[0].url`"),
        ({"allow": ["garage"]}, "hook.allow: 'garage' does not appear to be an IPv4 or IPv6 network"),
        ({"allow": ["10.0.0.5/8"]}, "hook.allow: 10.0.0.5/8 has host bits set"),
        ({"events": []}, "hook.events: name some"),
        ({"events": ["order.don"]}, "hook.events: nothing is called 'order.don', did you mean 'order.done'?"),
        ({"name": "two words"}, "hook.name: is a word of ASCII"),
        ({"evnts": ["state"]}, "unknown key 'hook.evnts', did you mean 'hook.events'?"),
        ({"secret_file": "nowhere"}, "nowhere: No such file or directory"),
    ],
)
def test_what_is_wrong(site: Path, keys: dict[str, Any], why: str) -> None:
    """What is wrong is one line that names its key."""
    with pytest.raises(SiteError) as caught:
        hook(site, **keys)
    assert why in caught.value.message
    assert "\n" not in caught.value.message
    assert "secret@" not in caught.value.message


@pytest.mark.parametrize("missing", ["url", "secret_file", "events"])
def test_what_must_be_there(site: Path, missing: str) -> None:
    """A hook without an address, a secret or events is none."""
    written = {"url": '"https://door.example"', "secret_file": '"hook.secret"', "events": '["state"]'}
    text = "\n".join(f"{key} = {value}" for key, value in written.items() if key != missing)
    with pytest.raises(SiteError, match=f"missing required field `{missing}`"):
        parse(f"[[hook]]\n{text}")


def test_names(site: Path) -> None:
    """A hook has the name it is given, else that of its host; no two have one, also where nobody gave it to them."""

    def named(*names: str) -> list[str]:
        texts = (f'[[hook]]\nurl = "https://door.example/{i}"\n{name}' for i, name in enumerate(names))
        rest = 'secret_file = "hook.secret"\nevents = ["state"]\n'
        return list(hooks(parse("".join(f"{text}\n{rest}" for text in texts)).hook, site))

    assert named("", 'name = "garage"') == ["door.example", "garage"]
    for name, given in (("garage", 'name = "garage"'), ("door.example", "")):
        with pytest.raises(SiteError, match=rf"hook\.name: two are named '{name}'"):
            named(given, given)
    with pytest.raises(SiteError, match="no more than 16"):
        named(*[""] * 17)


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (SECRET, 0o640, "can be read by others"),
        ("", 0o600, "is not a file of one line"),
        ("whsec_" + b64encode(bytes(23)).decode(), 0o600, "is not whsec_ and 24 to 64 bytes in base64"),
        ("whsec_" + b64encode(bytes(65)).decode(), 0o600, "is not whsec_ and 24 to 64 bytes in base64"),
        ("correct horse battery staple", 0o600, "is not whsec_ and 24 to 64 bytes in base64"),
        (f"{SECRET} hunter2", 0o600, "is not whsec_ and 24 to 64 bytes in base64"),
    ],
)
def test_secrets_that_are_none(site: Path, text: str, mode: int, why: str) -> None:
    """A secret that is short, or that others may read, is refused before anything is signed with it, and not shown."""
    write(site / "hook.secret", text, mode)
    with pytest.raises(SiteError, match=why) as caught:
        hook(site)
    assert not any(word in f"{caught.value.message} {caught.value.hint}" for word in text.split())


# -- what it is told of -----------------------------------------------------------------------------------------------


def test_what_is_wanted(site: Path) -> None:
    """Events of the audit log go by pattern, `state` is what changes in the house, and word of a loss always."""
    told = hook(site, events=["order.done", "ban.*"])
    assert told.topics == ["audit"]
    assert [event for event in EVENTS if told.wants(happened(event))] == ["ban.set", "ban.lifted", "order.done"]
    assert told.wants(Lost(1, "audit"))
    assert hook(site).topics == ["state"]
    assert hook(site, events=["*"]).topics == ["state", "audit"]


def test_target(site: Path) -> None:
    """A room, an id or a glob says which devices are meant, also one that has come or gone."""
    for target in ("@garage", "cover.garage", "cover.*"):
        told = hook(site, target=target)
        assert told.wants(changed(DOOR))
        assert told.wants(changed(None, DOOR))
        assert not told.wants(changed(LAMP))
    assert hook(site).wants(changed(LAMP))


# -- how it is signed -------------------------------------------------------------------------------------------------


def test_signature_of_the_standard(site: Path) -> None:
    """The example that the libraries of Standard Webhooks are tested with."""
    write(site / "hook.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert hook(site).signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_secrets_take_turns(site: Path) -> None:
    """While two secrets are in the file both sign, so that receivers may change theirs one by one."""
    other = b64encode(bytes(24)).decode()
    told = hook(site)
    write(site / "hook.secret", f"{SECRET} {other}")
    headers = told.signed("msg_1", 1, b"hello")
    assert is_signed(headers, b"hello", SECRET)
    assert is_signed(headers, b"hello", other)
    write(site / "hook.secret", other)
    assert not is_signed(told.signed("msg_1", 1, b"hello"), b"hello", SECRET)


def test_what_is_not_signed(site: Path) -> None:
    """Another body, id or time has another signature."""
    headers = hook(site).signed("msg_1", 1, b"hello")
    assert is_signed(headers, b"hello")
    assert not is_signed(headers, b"hellO")
    assert not is_signed({**headers, "webhook-id": "msg_2"}, b"hello")
    assert not is_signed({**headers, "webhook-timestamp": "2"}, b"hello")
