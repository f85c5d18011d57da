"""The rounds that every scheduler must pass, on its real system or on its behaving double; see ``testing/bed``."""
