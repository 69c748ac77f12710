"""Actions on pages for learners: their link, when it is open, whose row a visitor sees."""
