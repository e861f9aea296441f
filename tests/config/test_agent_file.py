"""Agent files: every problem of a file with its place, and what a right one defines."""

from pathlib import Path

import pytest
from support.marked import assert_told, read_marked

from caxton.config.agent_file import diagnose, load_definition
from caxton.domain.agent import (
    AgentDefinition,
    ContextStrategy,
    ConversationOptions,
    LlmOptions,
    MemoryOptions,
    MemoryScope,
    ResourceLimits,
    Source,
)
from caxton.domain.errors import Code, ConfigurationError

PROVIDERS = ("openai", "local")
NAME = 'name = "helper"\n'
REST = 'system_prompt = "You help."\n'
HEAD = NAME + REST
BROKEN = {
    "an empty text": "\n^ missing_key: 'name'\n^ missing_key: 'system_prompt'",
    "a comment only": "# soon\n^ missing_key: 'name' is missing\n^ missing_key: 'system_prompt' is missing\n",
    "no prompt": "name = \"helper\"\n^ missing_key: 'system_prompt' is missing; the file has to have it\n",
    "an unknown key": HEAD + "versoin = 1\n^^^^^^^ unknown_key: Did you mean 'version'?\n",
    "an unknown key in other capitals": HEAD + "Tags = []\n^^^^ unknown_key: Did you mean 'tags'?\n",
    "an unknown key like no other": HEAD + "xyzzy = 1\n^^^^^ unknown_key: Known keys: name, system_prompt, version\n",
    "an unknown key in quotes": HEAD + "\"na me\" = 1\n^^^^^^^ unknown_key: Did you mean 'name'?\n",
    "an unknown key that is empty": HEAD + "\"\" = 1\n^^ unknown_key: the file has no key ''\n",
    "an unknown key of a table": HEAD + "[llm]\ntemprature = 1\n^^^^^^^^^^ unknown_key: Did you mean 'temperature'?\n",
    "an unknown key of an inline table": HEAD
    + "llm = { seed = 1, temprature = 1 }\n                  ^^^^^^^^^^ unknown_key: [llm] has no key 'temprature'\n",
    "an unknown dotted key": HEAD + "llm.modle = 1\n    ^^^^^ unknown_key: Did you mean 'model'?\n",
    "an unknown table": HEAD + "[resource]\n ^^^^^^^^ unknown_key: Did you mean 'resources'?\nmemory = 1\n",
    "an unknown list of tables": HEAD + "[[xyzzy]]\n  ^^^^^ unknown_key: Known keys\n[[xyzzy]]\n",
    "an unknown table in a table": HEAD + "[llm.options]\n     ^^^^^^^ unknown_key: [llm] has no key 'options'\n",
    "a table's key at the top": HEAD + "temperature = 0.3\n^^^^^^^^^^^ unknown_key: 'temperature' belongs in [llm].\n",
    "a misspelt key of a table at the top": HEAD
    + "temprature = 0.3\n^^^^^^^^^^ unknown_key: Did you mean 'temperature' in [llm]?\n",
    "a key of the top in a table": HEAD + "[llm]\ntags = []\n^^^^ unknown_key: belongs at the top of the file\n",
    "a key of another table": HEAD + "[llm]\nmax_turns = 3\n^^^^^^^^^ unknown_key: belongs in [conversation].\n",
    "a name in capitals": "name = \"My Agent\"\n       ^^^^^^^^^^ invalid_value: Try 'my-agent'.\n" + REST,
    "a name that is everybody's": 'name = "all"\n       ^^^^^ invalid_value: addressed to every agent\n' + REST,
    "a name too short": "name = \"ab\"\n       ^^^^ invalid_value: 'ab' is not a name: 3 to 64\n" + REST,
    "a name too long": f"name = \"{'a' * 65}\"\n       {'^' * 67} invalid_value: Try '{'a' * 64}'.\n" + REST,
    "a name with two hyphens": "name = \"a--b\"\n       ^^^^^^ invalid_value: Try 'a-b'.\n" + REST,
    "a name of other letters": 'name = "агент"\n       ^^^^^^^ invalid_value: is not a name\n' + REST,
    "a name that is a path": "name = \"../etc\"\n       ^^^^^^^^ invalid_value: Try 'etc'.\n" + REST,
    "a name that is a number": 'name = 5\n       ^ wrong_type: Put it in quotes: "5".\n' + REST,
    "a name that is true": "name = true\n       ^^^^ wrong_type: has to be text in quotes, not true\n" + REST,
    "a blank prompt": 'name = "helper"\nsystem_prompt = " \\n"\n                ^^^^^ invalid_value: is empty\n',
    "a blank prompt of several lines": NAME + 'system_prompt = """\n                ^^^ invalid_value: empty\n\n"""\n',
    "a prompt that is a list": NAME + "system_prompt = [\n                ^ wrong_type: not ['a']\n  \"a\",\n]\n",
    "a version of two parts": HEAD + 'version = "1.0"\n          ^^^^^ invalid_value: such as "1.0.0", not \'1.0\'\n',
    "a version with a v": HEAD + 'version = "v1.0.0"\n          ^^^^^^^^ invalid_value: semantic version\n',
    "a version that is a number": HEAD + 'version = 1.0\n          ^^^ wrong_type: Put it in quotes: "1.0".\n',
    "a version that is a date": HEAD + "version = 2026-01-02\n          ^^^^^^^^^^ wrong_type: not 2026-01-02\n",
    "capabilities": HEAD
    + 'capabilities = ["ok", "data analysis", "x:v0", "Y"]\n'
    + "                      ^^^^^^^^^^^^^^^ invalid_value: 'data analysis'\n"
    + "                                       ^^^^^^ invalid_value: 'x:v0'\n"
    + "                                               ^^^ invalid_value: 'Y'\n",
    "capabilities over several lines": HEAD
    + "capabilities = [\n  'ok', # 'Not this'\n  'Bad one',\n  ^^^^^^^^^ invalid_value: \"data-analysis\"\n]\n",
    "capabilities that are text": HEAD
    + "capabilities = 'charts'\n               ^^^^^^^^ wrong_type: Put it in brackets: ['charts'].\n",
    "a capability that is a number": HEAD + "capabilities = [5]\n                ^ wrong_type: 'capabilities.0'\n",
    "tools": HEAD + "tools = ['files']\n         ^^^^^^^ invalid_value: 'files.*'\n",
    "tags of other types": HEAD + "tags = ['a', 1]\n             ^ wrong_type: 'tags.1' has to be text in quotes\n",
    "a table that is text": HEAD + "llm = 'gpt'\n      ^^^^^ wrong_type: 'llm' has to be a table\n",
    "a table that is a list": HEAD + "[[llm]]\n  ^^^ wrong_type: 'llm' has to be a table\nmodel = 'x'\n",
    "a list that is a table": HEAD + "[tags]\n ^^^^ wrong_type: 'tags' has to be a list\nx = 1\n",
    "a number that is text": HEAD + '[llm]\ntop_p = "0.5"\n        ^^^^^ wrong_type: Leave out the quotes.\n',
    "numbers that are true": HEAD
    + "[llm]\ntop_p = true\n        ^^^^ wrong_type: a number, not true\n"
    + "seed = false\n       ^^^^^ wrong_type: a whole number, not false\n",
    "a number too great": HEAD + "[llm]\ntemperature = 3\n              ^ invalid_value: less than or equal to 2\n",
    "a number that is none": HEAD + "[llm]\ntemperature = nan\n              ^^^ invalid_value: not nan\n",
    "a whole number that is not": HEAD + "[llm]\nmax_tokens = 1.5\n             ^^^ wrong_type: a whole number\n",
    "a whole number too small": HEAD + "[llm]\nmax_tokens = 0\n             ^ invalid_value: equal to 1, not 0\n",
    "a whole number beyond 64 bits": HEAD
    + "llm.seed = 9223372036854775808\n           ^^^^^^^^^^^^^^^^^^^ invalid_value: 64 bits\n",
    "too many stops": HEAD
    + f"[llm]\nstop = [{'1, ' * 17}]\n       {'^' * 53} invalid_value: at most 16 entries, not 17\n",
    "a truth that is text": HEAD + '[memory]\nenabled = "true"\n          ^^^^^^ wrong_type: Leave out the quotes.\n',
    "a truth that is a number": HEAD + "[memory]\nenabled = 1\n          ^ wrong_type: has to be true or false\n",
    "a word that is no choice": HEAD
    + "conversation.strategy = 'slidng'\n                        ^^^^^^^^ invalid_value: Did you mean 'sliding'?\n",
    "a choice in capitals": HEAD + "memory.scope = 'Agent'\n               ^^^^^^^ invalid_value: mean 'agent'?\n",
    "a choice that is a number": HEAD + "memory.scope = 5\n               ^ invalid_value: one of agent, workspace\n",
    "an unknown key of the memory": HEAD + "[memory]\nenable = true\n^^^^^^ unknown_key: Did you mean 'enabled'?\n",
    "a scope that there is not": HEAD
    + "[memory]\nscope = 'agents'\n        ^^^^^^^^ invalid_value: Did you mean 'agent'?\n",
    "a workspace without a name": HEAD + "[memory]\nworkspace = ''\n            ^^ invalid_value: Leave the key out\n",
    "limits of recall that are none": HEAD
    + "[memory]\nrecall_limit = 0\n               ^ invalid_value: equal to 1\n"
    + "recall_tokens = 15\n                ^^ invalid_value: equal to 16\n"
    + "max_entries = 0\n              ^ invalid_value: equal to 1\n",
    "too much to recall": HEAD + "[memory]\nrecall_limit = 101\n               ^^^ invalid_value: equal to 100\n",
    "sizes and times of memory of no kind": HEAD
    + "[memory]\nmax_bytes = '10 apples'\n            ^^^^^^^^^^^ invalid_value: is not a size\n"
    + "retention = 'ever'\n            ^^^^^^ invalid_value: is not a duration\n",
    "a retention of nothing": HEAD + "[memory]\nretention = '0d'\n            ^^^^ invalid_value: greater than 0\n",
    "a retention of more than a century": HEAD
    + "[memory]\nretention = '36501d'\n            ^^^^^^^^ invalid_value: equal to 3153600000\n",
    "switches that are text": HEAD
    + "[memory]\nauto_recall = 'no'\n              ^^^^ wrong_type: has to be true or false\n"
    + "auto_store = 1\n             ^ wrong_type: has to be true or false\n",
    "a memory that is true": HEAD + "memory = true\n         ^^^^ wrong_type: 'memory' has to be a table\n",
    "a duration of no kind": HEAD
    + "[resources]\nmax_execution_time = 'soon'\n                     ^^^^^^ invalid_value: 'soon' is not a duration\n",
    "a duration of nothing": HEAD
    + "[resources]\nmax_execution_time = '0s'\n                     ^^^^ invalid_value: greater than 0\n",
    "a duration too long": HEAD
    + "[resources]\nmax_execution_time = '25h'\n                     ^^^^^ invalid_value: equal to 86400\n",
    "a size of no kind": HEAD
    + "[resources]\nmemory = '1XB'\n^^^^^^ no_effect_yet\n         ^^^^^ invalid_value: '1XB' is not a size\n",
    "an unknown provider": HEAD + "llm_provider = 'opnai'\n               ^^^^^^^ unknown_provider: mean 'openai'?\n",
    "an unknown provider like no other": HEAD
    + "llm_provider = 'zzz'\n               ^^^^^ unknown_provider: configured are: local, openai\n",
    "a value after wide and combining characters": HEAD
    + "llm = { model = '日本e\u0301', seed = 'x' }\n                               ^^^ wrong_type: a whole number\n",
    "a key in quotes with an escape": HEAD
    + "[llm]\n\"temper\\u0061ture\" = 9\n                     ^ invalid_value: 'llm.temperature'\n",
    "a value after escapes of TOML 1.1": HEAD + 'author = "\\e[31m \\x41"\n[llm]\nseed = ""\n       ^^ wrong_type\n',
    "several problems at once": "nme = \"helper\"\n^ missing_key: 'name'\n^^^ unknown_key: mean 'name'?\n"
    + REST
    + "version = 2\n          ^ wrong_type: '2'\n".replace("'2'", '"2"')
    + "llm_provider = 'lokal'\n               ^^^^^^^ unknown_provider: 'local'\n"
    + "[llm]\ntemperature = 'hot'\n              ^^^^^ wrong_type: a number\n"
    + "[conversation]\nmax_turns = 0\n            ^ invalid_value: greater than or equal to 1\n"
    + "strategy = 'persists'\n           ^^^^^^^^^^ invalid_value: 'persist'\n",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("marked", BROKEN.values(), ids=BROKEN.keys())
def test_every_problem_of_a_file_is_shown_at_its_place(marked, newline):
    text, marks = read_marked(marked)
    source = Source(path="a.toml", text=text.replace("\n", newline))
    assert marks
    diagnostics = diagnose(source, providers=PROVIDERS)
    assert_told(diagnostics, marks)


class TestSecrets:
    @pytest.mark.parametrize("key", ["api_key", "api-key", "API_KEY", "openai_key", "password", "access_token"])
    @pytest.mark.parametrize("table", ["", "[llm]\n"])
    def test_a_key_in_the_file_is_an_error_that_does_not_show_it(self, key, table):
        text = f'{HEAD}{table}{key} = "hunter2"\n'
        (problem,) = diagnose(Source(path="a.toml", text=text), providers=PROVIDERS)
        assert (problem.code, problem.line, problem.column) == ("secret_in_file", 4 if table else 3, 1)
        assert "api_key_env" in problem.hint
        assert "hunter2" not in problem.render()

    def test_a_line_that_has_a_key_is_not_shown_for_another_problem_of_it(self):
        text = f'{HEAD}llm = {{ temprature = 1, api_key = "hunter2" }}\n'
        problems = diagnose(Source(path="a.toml", text=text), providers=PROVIDERS)
        assert [problem.code for problem in problems] == ["unknown_key", "secret_in_file"]
        assert "hunter2" not in "".join(problem.render() for problem in problems)

    def test_what_looks_like_a_key_is_not_shown_whatever_it_is_called(self):
        text = f'{HEAD}modle = "sk-proj-0123456789abcdef"\n'
        (problem,) = diagnose(Source(path="a.toml", text=text), providers=PROVIDERS)
        assert (problem.code, problem.source) == ("unknown_key", "")


class TestDefinition:
    def test_two_keys_make_an_agent_with_the_documented_defaults(self):
        loaded = load_definition(Source(path="a.toml", text=HEAD), providers=PROVIDERS)
        assert loaded.definition == AgentDefinition(name="helper", system_prompt="You help.")
        assert loaded.warnings == ()

    def test_every_key_of_the_memory_reaches_the_definition(self):
        text = (
            HEAD
            + """
            [memory]
            enabled = true
            scope = "workspace"
            workspace = "lab"
            auto_recall = false
            auto_store = false
            recall_limit = 3
            recall_tokens = 100
            max_entries = 50
            max_bytes = "10MB"
            retention = "90d"
        """
        )
        loaded = load_definition(Source(path="a.toml", text=text), providers=PROVIDERS)
        assert loaded.definition.memory == MemoryOptions(
            enabled=True,
            scope=MemoryScope.WORKSPACE,
            workspace="lab",
            auto_recall=False,
            auto_store=False,
            recall_limit=3,
            recall_tokens=100,
            max_entries=50,
            max_bytes=10_000_000,
            retention=90 * 86_400.0,
        )
        assert loaded.warnings == ()

    def test_every_key_reaches_the_definition(self):
        text = """
            name = "data-analyst"
            system_prompt = "You analyse."
            version = "1.2.3-rc.1+build.5"
            description = "Analyses"
            capabilities = ["data-analysis", "charts:v2"]
            requires = ["search"]
            tools = ["files.read_*", "*"]
            llm_provider = "openai"
            user_prompt_template = "{{request}} in {{language}}, {{limit}}, {{share}}, {{polite}}"
            tags = ["data"]
            author = "me"
            license = "MIT"
            documentation = "https://example.org"
            [llm]
            model = "gpt"
            temperature = 1
            top_p = 0.5
            max_tokens = 100
            stop = ["END"]
            seed = -1
            [parameters]
            language = "German"
            limit = 3
            share = 0.5
            polite = true
            [conversation]
            max_turns = 10
            context_window = 4096
            strategy = "summarize"
            [memory]
            enabled = true
            scope = "workspace"
            [resources]
            max_execution_time = "1m30s"
            memory = "512MB"
            concurrent_tools = 2
            concurrent_turns = 3
        """
        loaded = load_definition(Source(path="a.toml", text=text), providers=PROVIDERS)
        assert loaded.definition == AgentDefinition(
            name="data-analyst",
            system_prompt="You analyse.",
            version="1.2.3-rc.1+build.5",
            description="Analyses",
            capabilities=("data-analysis", "charts:v2"),
            requires=("search",),
            tools=("files.read_*", "*"),
            llm_providers=("openai",),
            user_prompt_template="{{request}} in {{language}}, {{limit}}, {{share}}, {{polite}}",
            tags=("data",),
            author="me",
            license="MIT",
            documentation="https://example.org",
            llm=LlmOptions(model="gpt", temperature=1.0, top_p=0.5, max_tokens=100, stop=("END",), seed=-1),
            parameters={"language": "German", "limit": "3", "share": "0.5", "polite": "true"},
            conversation=ConversationOptions(max_turns=10, context_window=4096, strategy=ContextStrategy.SUMMARIZE),
            memory=MemoryOptions(enabled=True, scope=MemoryScope.WORKSPACE),
            resources=ResourceLimits(
                max_execution_time=90.0, memory=512_000_000, concurrent_tools=2, concurrent_turns=3
            ),
        )
        assert {warning.code for warning in loaded.warnings} == {"no_effect_yet"}
        assert not any(warning.is_error for warning in loaded.warnings)

    @pytest.mark.parametrize(
        ("toml", "prompt"),
        [
            ('"""\nOne.\n\n    four spaces\n\ttab\n  end  \n"""', "One.\n\n    four spaces\n\ttab\n  end  \n"),
            ('"""No first newline.\n"""', "No first newline.\n"),
            ('"""one \\\n    line"""', "one line"),
            ("'''\nC:\\new {{not a placeholder}}\n'''", "C:\\new {{not a placeholder}}\n"),
            ('"""quotes: "" and \\""" done"""', 'quotes: "" and """ done'),
            ('"""\r\nOne.\r\n"""', "One.\n"),
            ('"日本語 — emoji 🎉 e\u0301"', "日本語 — emoji 🎉 e\u0301"),
        ],
        ids=["indented", "no newline", "continued", "literal", "quotes", "windows", "unicode"],
    )
    def test_a_prompt_keeps_its_formatting_to_the_character(self, toml, prompt):
        source = Source(path="a.toml", text=f'name = "helper"\nsystem_prompt = {toml}\n')
        assert load_definition(source, providers=PROVIDERS).definition.system_prompt == prompt

    def test_the_error_has_every_problem_and_names_the_first(self):
        text = 'name = "X"\nsystem_prompt = ""\ntags = 1\n'
        with pytest.raises(ConfigurationError) as failure:
            load_definition(Source(path=str(Path("agents", "x.toml")), text=text), providers=PROVIDERS)
        assert failure.value.code is Code.CONFIGURATION_INVALID
        assert [one.line for one in failure.value.diagnostics] == [1, 2, 3]
        assert [one.key for one in failure.value.diagnostics] == ["name", "system_prompt", "tags"]
        assert f"{Path('agents', 'x.toml')}:1:8: 'X' is not a name" in failure.value.message
        assert "(and 2 more)" in failure.value.message

    def test_warnings_stand_beside_errors_in_the_order_of_the_text(self):
        text = HEAD + "user_prompt_template = 'Hello.'\nversion = 1\n[resources]\nmemory = '1GB'\n"
        problems = diagnose(Source(path="a.toml", text=text), providers=PROVIDERS)
        assert [(one.line, one.is_error) for one in problems] == [(3, False), (4, True), (6, False)]

    def test_no_more_problems_are_told_than_anybody_reads(self):
        text = HEAD + "".join(f"k{number} = 1\n" for number in range(1000))
        assert len(diagnose(Source(path="a.toml", text=text), providers=PROVIDERS)) == 100
