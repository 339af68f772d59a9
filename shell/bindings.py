"""Where the prompt's keys differ from what prompt_toolkit does."""

from prompt_toolkit import PromptSession
from prompt_toolkit.filters import has_completions
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


def bindings() -> KeyBindings:
    """Ctrl-C clears the line and stays; Escape closes the menu of completions."""
    keys = KeyBindings()

    @keys.add("c-c")
    @keys.add("<sigint>")
    def clear_line(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    @keys.add("escape", filter=has_completions, eager=True)
    def close_menu(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()

    return keys


def history_before_typed_ahead(prompt: PromptSession[str]) -> None:
    """Loads the history before keys that were typed ahead are obeyed, so that Up finds it. Called as `pre_run`."""
    keys = get_typeahead(prompt.app.input)
    if not keys:
        return

    async def obey() -> None:
        prompt.app.key_processor.feed_multiple(keys)
        prompt.app.key_processor.process_keys()

    prompt.default_buffer.load_history_if_not_yet_loaded()
    prompt.app.create_background_task(obey())
