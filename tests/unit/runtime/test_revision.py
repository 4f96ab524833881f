"""Which revision: as git itself leaves its records, without git being asked."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from netshare.runtime import revision as module
from netshare.runtime.revision import Revision, of_checkout, revision
from tests.prerequisites import program, require

HASH = "0123456789abcdef0123456789abcdef01234567"


def git(tree: Path, *words: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", "-C", str(tree), *own, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    require(program("git"))
    place = tmp_path / "tree"
    place.mkdir()
    git(place, "init", "--quiet")
    git(place, "commit", "--quiet", "--allow-empty", "--message=one")
    return place


def test_of_a_branch_of_a_packed_one_and_of_none(tree: Path) -> None:
    commit = git(tree, "rev-parse", "HEAD")
    assert of_checkout(tree) == Revision(commit)
    git(tree, "pack-refs", "--all")
    assert not (tree / ".git/refs/heads/main").exists()
    assert of_checkout(tree) == Revision(commit)
    git(tree, "checkout", "--quiet", "--detach")
    assert of_checkout(tree) == Revision(commit)


def test_of_another_worktree(tree: Path, tmp_path: Path) -> None:
    git(tree, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "other"))
    git(tmp_path / "other", "commit", "--quiet", "--allow-empty", "--message=two")
    assert of_checkout(tmp_path / "other") == Revision(git(tree, "rev-parse", "other"))
    git(tree, "pack-refs", "--all")
    assert of_checkout(tmp_path / "other") == Revision(git(tree, "rev-parse", "other"))


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: ../../etc/passwd", "0123", "\udcff", HASH.upper()])
def test_records_that_say_nothing(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_bytes(head.encode("utf-8", "surrogateescape"))
    assert of_checkout(tmp_path) is None


def test_a_tree_without_records(tmp_path: Path) -> None:
    assert of_checkout(tmp_path) is None


@pytest.mark.parametrize("is_modified", [True, False, None])
def test_what_the_build_noted_goes_first(
    tree: Path, monkeypatch: pytest.MonkeyPatch, *, is_modified: bool | None
) -> None:
    runtime = tree / "netshare/runtime"
    runtime.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(shutil.copy(module.__file__, runtime)))
    assert revision() == Revision(git(tree, "rev-parse", "HEAD"))
    (runtime / module.NOTE).write_text(json.dumps({"revision": HASH, "modified": is_modified}), encoding="ascii")
    assert revision() == Revision(HASH, is_modified)
