"""The rules of the house that no compiler knows: who imports whom, and how long a file may get."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "caxton").rglob("*.py"))
WITH_TESTS = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]
LONGEST = 600

FORBIDDEN = [
    ("caxton/domain/message.py", "from caxton.config.toml import x", "caxton.domain.message -> caxton.config.toml"),
    ("caxton/config/toml.py", "import caxton.runtime.actor", "caxton.config.toml -> caxton.runtime.actor"),
    ("caxton/bus/local.py", "from caxton.storage import database", "caxton.bus.local -> caxton.storage.database"),
    ("caxton/storage/database.py", "import caxton.bus.local", "caxton.storage.database -> caxton.bus.local"),
    (
        "caxton/providers/local.py",
        "import caxton.testing.scripted",
        "caxton.providers.local -> caxton.testing.scripted",
    ),
    ("caxton/providers/openai.py", "import caxton.telemetry.logs", "caxton.providers.openai -> caxton.telemetry.logs"),
    ("caxton/runtime/actor.py", "import caxton.service.agents", "caxton.runtime.actor -> caxton.service.agents"),
    ("caxton/runtime/turn.py", "import caxton.bus.local", "caxton.runtime.turn -> caxton.bus.local"),
    ("caxton/service/agents.py", "import caxton.storage.agents", "caxton.service.agents -> caxton.storage.agents"),
    ("caxton/service/server.py", "import caxton.wiring", "caxton.service.server -> caxton.wiring"),
    ("caxton/wiring.py", "import caxton.testing.clock", "caxton.wiring -> caxton.testing.clock"),
    ("caxton/server/__init__.py", "import caxton.runtime.actor", "caxton.server -> caxton.runtime.actor"),
    ("caxton/server/__init__.py", "import caxton.cli", "caxton.server -> caxton.cli"),
    ("caxton/cli/__init__.py", "import caxton.service.agents", "caxton.cli -> caxton.service.agents"),
    ("caxton/cli/__init__.py", "import caxton.storage.database", "caxton.cli -> caxton.storage.database"),
    ("caxton/cli/__init__.py", "from caxton import __version__", "caxton.cli -> caxton "),
    ("caxton/testing/clock.py", "import caxton.bus.local", "caxton.testing.clock -> caxton.bus.local"),
]
"""A file, a line that it must not have, and what the linter then says."""


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.stmt | ast.expr) -> str:
    return f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"


def imports(path: Path) -> list[tuple[str, ast.stmt]]:
    """Every module that a file imports by name, at its top or late."""
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append((node.module or "", node))
    return found


@pytest.fixture(scope="module")
def broken_house(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the import linter says of a copy that has every forbidden line in it, and a room nobody declared."""
    copy = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "caxton", copy / "caxton", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for file, line, _ in FORBIDDEN:
        with (copy / file).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")
    (copy / "caxton" / "attic").mkdir()
    (copy / "caxton" / "attic" / "__init__.py").touch()
    linter = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache', '--no-logo'])"
    done = subprocess.run(
        [sys.executable, "-c", linter], cwd=copy, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("file", "line", "finding"), FORBIDDEN, ids=[finding for _, _, finding in FORBIDDEN])
def test_a_forbidden_import_breaks_a_contract(broken_house, file, line, finding):
    assert finding in broken_house


def test_a_room_that_is_on_no_floor_breaks_a_contract(broken_house):
    assert "attic" in broken_house


def test_the_domain_stands_on_the_standard_library_and_its_data_classes():
    # jsonschema_rs: three rooms hold values against schemas, and rooms do not share; it is imported where there is one.
    allowed = {*sys.stdlib_module_names, "msgspec", "pydantic", "jsonschema_rs", "caxton"}
    strangers = [
        f"{place(path, node)}: {name}"
        for path in MODULES
        if "domain" in path.relative_to(ROOT).parts
        for name, node in imports(path)
        if name.partition(".")[0] not in allowed
    ]
    assert strangers == []


def _at_home(module: str, path: Path) -> bool:
    """Whether a module is of the same room as the file, or none of ours."""
    parts = module.partition(":")[0].split(".")
    return parts[0] != "caxton" or parts[1] == path.relative_to(ROOT).parts[1]


def test_no_import_hides_from_the_linter():
    """No `TYPE_CHECKING`, no relative import, no module of another room by a literal name."""
    hidden = []
    for path in MODULES:
        for node in ast.walk(tree(path)):
            match node:
                case ast.ImportFrom(level=level) if level:
                    hidden.append(f"{place(path, node)}: a relative import")
                case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
                    hidden.append(f"{place(path, node)}: TYPE_CHECKING")
                case ast.Call(
                    func=ast.Name(id=call) | ast.Attribute(attr=call), args=[ast.Constant(str(name)), *_]
                ) if call in ("import_module", "__import__") and not _at_home(name, path):
                    hidden.append(f"{place(path, node)}: {name} by a literal string")
    assert hidden == []


def test_no_file_grows_past_the_length_at_which_it_holds_two_nouns():
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_bytes().splitlines()) for path in WITH_TESTS}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_file_is_named_for_nothing():
    nameless = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "base.py"}
    assert [str(path) for path in MODULES if path.name in nameless] == []


def test_nothing_but_the_cli_prints():
    """`print(…, file=stream)` is no printing: it writes to a stream that its caller chose."""
    printing = [
        place(path, node)
        for path in MODULES
        if path.relative_to(ROOT).parts[1] != "cli"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        if "file" not in [keyword.arg for keyword in node.keywords]
    ]
    assert printing == []


def test_every_suppressed_warning_says_which_one():
    # The pattern is put together so that this line is not found by itself.
    bare = re.compile(r"#\s*(?:no" + r"qa(?!: [A-Z]+[0-9]+)|type: ig" + r"nore(?!\[[a-z]))", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in WITH_TESTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if bare.search(line)
    ]
    assert found == []
