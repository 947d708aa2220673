"""A secret in a file of its own, which nobody but its owner may read."""

from pathlib import Path

import pytest

from sshhome.errors import SiteError
from sshhome.secret import SecretFile


def test_it_is_one_line(tmp_path: Path) -> None:
    """The secret is the one line of the file, without what an editor puts around it."""
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("  a-token\n\n")
    assert SecretFile(path).read() == "a-token"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\x1b[2J", b"\xff\xfe", b"x" * 5000])
def test_what_is_no_line_is_no_secret(tmp_path: Path, content: bytes) -> None:
    """A file that is empty, binary, long or of several lines is not taken for a secret."""
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SiteError, match="is not a file of one line"):
        SecretFile(path).read()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_nobody_else_may_read_it(tmp_path: Path, mode: int) -> None:
    """A file that others can read is refused, with the command that mends it and without what is in it."""
    path = tmp_path / "token"
    path.write_text("a-token")
    path.chmod(mode)
    with pytest.raises(SiteError, match="can be read by others: chmod 600") as raised:
        SecretFile(path).read()
    assert "a-token" not in raised.value.message


def test_it_tells_that_it_is_new(tmp_path: Path) -> None:
    """A file is new when it has changed, come or gone since it was read, whether that worked or not."""
    path = tmp_path / "token"
    secret = SecretFile(path)
    with pytest.raises(SiteError, match="No such file"):
        secret.read()
    assert not secret.is_new()
    path.touch(mode=0o600)
    path.write_text("one")
    assert secret.is_new()
    assert secret.read() == "one"
    assert not secret.is_new()
    path.chmod(0o644)
    assert secret.is_new()
    path.unlink()
    assert secret.is_new()
    with pytest.raises(SiteError):
        SecretFile(tmp_path).read()
