"""What a scrape says, read by Prometheus' own parser."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Scrape = dict[str, dict[frozenset[tuple[str, str]], float]]


def scraped(registry: CollectorRegistry) -> Scrape:
    """Scrape a registry: values by name and labels; no series may be told twice."""
    found: Scrape = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in series, sample
            series[labels] = sample.value
    return found


def value(scrape: Scrape, name: str, **labels: str) -> float:
    """Give one series' value."""
    return scrape[name][frozenset(labels.items())]
