"""The engine: pollers fill views, the loop decides and commits, the actuator acts, the read model shows."""
