"""Replaying recorded blocks with sampled proofs: what policies would have earned."""
