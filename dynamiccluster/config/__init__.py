"""Configuration: YAML and secrets to the policy, with every problem named by file, line and key."""
