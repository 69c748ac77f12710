"""The product in the cloud: CloudFormation templates, policies, and `deploy`, which puts it all there."""
