"""Tests of the compiled core, each against an oracle that is slow and obvious."""
