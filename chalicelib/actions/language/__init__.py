"""The language of texts: `{{ name }}`, `{% if condition %}`, `{% table "name" %}` and `{% rubric %}`, from what people
write to what others read.

Whoever writes mails asks `language.compile`, which loads Jinja2; most functions never do.
"""

from chalicelib.actions.language.names import Names, of_message
from chalicelib.actions.language.syntax import Problem, RenderError, TemplateError
from chalicelib.actions.language.translate import (
    ids_to_names,
    names_to_ids,
    outdated,
    references,
    renumber,
    tables,
    values,
)  # fmt: skip

__all__ = [
    "Names", "Problem", "RenderError", "TemplateError", "ids_to_names", "names_to_ids", "of_message", "outdated",
    "references", "renumber", "tables", "values",
]  # fmt: skip
