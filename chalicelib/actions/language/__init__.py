"""The language of messages: `{{ name }}` and `{% if condition %}`, from what people write to what learners read."""

from chalicelib.actions.language.compile import CompiledText, compile_template
from chalicelib.actions.language.names import Names, of_message
from chalicelib.actions.language.syntax import Problem, RenderError, TemplateError
from chalicelib.actions.language.translate import ids_to_names, names_to_ids, outdated, references, renumber

__all__ = [
    "CompiledText", "Names", "Problem", "RenderError", "TemplateError", "compile_template", "ids_to_names",
    "names_to_ids", "of_message", "outdated", "references", "renumber",
]  # fmt: skip
