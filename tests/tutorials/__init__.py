"""The tutorials run, say only what they assert, and define what they name."""
