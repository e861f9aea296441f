"""`caxton version`."""

import platform
from importlib.metadata import version


def test_the_version_is_that_of_the_package_and_of_python(apart):
    assert apart.out("version") == f"caxton {version('caxton')} (Python {platform.python_version()})\n"


def test_the_version_is_told_to_programs(apart):
    assert apart.json("version") == {"caxton": version("caxton"), "python": platform.python_version()}
