"""Lanes: slow work waits in its own queue, so that a save never waits behind it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import HTTPException, Request

T = TypeVar("T")
LOOK = 0.25  # seconds between looks whether anybody still waits for the answer
CLOSED = 499  # the client closed the request


class Lane:
    """A few threads with a queue; a request that its client gave up leaves the queue."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"studio-{name}")

    async def run(self, request: Request, work: Callable[[], T]) -> T:
        """The work's result, computed when its turn comes.

        Raises:
            HTTPException: nobody waits for it any more.
        """
        queued = self._pool.submit(work)
        waiting = asyncio.ensure_future(asyncio.wrap_future(queued))
        while not (await asyncio.wait({waiting}, timeout=LOOK))[0]:
            if await request.is_disconnected() and queued.cancel():
                raise HTTPException(CLOSED, "the request was given up")
        return waiting.result()

    def close(self) -> None:
        """Forget what is queued."""
        self._pool.shutdown(wait=False, cancel_futures=True)
