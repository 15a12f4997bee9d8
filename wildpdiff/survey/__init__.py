"""Surveys: what people's camera traps took, whichever program wrote it down; read, looked through and written."""
