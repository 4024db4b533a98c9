"""The figures of a run; each function takes plain data and returns a `matplotlib.figure.Figure` of its own.

No pyplot and no window: `canvas.png` turns a figure into the bytes of a file.
"""
