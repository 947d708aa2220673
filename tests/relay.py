"""A wire between a client and a house that a test can cut, or on which it lets bytes vanish in one direction."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Relay:
    """Carries connections to a port, which may be another one after a restart; see `open`."""

    def __init__(self, target: int) -> None:
        """Carry to this port."""
        self.target = target
        self.port = 0
        #: Whether what the client says gets lost, and what the house says; and how many bytes did.
        self.deaf = self.mute = False
        self.lost = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, target: int) -> "AsyncIterator[Relay]":
        """Listen on a free port until the block ends."""
        relay = cls(target)
        server = await asyncio.start_server(relay._accept, "127.0.0.1", 0)
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            server.close()
            relay.cut()
            if relay._carrying:
                await asyncio.wait(relay._carrying)
            await server.wait_closed()

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_house, to_house = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, to_house}
        for way in (self._carry(reader, to_house, by_client=True), self._carry(from_house, writer, by_client=False)):
            task = asyncio.create_task(way)
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, by_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.deaf if by_client else self.mute:
                    self.lost += len(data)
                else:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()
        self._open.discard(writer)
