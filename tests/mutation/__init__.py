"""Does the test suite notice a wrong program? Wrong changes, one at a time, on a copy of the tree; see `__main__`.

``catalogue/*.toml`` holds designed mistakes, and in ``equivalent.toml`` the mechanical changes that were proved to
change nothing. ``python -m tests.mutation`` runs on demand; the tests of this folder only keep the lists and the
machinery honest. POSIX only, because each run of the tests is a fork of a process that has imported PyTorch already.
"""
