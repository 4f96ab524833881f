import pytest

from app.lab.load import Measured, parse

pytestmark = pytest.mark.app

SAID = """\
Concurrency Level:      200
Time taken for tests:   12.541 seconds
Complete requests:      2000
Failed requests:        3
   (Connect: 0, Receive: 1, Length: 0, Exceptions: 2)
Non-2xx responses:      4
Total transferred:      512000 bytes
Requests per second:    159.48 [#/sec] (mean)
Time per request:       1254.100 [ms] (mean)

Percentage of the requests served within a certain time (ms)
  50%   1102
  66%   1120
  99%   1580
 100%   1600 (longest request)
"""


def test_what_ab_says_is_read() -> None:
    assert parse(SAID, 200) == Measured(2000, 200, 12.541, 159.48, 7, 1.102, 1.58)


def test_without_failures_it_does_not_mention_statuses() -> None:
    text = "\n".join(line for line in SAID.splitlines() if not line.startswith("Non-2xx"))
    assert parse(text, 200).failed == 3


def test_anything_else_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="ab did not say"):
        parse("apr_socket_recv: Connection refused (111)", 200)
