"""LTI 1.1: learners come in from an LMS that signs what it says about them."""
