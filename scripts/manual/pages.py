"""A page for each verb, as its parameters are declared, and netshare(1), which has what they share."""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from textwrap import dedent

from typer._click.core import Command
from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from netshare.cli.app import VERBS, application
from netshare.cli.usage import usage
from netshare.errors import NetshareError
from netshare.runtime.version import __version__
from scripts.manual import words
from scripts.manual.roff import bold, escaped, example, italic, item, page, paragraphs, prose, section

PLACE = Path(__file__).resolve().parents[2] / "netshare/docs/man"
_SOURCE = f"netshare {__version__}"
_HELP = item(bold("--help"), "Show the words, and end.")


def pages() -> dict[str, str]:
    """Write all pages, by the names of their files."""
    return {"netshare.1": _overview()} | {f"netshare-{verb}.1": _of_verb(verb) for verb in VERBS}


def _overview() -> str:
    top = get_command(application([]))
    return page(
        "netshare",
        words.DATE,
        _SOURCE,
        [
            section("NAME", "netshare \\- one host port, many containers, balanced by the kernel itself"),
            section("SYNOPSIS", f"{bold('netshare')} {italic('VERB')} [{italic('OPTIONS')}] [{italic('ARGUMENTS')}]"),
            section("DESCRIPTION", paragraphs(words.OVERVIEW)),
            section("VERBS", *(item(f"\\fBnetshare\\-{verb}\\fP(1)", prose(VERBS[verb][2])) for verb in VERBS)),
            section("OPTIONS", *_options(top), _HELP),
            section("LABELS", paragraphs(words.LABELS), *_list(words.LABEL)),
            section("EXIT STATUS", *_exit_codes()),
            section("ENVIRONMENT", *_list(words.ENVIRONMENT)),
            section("FILES", *_list(words.FILES)),
            section("EXAMPLES", *_examples("")),
            section("NOTES", paragraphs(words.LIMITS)),
            section(
                "SEE ALSO", ",\n".join((*words.OTHERS, *(f"\\fBnetshare\\-{verb}\\fP(1)" for verb in sorted(VERBS))))
            ),
        ],
    )


def _of_verb(verb: str) -> str:
    command = _commands(get_command(application([verb])))[verb]
    commands = _commands(command)
    summary = VERBS[verb][2]
    sections = [
        section("NAME", f"netshare\\-{verb} \\- {escaped(summary[0].lower() + summary[1:].rstrip('.'))}"),
        section("SYNOPSIS", "\n.br\n".join(_synopses(verb, command))),
        section("DESCRIPTION", paragraphs(f"{command.help}\n\n{words.MORE[verb].strip()}")),
        *([section("ARGUMENTS", *_arguments(command))] if list(_arguments(command)) else []),
        section("OPTIONS", *_options(command), _HELP),
    ]
    if commands:
        parts = [line for name, each in commands.items() for line in _subcommand(verb, name, each)]
        sections.append(section("COMMANDS", *parts))
    codes = (item(bold(str(code)), prose(meaning)) for code, meaning in words.EXIT.get(verb, {}).items())
    sections += [
        section("EXIT STATUS", prose("The codes are those of `netshare`(1): 0 is done."), *codes),
        section("EXAMPLES", *_examples(verb)),
        section(
            "SEE ALSO",
            ",\n".join(("\\fBnetshare\\fP(1)", *(f"\\fBnetshare\\-{each}\\fP(1)" for each in words.SEE[verb]))),
        ),
    ]
    return page(f"netshare-{verb}", words.DATE, _SOURCE, sections)


def _commands(command: Command) -> Mapping[str, Command]:
    return command.commands if isinstance(command, TyperGroup) else {}


def _synopses(verb: str, command: Command) -> Iterator[str]:
    if not isinstance(command, TyperGroup):
        yield _synopsis(f"netshare {verb}", command)
        return
    if command.invoke_without_command:
        yield f"{bold(f'netshare {verb}')} [{italic('OPTIONS')}]"
    for name, each in command.commands.items():
        yield _synopsis(f"netshare {verb} {name}", each)


def _synopsis(name: str, command: Command) -> str:
    arguments = usage(each for each in command.params if isinstance(each, TyperArgument))
    return " ".join((bold(name), f"[{italic('OPTIONS')}]", *map(italic, arguments)))


def _subcommand(verb: str, name: str, command: Command) -> Iterator[str]:
    yield f".SS {_synopsis(f'{verb} {name}', command)}"
    yield prose(str(command.help))
    yield from _arguments(command)
    yield from _options(command)


def _arguments(command: Command) -> Iterator[str]:
    for each in command.params:
        if isinstance(each, TyperArgument):
            yield item(italic(str(each.metavar)), prose(str(each.help)))


def _options(command: Command) -> Iterator[str]:
    for each in command.params:
        if isinstance(each, TyperOption) and not each.hidden:
            names = ", ".join(map(bold, sorted((*each.opts, *each.secondary_opts), key=len)))
            yield item(f"{names} {italic(_value(each))}".strip() if _value(each) else names, prose(_help(each)))


def _value(option: TyperOption) -> str:
    """Say what has to follow an option: nothing, a word that stands for it, or one of a few."""
    if option.is_flag:
        return ""
    annotation = option.type_descriptor.annotation
    if option.metavar is None and isinstance(annotation, type) and issubclass(annotation, Enum):
        return "|".join(str(each.value) for each in annotation)
    return option.metavar or "VALUE"


def _help(option: TyperOption) -> str:
    default = option.default
    shown = str(default.value if isinstance(default, Enum) else default)
    has_default = default not in (None, False) and option.show_default and not option.secondary_opts
    variable = f"\nThe variable {option.envvar} says the same." if option.envvar else ""
    return f"{option.help}{f' Default: {shown}.' if has_default else ''}{variable}"


def _exit_codes() -> Iterator[str]:
    kinds: list[type[NetshareError]] = [NetshareError, *NetshareError.__subclasses__()]
    known = {kind.exit_code: (kind.__doc__ or "").splitlines()[0] for kind in kinds}
    meanings = {0: "Done."} | known | words.EXIT_CODES
    for code, meaning in sorted(meanings.items()):
        yield item(bold(str(code)), prose(meaning))


def _list(entries: dict[str, str]) -> Iterator[str]:
    return (item(bold(name), prose(text)) for name, text in entries.items())


def _examples(verb: str) -> Iterator[str]:
    for number, each in enumerate(words.EXAMPLES[verb].strip("\n").split("\n\n")):
        what, *lines = each.splitlines()
        if number:
            yield ".PP"
        yield f"{prose(what)}\n.PP\n{example(dedent(chr(10).join(lines)))}"


def _see(*others: str, verbs: Iterable[str]) -> str:
    return section("SEE ALSO", ",\n".join((*others, *(f"\\fBnetshare\\-{verb}\\fP(1)" for verb in verbs))))
