"""The figures of a run; each function takes plain data and returns a `matplotlib.figure.Figure` of its own.

All are drawn in the colours of a theme, ``width`` inches wide; one narrower than `style.WIDTH` is for narrow screens.
No pyplot and no window: `canvas.png` turns a figure into the bytes of a file.
"""
