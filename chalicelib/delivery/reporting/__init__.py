"""Reports by mail: one mail to a few people, with tables of all learners and views as files."""
