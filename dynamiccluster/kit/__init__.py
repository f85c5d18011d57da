"""One of each tool: clock, runner, thread bridge, paced loop, loading of classes, host names, logs, secrets."""
