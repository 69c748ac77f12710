"""The mail that tells who sent something that all of it is through; an administrator writes its text."""
