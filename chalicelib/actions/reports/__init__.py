"""Reports by mail: tables of learners in a text, and views as files beside it."""
