"""Pods as the documents that ``-o json`` prints: names and meanings are a contract, fields are only ever added."""

from collections.abc import Iterable

from netshare.cli.documents import SCHEMA, Document
from netshare.core.pods import Member, Pod, Published
from netshare.operations.pod import Added, Created, Removed


def of_pods(pods: Iterable[Pod], *, with_replicas: bool) -> Document:
    """Describe pods."""
    return {"schema": SCHEMA, "pods": [_pod(pod, with_replicas=with_replicas) for pod in pods]}


def of_created(created: Created) -> Document:
    """Describe a pod that was asked for."""
    warnings = list(created.warnings)
    return of_pods([created.pod], with_replicas=True) | {"changed": created.changed, "warnings": warnings}


def of_added(added: Added) -> Document:
    """Describe a pod that has more replicas."""
    return of_pods([added.pod], with_replicas=True) | {"added": list(added.names)}


def of_removed(removed: Removed) -> Document:
    """Describe what is gone, and the pod that is left, if it is."""
    left = [] if removed.left is None else [removed.left]
    return of_pods(left, with_replicas=True) | {"name": removed.name, "removed": list(removed.containers)}


def state(pod: Pod) -> str:
    """Name a pod's state: its sandbox's, by the engine's own word."""
    return "gone" if pod.sandbox is None else pod.sandbox.status.value


def _pod(pod: Pod, *, with_replicas: bool) -> Document:
    ports = () if pod.sandbox is None else pod.sandbox.published
    document: Document = {
        "name": pod.name,
        "engine": pod.engine,
        "state": state(pod),
        "published": [_published(each) for each in ports],
        "sandbox": None if pod.sandbox is None else _member(pod.sandbox),
    }
    return document | ({"replicas": [_member(each) for each in pod.replicas]} if with_replicas else {})


def _published(published: Published) -> Document:
    return {
        "address": "*" if published.address is None else str(published.address),
        "port": published.port,
        "protocol": published.protocol.value,
        "to": published.to,
    }


def _member(member: Member) -> Document:
    return {
        "name": member.name,
        "id": member.id,
        "image": member.image,
        "state": member.status.value,
        "detail": member.detail,
    }
