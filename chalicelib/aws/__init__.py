"""One small module per AWS service. botocore's classes and errors never leave this package."""
