"""``netshare pod``: replicas that share one port by SO_REUSEPORT, in one sandbox."""

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from netshare.cli import completing, output
from netshare.cli.options import Output
from netshare.cli.usage import Verb
from netshare.core import parse, pods
from netshare.core.pods import Pod
from netshare.errors import NetshareError, UsageError

pod = typer.Typer(
    help="Replicas that share one port by SO_REUSEPORT, in one sandbox: for applications that set the option.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_POD_ENGINES = ("docker", "podman")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The pod; its containers' names begin with it.")]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="ENGINE",
        help="docker or podman. Default: whichever there is, Docker first.",
        autocompletion=completing.one_of(*_POD_ENGINES),
    ),
]


@pod.command(cls=Verb)
def create(
    name: Name,
    publish: Annotated[
        list[str] | None,
        typer.Option(metavar="[ADDR:]PORT:TO[/PROTO]", help="The host's port, and the replicas' own (repeatable)."),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="The sandbox's: any that has `sleep`. Default: one that netshare makes."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="NET", help="A network of the engine's. Default: its default bridge.")
    ] = None,
    engine: Engine = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Make a pod: a sandbox that only sleeps, called NAME-pod, with its ports published; or start it again."""
    from netshare import wiring
    from netshare.cli import pod_documents
    from netshare.engine.pods import Sandbox
    from netshare.operations import pod as operation

    sandbox = Sandbox(
        pods.pod_name(name),
        tuple(map(pods.published, publish or ())),
        None if image is None else pods.image_name(image),
        None if network is None else parse.network_name(network),
    )
    engines = wiring.pod_engines(_chosen(engine))
    created = operation.create(engines, wiring.store().load().services, sandbox)
    for warning in created.warnings:
        output.note(f"warning: {warning}")
    if form is output.Format.JSON:
        output.document(pod_documents.of_created(created))
        return
    done = "made" if created.changed and not created.pod.replicas else "started" if created.changed else "is there"
    output.line(f"pod {sandbox.pod}: {done}, {_ports(created.pod)}")


@pod.command(cls=Verb)
def add(
    name: Name,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The application's image; it has to be here.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", show_default=False, help="What to run. Default: the image's own."),
    ] = None,
    count: Annotated[str, typer.Option(metavar="N", help="How many replicas to add.")] = "1",
    env: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A variable of theirs (repeatable).")
    ] = None,
    engine: Engine = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Start replicas of a pod, called NAME-1, NAME-2, …: each listens on the same port, with SO_REUSEPORT."""
    from netshare import wiring
    from netshare.cli import pod_documents
    from netshare.operations import pod as operation

    request = operation.AddRequest(
        pods.pod_name(name),
        pods.image_name(image),
        pods.number_of_replicas(count),
        tuple(command or ()),
        tuple(map(pods.environment, env or ())),
    )
    added = operation.add(wiring.pod_engines(_chosen(engine)), request, time)
    if form is output.Format.JSON:
        output.document(pod_documents.of_added(added))
    else:
        output.line(f"pod {request.pod}: {', '.join(added.names)} started, {_ports(added.pod)}")


@pod.command(cls=Verb)
def remove(
    name: Name,
    replica: Annotated[
        str | None,
        typer.Argument(
            metavar="REPLICA", show_default=False, help="Its name, or the beginning of its id. Default: all the pod."
        ),
    ] = None,
    grace: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="How long each may take to stop before it is killed.")
    ] = "10s",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    engine: Engine = None,
    form: Output = output.Format.TABLE,
) -> None:
    """Stop and remove one replica, or the whole pod."""
    checked, meant = pods.pod_name(name), None if replica is None else parse.replica_name(replica)
    seconds, chosen = parse.duration(grace), _chosen(engine)
    from netshare import wiring
    from netshare.cli import pod_documents
    from netshare.operations import pod as operation

    engines = wiring.pod_engines(chosen)
    if meant is None and not yes:
        _ask(operation.find(engines, checked))
    removed = operation.remove(engines, checked, meant, seconds)
    if form is output.Format.JSON:
        output.document(pod_documents.of_removed(removed))
    else:
        output.line(f"pod {checked}: {', '.join(removed.containers)} removed")


@pod.command("list", cls=Verb)
def list_(engine: Engine = None, form: Output = output.Format.TABLE) -> None:
    """List the pods, one a line."""
    chosen = _chosen(engine)
    from netshare import wiring
    from netshare.cli import pod_documents
    from netshare.operations import pod as operation

    found = operation.list_pods(wiring.pod_engines(chosen))
    if form is output.Format.JSON:
        output.document(pod_documents.of_pods(found, with_replicas=False))
    elif found:
        rows = [(p.name, p.engine, pod_documents.state(p), _published(p), str(len(p.replicas))) for p in found]
        output.table(("POD", "ENGINE", "STATE", "PUBLISHED", "REPLICAS"), rows)
    else:
        output.note("there is no pod; `netshare pod create NAME --publish 80:8080` makes one")


@pod.command(cls=Verb)
def status(name: Name, engine: Engine = None, form: Output = output.Format.TABLE) -> None:
    """Show a pod with its containers."""
    checked, chosen = pods.pod_name(name), _chosen(engine)
    from netshare import wiring
    from netshare.cli import pod_documents
    from netshare.operations import pod as operation

    found = operation.find(wiring.pod_engines(chosen), checked)
    if form is output.Format.JSON:
        output.document(pod_documents.of_pods([found], with_replicas=True))
        return
    members = (*([found.sandbox] if found.sandbox else []), *found.replicas)
    rows = [(found.name, m.name, m.role.value, m.image, m.status.value, m.detail) for m in members]
    output.table(("POD", "CONTAINER", "ROLE", "IMAGE", "STATE", "DETAIL"), rows)
    output.note(f"pod {checked}: {_ports(found)}")


def _chosen(engine: str | None) -> Sequence[str]:
    """Read which engines are asked."""
    if engine is None:
        return _POD_ENGINES
    if engine in _POD_ENGINES:
        return (engine,)
    raise UsageError(f"there is no engine {parse.shown(engine)} that has pods", hint="choose docker or podman")


def _ask(found: Pod) -> None:
    answer = output.confirm(f"Stop and remove pod {found.name} with its {len(found.replicas)} replicas?")
    if answer is None:
        raise UsageError(
            "pod remove asks before it removes a pod, and there is no terminal to ask on", hint="add --yes"
        )
    if not answer:
        raise NetshareError("nothing was changed", hint="answer y to go on")


def _ports(found: Pod) -> str:
    return f"published {_published(found)}"


def _published(found: Pod) -> str:
    return ", ".join(map(str, found.sandbox.published)) if found.sandbox and found.sandbox.published else "nothing"
