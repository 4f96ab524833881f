"""A network namespace as a thread that lives in it.

On Linux the network namespace is a thread's own, so no mount under /run/netns is needed, and nothing is left behind:
the namespace is gone with the last thread, process and socket in it.
"""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from netshare.lab.privileges import join_network, unshare_network

P = ParamSpec("P")
T = TypeVar("T")


class Namespace:
    """A new network namespace, and the thread in it that runs what it is handed, one thing after the other.

    A socket belongs for ever to the namespace of the thread that created it, whichever thread uses it later.
    In a namespace, read /proc/thread-self/net: /proc/net is that of the process's first thread. (/proc/sys/net is the
    calling thread's.)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"lab-{name}")
        self._others: list[ThreadPoolExecutor] = []
        self._thread = threading.local()
        try:
            self._worker.submit(unshare_network).result()
            self._tid = self._worker.submit(threading.get_native_id).result()
            self._worker.submit(self._remember).result()
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> str:
        """The namespace's file, for nsenter and setns of any process."""
        return f"/proc/{os.getpid()}/task/{self._tid}/ns/net"

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the namespace; its result is returned, its exception raised.

        A thread that is in the namespace already calls it itself.
        """
        if getattr(self._thread, "is_inside", False):
            return function(*args, **kwargs)
        return self._worker.submit(function, *args, **kwargs).result()

    def start_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function that blocks (a server, an agent) in a further thread of the namespace.

        Whoever starts it ends it; `close` waits for it.
        """
        executor = self.pool(1, name=getattr(function, "__name__", "thread"))
        future = executor.submit(function, *args, **kwargs)
        executor.shutdown(wait=False)
        return future

    def pool(self, threads: int, *, name: str = "pool") -> ThreadPoolExecutor:
        """Make an executor whose threads are all in the namespace; `close` shuts it down."""
        executor = ThreadPoolExecutor(threads, f"lab-{self.name}-{name}", initializer=self.enter)
        self._others.append(executor)
        return executor

    def enter(self) -> None:
        """Move the calling thread in, for good: for threads that were made for it."""
        join_network(self.path)
        self._remember()

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:  # noqa: ANN401 (Popen's own)
        """Start a program in the namespace; ``options`` are those of `subprocess.Popen`."""
        return self.run(lambda: subprocess.Popen(argv, **options))

    def close(self) -> None:
        """End the namespace's threads, waiting for what they are doing; a second time does nothing."""
        for executor in (*self._others, self._worker):
            executor.shutdown(wait=True)
        self._others.clear()

    def _remember(self) -> None:
        """Note of the calling thread that it is in the namespace."""
        self._thread.is_inside = True
