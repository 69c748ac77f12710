"""Reading the files that OnTask exports, and turning them into documents of our own format."""
