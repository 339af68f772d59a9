"""Variables and flags with anything in them: settings, or one line that names the variable and no secret."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _yadtq.errors import SettingError
from _yadtq.settings import SETTINGS, Settings
from tests.support.hostile import bounded, result_of, shown_harmlessly, texts

LONGEST = 500  # characters of an error
SECRETS = [setting for setting in SETTINGS if setting.secret]
variables = [variable for setting in SETTINGS for variable in setting.variables]
files = [f"{setting.variables[0]}_FILE" for setting in SECRETS]
contents = texts | st.sampled_from(
    ("0", "-1", "1e400", "nan", "9" * 5_000, "yes", "a:1", "\u0661", "a\n:1", "/", "/dev/null", "\x00")
)


@bounded
@given(st.dictionaries(st.sampled_from([*variables, *files]), contents, min_size=1, max_size=4))
@example({"REDIS_HOST": "a\nb"})
@example({"KAFKA_BROKER": "a\x1b[2J:9092"})
def test_whatever_stands_in_a_variable_is_used_or_refused_in_a_line(environment: dict[str, str]) -> None:
    made = result_of(lambda: Settings.load(environment), SettingError)
    if isinstance(made, Settings):
        assert Settings.load(made.environment()) == made
        assert shown_harmlessly(f"{made.redis_host}:{made.redis_port} {made.kafka_broker} {made.namespace}")
    else:
        assert shown_harmlessly(str(made))
        assert len(str(made)) <= LONGEST
        assert any(str(made).startswith(f"{variable}:") for variable in environment)


@bounded
@given(st.sampled_from([setting.name for setting in SETTINGS]), contents)
def test_whatever_is_given_is_used_or_refused_in_a_line(name: str, value: str) -> None:
    made = result_of(lambda: Settings.load({}, **{name: value}), SettingError)
    if isinstance(made, SettingError):
        assert shown_harmlessly(str(made))
        assert len(str(made)) <= LONGEST


secrets = st.text(string.ascii_letters + string.digits + "+/=-_", min_size=9, max_size=60).map("Zq9".__add__)


@bounded
@given(secrets, st.sampled_from([setting.variables[0] for setting in SECRETS]))
def test_a_secret_is_in_no_error_and_no_text_of_settings(secret: str, variable: str) -> None:
    """Also where a person puts it by mistake: in the variable that names its file."""
    assert secret not in repr(Settings.load({variable: secret}))
    with pytest.raises(SettingError) as caught:
        Settings.load({f"{variable}_FILE": secret})
    assert secret not in str(caught.value)
