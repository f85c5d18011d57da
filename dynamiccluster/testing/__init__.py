"""Doubles that behave: late, forgetful, sometimes lying. Shipped, so that sites can test their own adapters."""
