from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from caxton.config.codes import Problem
from caxton.domain.agent import ReloadOutcome, ReloadResult
from caxton.domain.diagnostics import Diagnostic
from caxton.service.register import Register

A, B, C = Path("a.toml"), Path("b.toml"), Path("c.toml")
APPLIED = ReloadResult(at=1.0, outcome=ReloadOutcome.APPLIED)


def rejected(code: str = "toml_syntax") -> ReloadResult:
    problem = Diagnostic(code=code, message="on purpose", file="x")
    return ReloadResult(at=2.0, outcome=ReloadOutcome.REJECTED, diagnostics=(problem,))


def test_a_file_defines_one_agent_and_an_agent_is_defined_by_one_file():
    register = Register()
    assert register.accept(A, "one", APPLIED) is None
    assert register.accept(A, "one", APPLIED) is None
    assert register.accept(B, "one", APPLIED) is None
    assert (register.name_in(A), register.name_in(B), register.file_of("one")) == (None, "one", B)
    assert register.accept(B, "two", APPLIED) == "one"
    assert (register.file_of("one"), register.file_of("two")) == (None, B)


def test_what_is_wrong_with_a_file_is_told_of_its_agent_or_of_itself():
    register = Register()
    register.accept(A, "one", APPLIED)
    register.reject(A, rejected())
    register.reject(B, rejected())
    assert register.result("one") == rejected()
    assert register.name_in(A) == "one"
    assert [(one.file, one.at) for one in register.rejected()] == [("b.toml", 2.0)]
    register.accept(B, "two", APPLIED)
    assert register.rejected() == []


def test_files_held_back_by_another_of_the_name_are_found_wherever_that_is_told():
    register = Register()
    register.accept(A, "one", APPLIED)
    register.reject(A, rejected(Problem.DUPLICATE_NAME))
    register.reject(B, rejected(Problem.DUPLICATE_NAME))
    register.reject(C, rejected())
    assert sorted(register.duplicates()) == [A, B]


def test_a_file_may_go_before_its_agent_has():
    register = Register()
    register.accept(A, "one", APPLIED)
    assert register.forget_file(A) == "one"
    assert register.forget_file(A) is None
    assert register.file_of("one") is None
    assert register.result("one") == APPLIED
    register.forget_agent("one")
    assert register.result("one") is None
    register.reject(A, rejected())
    assert register.forget_file(A) is None
    assert register.rejected() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["accept", "reject", "forget"]), st.sampled_from([A, B, C]), st.sampled_from(["one", "two"])
        )
    )
)
def test_whatever_happens_no_two_files_define_one_agent_and_none_is_wrong_and_defines(steps):
    register = Register()
    for step, path, name in steps:
        if step == "accept":
            register.accept(path, name, APPLIED)
            assert register.file_of(name) == path
        elif step == "reject":
            before = register.name_in(path)
            register.reject(path, rejected())
            assert register.name_in(path) == before
        else:
            register.forget_file(path)
        defined = [name for path in (A, B, C) if (name := register.name_in(path))]
        assert len(set(defined)) == len(defined)
        assert all(register.name_in(Path(one.file)) is None for one in register.rejected())
        assert all(register.result(name) for name in defined)
