"""`make deploy`, `make destroy`: the product in an AWS account. `python -m infrastructure.deploy --help`."""
