"""Measurements against the real limit or a peer, in the same run: ratios are printed, and none decides a test."""
