"""Many runs over settings and seeds, kept as one file each, and what they say together.

``python -m sparcl_ref.sweep GRID`` trains what is missing; tables and figures are made of the files alone.
"""
