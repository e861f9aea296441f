"""Diagnostics as a person reads them."""

from caxton.domain.diagnostics import Diagnostic, Severity


def test_a_diagnostic_shows_place_line_caret_and_hint():
    diagnostic = Diagnostic(
        code="unknown_key",
        message="'nmae' is not a key of an agent file",
        file="a.toml",
        line=12,
        column=1,
        length=4,
        source='nmae = "x"',
        hint="Did you mean 'name'?",
    )
    assert diagnostic.render() == (
        "a.toml:12:1: error[unknown_key]: 'nmae' is not a key of an agent file\n"
        ' 12 | nmae = "x"\n'
        "    | ^^^^\n"
        "   hint: Did you mean 'name'?"
    )


def test_the_caret_keeps_the_tabs_before_it():
    diagnostic = Diagnostic(code="c", message="m", file="f", line=1, column=3, source="\t\tx = 1")
    assert diagnostic.render().splitlines()[2] == "   | \t\t^"


def test_a_problem_of_the_whole_file_has_no_line():
    diagnostic = Diagnostic(code="encoding", message="not UTF-8", file="a.toml", severity=Severity.WARNING)
    assert diagnostic.render() == "a.toml: warning[encoding]: not UTF-8"
    assert not diagnostic.is_error
