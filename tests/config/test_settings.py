"""Server settings: flag before environment before file before default, and every problem at once."""

from pathlib import Path

import pytest
from support.marked import assert_told, read_marked

from caxton.config.location import DEFAULT_DATA_DIR
from caxton.config.settings import MemoryTable, ServerTable, configured_providers, diagnose_settings, load_settings
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError
from caxton.domain.settings import EmbedderSettings, MemorySettings, ProviderSettings, ServerSettings

KINDS = ("openai", "local", "scripted")
OTHERS = {
    "host": ("0.0.0.0", "::1", "192.0.2.1"),
    "port": (9001, 9002, 9003),
    "data_dir": ("flag", "env", "file"),
    "agents_dir": ("flag", "env", "file"),
    "log_level": ("debug", "warning", "error"),
    "default_provider": ("openai", "local", "other"),
    "max_body_bytes": (2048, 4096, 8192),
    "drain_timeout": (1.5, 2.5, 3.5),
    "allowed_hosts": ("a.example,b.example", "c.example", "d.example"),
}
"""Of each key what the flag, the environment and the file say."""


@pytest.fixture
def cwd(tmp_path, monkeypatch) -> Path:
    """A working directory, with a home directory beside it that has no server file either."""
    home = tmp_path / "home"
    for folder in (home, tmp_path / "work"):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    return tmp_path / "work"


def load(cwd, file="", flags=None, **environ) -> ServerSettings:
    if file:
        (cwd / "caxton.toml").write_text(file, encoding="utf-8")
    return load_settings(flags=flags or {}, environ=environ, cwd=cwd, kinds=KINDS)


def refused(cwd, file="", flags=None, **environ) -> list[Diagnostic]:
    with pytest.raises(ConfigurationError) as failure:
        load(cwd, file, flags, **environ)
    return list(failure.value.diagnostics)


def test_without_any_file_the_documented_defaults_hold(cwd):
    data_dir = cwd.parent / "home" / ".caxton"
    assert DEFAULT_DATA_DIR == "~/.caxton"
    assert load(cwd) == ServerSettings(
        data_dir=data_dir,
        agents_dir=data_dir / "agents",
        providers={
            "local": ProviderSettings(name="local", kind="local"),
            "openai": ProviderSettings(name="openai", kind="openai", api_key_env="OPENAI_API_KEY"),
        },
    )


class TestPrecedence:
    def test_every_key_is_tried_here(self):
        assert OTHERS.keys() == ServerTable.model_fields.keys()

    @pytest.mark.parametrize("key", OTHERS)
    def test_a_flag_goes_before_the_environment_that_before_the_file_that_before_the_default(self, cwd, key):
        flag, variable, written = OTHERS[key]
        text = f'[server]\n{key} = {written!r}\n[providers.other]\nkind = "local"\n'
        flags, environ = {key: flag}, {f"CAXTON_{key.upper()}": str(variable)}
        default = getattr(load(cwd), key)
        settings = load(cwd, text, flags, **environ), load(cwd, text, **environ), load(cwd, text)
        values = [getattr(one, key) for one in settings]
        values = [",".join(value) if isinstance(value, tuple) else value for value in values]
        assert values == [cwd / value if key.endswith("dir") else value for value in OTHERS[key]]
        assert default != written

    def test_an_empty_variable_and_a_flag_that_was_not_given_say_nothing(self, cwd):
        assert load(cwd, "[server]\nport = 9000\n", {"port": None}, CAXTON_PORT="", CAXTON_HOST="").port == 9000

    def test_what_the_environment_says_is_read_as_what_it_has_to_be(self, cwd):
        settings = load(cwd, CAXTON_PORT="9000", CAXTON_DRAIN_TIMEOUT="2", CAXTON_MAX_BODY_BYTES="2048")
        assert (settings.port, settings.drain_timeout, settings.max_body_bytes) == (9000, 2.0, 2048)


class TestPaths:
    def test_paths_of_the_file_are_relative_to_it(self, cwd):
        folder = cwd / "etc"
        folder.mkdir()
        (folder / "caxton.toml").write_text(
            '[server]\ndata_dir = "data"\nagents_dir = "../agents"\n'
            '[providers.mine]\nkind = "local"\nmodel_path = "model.gguf"\n'
            '[providers.test]\nkind = "scripted"\nscript = "~/script.toml"\n'
        )
        settings = load(cwd, flags={"config": "etc/caxton.toml"})
        assert settings.file == folder / "caxton.toml"
        assert settings.data_dir == folder / "data"
        assert settings.agents_dir == folder / "../agents"
        assert settings.providers["mine"].model_path == folder / "model.gguf"
        assert settings.providers["test"].script == cwd.parent / "home" / "script.toml"

    def test_paths_of_flags_and_environment_are_relative_to_the_working_directory(self, cwd):
        settings = load(cwd, "[server]\ndata_dir = 'a'\nagents_dir = 'b'\n", {"data_dir": "c"}, CAXTON_AGENTS_DIR="d")
        assert (settings.data_dir, settings.agents_dir) == (cwd / "c", cwd / "d")

    def test_the_agents_are_in_the_data_directory_unless_it_is_said_otherwise(self, cwd):
        assert load(cwd, flags={"data_dir": "x"}).agents_dir == cwd / "x" / "agents"


class TestProviders:
    def test_the_file_adds_providers_and_changes_those_that_are_there(self, cwd):
        text = '[providers.local]\nkind = "local"\nthreads = 3\n[providers.ollama]\nkind = "openai"\n'
        text += 'base_url = "http://localhost:11434/v1"\nmodel = "llama"\ntimeout = 5\ncontext_length = 8192\n'
        assert load(cwd, text).providers == {
            "local": ProviderSettings(name="local", kind="local", threads=3),
            "openai": ProviderSettings(name="openai", kind="openai", api_key_env="OPENAI_API_KEY"),
            "ollama": ProviderSettings(
                name="ollama",
                kind="openai",
                base_url="http://localhost:11434/v1",
                model="llama",
                timeout=5.0,
                context_length=8192,
            ),
        }

    def test_every_key_of_the_memory_reaches_the_settings(self, cwd):
        text = """
            [memory]
            backend = "qdrant"
            backend_url = "https://example.org:6333"
            backend_key_env = "QDRANT_KEY"
            collection = "ours"
            embedder = "openai"
            model = "m"
            weights = "w.onnx"
            tokenizer = "t.json"
            device = "cuda"
            base_url = "http://localhost:1/v1"
            api_key_env = "KEY"
            dimension = 7
        """
        settings = load(cwd, text)
        assert settings.memory == MemorySettings(
            backend="qdrant", backend_url="https://example.org:6333", backend_key_env="QDRANT_KEY", collection="ours"
        )
        assert settings.embedder == EmbedderSettings(
            kind="openai",
            model="m",
            weights=cwd / "w.onnx",
            tokenizer=cwd / "t.json",
            device="cuda",
            base_url="http://localhost:1/v1",
            api_key_env="KEY",
            dimension=7,
        )
        table = set(MemoryTable.model_fields) - {"embedder"}
        assert table == {*MemorySettings.__struct_fields__, *EmbedderSettings.__struct_fields__} - {"kind"}

    def test_the_names_are_known_whatever_else_is_wrong_in_the_file(self, cwd):
        def names(text):
            (cwd / "caxton.toml").write_text(text)
            return configured_providers({}, {}, cwd)

        assert configured_providers({}, {}, cwd) == ["local", "openai"]
        assert names('[server]\nport = "x"\n[providers.mine]\nkind = 5\n') == ["local", "mine", "openai"]
        assert names("providers = 5\n") == ["local", "openai"]
        assert names("[[[") == ["local", "openai"]


BROKEN = {
    "everything at once": "[server]\nprot = 1\n^^^^ unknown_key: Did you mean 'port'?\n"
    + "port = 99999\n       ^^^^^ invalid_value: less than or equal to 65535\n"
    + "host = ' '\n       ^^^ invalid_value: Leave the key out for its default.\n"
    + "log_level = 'Debug'\n            ^^^^^^^ invalid_value: Did you mean 'debug'?\n"
    + "default_provider = 'opnai'\n                   ^^^^^^^ unknown_provider: Did you mean 'openai'?\n"
    + "drain_timeout = '10s'\n                ^^^^^ wrong_type: has to be a number\n"
    + "[providers.mine]\n           ^^^^ missing_key: 'kind' is missing; [providers.mine] has to have it\n"
    + "[providers.yours]\nkind = 'opeani'\n       ^^^^^^^^ invalid_value: Did you mean 'openai'?\n"
    + "base_url = 'localhost'\n           ^^^^^^^^^^^ invalid_value: has to begin with http:// or https://\n"
    + "timeout = 0\n          ^ invalid_value: greater than 0\n"
    + "[srever]\n ^^^^^^ unknown_key: Did you mean 'server'?\n",
    "a provider's key in [server]": "[server]\nbase_url = 'x'\n^^^^^^^^ unknown_key: belongs in [memory] or\n",
    "a misspelt key of a provider": "[providers.x]\nkind = 'local'\nmodle = 'x'\n^^^^^ unknown_key: mean 'model'?\n",
    "an embedder that there is not": "[memory]\nembedder = 'onyx'\n           ^^^^^^ invalid_value: mean 'onnx'?\n",
    "an unknown key of the memory": "[memory]\nwieghts = 'x'\n^^^^^^^ unknown_key: Did you mean 'weights'?\n",
    "values of the memory that are none": "[memory]\nmodel = ' '\n        ^^^ invalid_value: Leave the key out\n"
    + "base_url = 'localhost'\n           ^^^^^^^^^^^ invalid_value: http:// or https://\n"
    + "dimension = 0\n            ^ invalid_value: equal to 1\n",
    "an agent's key in the server's memory": "[memory]\nenabled = true\n^^^^^^^ unknown_key\n",
    "a backend that there is not": "[memory]\nbackend = 'qdrent'\n          ^^^^^^^^ invalid_value: 'qdrant'?\n"
    + "backend_url = 'localhost:6333'\n              ^^^^^^^^^^^^^^^^ invalid_value: http:// or https://, or neo4j://\n"
    + "collection = ''\n             ^^ invalid_value: Leave the key out\n",
    "providers that are no table": "providers = 1\n            ^ wrong_type: a table\n",
    "a provider that is no table": "providers.x = 1\n              ^ wrong_type: 'providers.x' has to be a table\n",
    "a list of providers": "[[providers]]\n  ^^^^^^^^^ wrong_type: a table\nkind = 'local'\n",
    "a server that is no table": "server = true\n         ^^^^ wrong_type: not true\n",
    "no TOML": "[server\n       ^ toml_syntax: Expected ']'\n",
}


@pytest.mark.parametrize("marked", BROKEN.values(), ids=BROKEN.keys())
def test_every_problem_of_a_server_file_is_shown_at_its_place(cwd, marked):
    text, marks = read_marked(marked)
    assert_told(diagnose_settings(Source(path="caxton.toml", text=text), kinds=KINDS), marks)
    assert_told(refused(cwd, text), marks)


class TestProblems:
    def test_problems_of_file_environment_and_flags_are_told_together(self, cwd):
        problems = refused(cwd, "[server]\nport = 0\nx = 1\n", {"log_level": "loud"}, CAXTON_DRAIN_TIMEOUT="soon")
        assert [(Path(one.file).name, one.line) for one in problems] == [
            ("caxton.toml", 2),
            ("caxton.toml", 3),
            ("option --log-level", 0),
            ("environment variable CAXTON_DRAIN_TIMEOUT", 0),
        ]

    @pytest.mark.parametrize(
        ("variable", "value", "words"),
        [
            ("CAXTON_PORT", "eighty", "'port' has to be a whole number, not 'eighty'"),
            ("CAXTON_PORT", "0", "greater than or equal to 1"),
            ("CAXTON_PORT", "70000", "less than or equal to 65535"),
            ("CAXTON_DRAIN_TIMEOUT", "soon", "'drain_timeout' has to be a number"),
            ("CAXTON_DRAIN_TIMEOUT", "nan", "'drain_timeout' has to be"),
            ("CAXTON_LOG_LEVEL", "INFO", "one of debug, info, warning, error"),
            ("CAXTON_DEFAULT_PROVIDER", "opnai", "the default provider 'opnai' is not configured"),
            ("CAXTON_DATA_DIR", "  ", "this is empty"),
        ],
    )
    def test_a_wrong_variable_is_named(self, cwd, variable, value, words):
        (problem,) = refused(cwd, **{variable: value})
        assert problem.file == f"environment variable {variable}"
        assert words in problem.message

    def test_a_wrong_option_is_named_as_it_is_written(self, cwd):
        (problem,) = refused(cwd, flags={"max_body_bytes": 5})
        assert problem.file == "option --max-body-bytes"

    def test_a_default_provider_of_the_file_may_be_chosen_by_environment_and_flag(self, cwd):
        text = '[providers.mine]\nkind = "local"\n'
        assert load(cwd, text, CAXTON_DEFAULT_PROVIDER="mine").default_provider == "mine"
        assert load(cwd, text, {"default_provider": "mine"}).default_provider == "mine"

    def test_a_named_file_that_is_not_there_is_an_error(self, cwd):
        for problems in (refused(cwd, flags={"config": "no.toml"}), refused(cwd, CAXTON_CONFIG="no.toml")):
            assert [(one.code, one.file) for one in problems] == [("unreadable", str(cwd / "no.toml"))]

    def test_a_directory_and_a_file_of_another_encoding_are_errors(self, cwd):
        assert refused(cwd, flags={"config": "."})[0].code == "unreadable"
        (cwd / "caxton.toml").write_bytes("[server]\n".encode("utf-16"))
        assert refused(cwd)[0].code == "encoding"

    def test_an_agent_file_taken_for_the_server_file_is_refused_key_by_key(self, cwd):
        problems = refused(cwd, 'name = "helper"\nsystem_prompt = "x"\n')
        assert [(one.code, one.line) for one in problems] == [("unknown_key", 1), ("unknown_key", 2)]

    @pytest.mark.parametrize("text", [" ", "\n\n", "# nothing yet\n"])
    def test_an_empty_server_file_is_a_file_of_defaults(self, cwd, text):
        assert load(cwd, text).port == 8080

    def test_a_key_in_the_file_is_an_error_that_does_not_show_it(self, cwd):
        text = '[providers.x]\nkind = "openai"\napi_key = "hunter2"\napi_key_env = "sk-hunter2"\n'
        problems = refused(cwd, text)
        assert [(one.code, one.line, one.column) for one in problems] == [
            ("secret_in_file", 3, 1),
            ("secret_in_file", 4, 15),
        ]
        assert "hunter2" not in "".join(one.render() for one in problems)
        assert all("api_key_env" in one.hint for one in problems)
