"""What can be wrong in a configuration file, by stable names."""

from collections.abc import Mapping
from enum import StrEnum


class Problem(StrEnum):
    """The codes of diagnostics."""

    CAPABILITY_MISSING = "capability_missing"
    DUPLICATE_NAME = "duplicate_name"
    EMPTY_FILE = "empty_file"
    ENCODING = "encoding"
    INVALID_VALUE = "invalid_value"
    MISSING_KEY = "missing_key"
    MODEL_INCAPABLE = "model_incapable"
    NO_EFFECT_YET = "no_effect_yet"
    SECRET_IN_FILE = "secret_in_file"  # noqa: S105 - a code, not a secret
    TOML_SYNTAX = "toml_syntax"
    TOO_LARGE = "too_large"
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_PLACEHOLDER = "unknown_placeholder"
    UNKNOWN_PROVIDER = "unknown_provider"
    UNREADABLE = "unreadable"
    WRONG_TYPE = "wrong_type"


MEANINGS: Mapping[Problem, str] = {
    Problem.CAPABILITY_MISSING: "A warning: the agent requires what no other running agent can do just now.",
    Problem.DUPLICATE_NAME: "Two files define an agent of the same name; the one that was there first holds.",
    Problem.EMPTY_FILE: "The file holds nothing, or nothing but white space.",
    Problem.ENCODING: "The file is not UTF-8 text; the position is that of the first byte that does not fit.",
    Problem.INVALID_VALUE: "The value is of the right type, but not one that the key takes.",
    Problem.MISSING_KEY: "A required key is not there.",
    Problem.MODEL_INCAPABLE: "The agent asks for what its model is known not to do.",
    Problem.NO_EFFECT_YET: "A warning: the key is understood, and this version does not act on it.",
    Problem.SECRET_IN_FILE: "A key stands in the file itself; name an environment variable that holds it instead.",
    Problem.TOML_SYNTAX: "The file is not TOML.",
    Problem.TOO_LARGE: "The file is larger than a configuration file can sensibly be.",
    Problem.UNKNOWN_KEY: "The key is not one of the file's format.",
    Problem.UNKNOWN_PLACEHOLDER: "The prompt template uses a placeholder that nothing fills.",
    Problem.UNKNOWN_PROVIDER: "The agent asks for a provider that is not configured.",
    Problem.UNREADABLE: "The file cannot be read: it is missing, a directory, or not permitted.",
    Problem.WRONG_TYPE: "The value is of another type than the key takes.",
}
