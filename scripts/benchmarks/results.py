"""What was measured, as data: it is kept as JSON, and all that a reader sees is made of it."""

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one side: a value a round, in the order of the rounds."""

    measure: str
    side: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def quantile(self, share: float) -> float:
        """Give the value that this share of all does not exceed."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]

    def ratios(self, other: "Figure") -> list[float]:
        """Compare with another side, round by round: a busy moment of the machine hit both."""
        return [own / beside for own, beside in zip(self.values, other.values, strict=False)]

    def ratio(self, other: "Figure") -> float:
        """Give the middle one of these."""
        return statistics.median(self.ratios(other))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A side that was not measured, and why."""

    side: str
    reason: str


_NOISY = 0.5


@dataclass(frozen=True, slots=True)
class Conditions:
    """When a part was measured, and what the machine had to do besides; load averages are those of one minute."""

    date: str
    commit: str
    seconds: float
    load_before: float
    load_after: float
    busy_elsewhere: float
    """Processors that processes other than the benchmark's kept busy, on average."""
    is_quick: bool

    @property
    def is_noisy(self) -> bool:
        """Whether that was too much to trust a single rate."""
        return self.busy_elsewhere > _NOISY


@dataclass(frozen=True, slots=True)
class Part:
    """What one part measured; ``said`` are its settings in words."""

    figures: tuple[Figure, ...]
    left_out: tuple[LeftOut, ...]
    said: tuple[str, ...]
    conditions: Conditions

    def sides(self, measure: str) -> list[Figure]:
        """Give the figures of a measure, in the order in which they were first recorded."""
        return [figure for figure in self.figures if figure.measure == measure]

    def get(self, measure: str, side: str) -> Figure | None:
        """Look one figure up."""
        return next((one for one in self.figures if (one.measure, one.side) == (measure, side)), None)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured, and by which versions of everything."""

    kernel: str
    processor: str
    cores: int
    memory_gib: float
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Results:
    """All parts that were measured on one machine, each when it was measured last."""

    machine: Machine
    parts: Mapping[str, Part] = field(default_factory=dict)


_RESULTS = TypeAdapter(Results)
_NUMBERS = re.compile(r"\[[-+\d.eE,\s]+\]")


def read(path: Path) -> Results:
    """Read what was kept."""
    return _RESULTS.validate_json(path.read_bytes())


def written(results: Results) -> str:
    """Write it down, so that a change shows in few lines: the values of a figure are one."""
    text = _RESULTS.dump_json(results, indent=1).decode()
    return _NUMBERS.sub(lambda found: "".join(found[0].split()).replace(",", ", "), text) + "\n"


_DIGITS = 5


class Recorder:
    """What a part has measured so far."""

    def __init__(self, *, quick: bool) -> None:
        self.is_quick = quick
        self.left_out: list[LeftOut] = []
        self.said: list[str] = []
        self._values: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def record(self, measure: str, side: str, unit: str, *values: float) -> None:
        """Add values of a measure, to the digits that mean something."""
        self._values[measure, side, unit].extend(float(f"{value:.{_DIGITS}g}") for value in values)

    def leave_out(self, side: str, reason: str) -> None:
        """Say that a side is not measured."""
        self.left_out.append(LeftOut(side, reason))

    def say(self, paragraphs: str) -> None:
        """Say how it was measured; a blank line parts paragraphs, other line ends mean nothing."""
        self.said += [" ".join(one.split()) for one in paragraphs.strip().split("\n\n")]

    def figures(self) -> Iterable[Figure]:
        """Give all of it."""
        return [Figure(*key, tuple(values)) for key, values in self._values.items() if values]
