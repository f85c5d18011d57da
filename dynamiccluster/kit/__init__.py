"""One of each tool: clock, runner, retry, rate limit, thread bridge, logs, secrets."""
