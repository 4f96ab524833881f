from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from app.web.pool import Pool, PoolExhaustedError

pytestmark = pytest.mark.app


class Connection:
    """A connection that breaks when told to."""

    def __init__(self) -> None:
        self.closed = False
        self.broken = False

    def close(self) -> None:
        self.closed = True


class Factory:
    """Makes connections, and remembers them."""

    def __init__(self) -> None:
        self.made: list[Connection] = []

    def __call__(self) -> Connection:
        self.made.append(Connection())
        return self.made[-1]

    def pool(self, size: int = 2, wait: float = 0.05) -> Pool[Connection]:
        return Pool(self, lambda connection: not connection.broken, size=size, wait=wait)


def test_a_connection_is_used_again() -> None:
    pool = (factory := Factory()).pool()
    for _ in range(3):
        with pool.connection() as connection:
            assert not connection.closed
    assert len(factory.made) == 1


def test_two_users_have_two_connections_and_a_third_waits_in_vain() -> None:
    pool = (factory := Factory()).pool()
    with pool.connection() as one, pool.connection() as two:
        assert one is not two
        with pytest.raises(PoolExhaustedError), pool.connection():
            pass
    with pool.connection(), pool.connection():
        assert len(factory.made) == 2


def test_one_that_waits_is_given_what_becomes_free() -> None:
    pool = Factory().pool(size=1, wait=30)
    got = Event()

    def use() -> Connection:
        with pool.connection() as connection:
            got.set()
            return connection

    with ThreadPoolExecutor(1) as other:
        with pool.connection() as mine:
            theirs = other.submit(use)
            assert not got.wait(0.1)
        assert theirs.result(30) is mine


def test_one_whose_use_failed_is_closed_and_its_place_is_free_again() -> None:
    pool = (factory := Factory()).pool(size=1)
    with pytest.raises(KeyboardInterrupt), pool.connection():
        raise KeyboardInterrupt
    assert factory.made[0].closed
    with pool.connection() as connection:
        assert connection is factory.made[1]


def test_an_idle_one_that_is_dead_is_not_handed_out() -> None:
    pool = (factory := Factory()).pool()
    with pool.connection():
        pass
    factory.made[0].broken = True
    with pool.connection() as connection:
        assert connection is factory.made[1]
    assert factory.made[0].closed


def test_one_that_cannot_be_made_leaves_its_place_free() -> None:
    def refuse() -> Connection:
        raise ConnectionRefusedError

    pool = Pool(refuse, lambda _: True, size=1, wait=0)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError), pool.connection():
            pass


def test_all_idle_ones_can_be_closed() -> None:
    pool = (factory := Factory()).pool()
    with pool.connection(), pool.connection():
        pass
    pool.close_idle()
    assert [connection.closed for connection in factory.made] == [True, True]
