"""Everything that schedules can do: an operation is known once its module is loaded. A new one adds its line."""

from chalicelib.actions.serving import scheduled as links
from chalicelib.delivery import repeats as sendings
from chalicelib.delivery.archives import scheduled as archives
from chalicelib.workflows import scheduled as learners

MODULES = (archives, learners, links, sendings)
