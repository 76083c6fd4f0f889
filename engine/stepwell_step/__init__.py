"""What runs beside and inside a step: standard library only, Python 3.8 and newer, no import of `stepwell`.

    launcher -> shim -> step          supervision; speaks through the files of `attempt`
    bootstrap -> run, metrics         what a Python step sees of Stepwell

Nothing is imported here: a step pays for what it uses.
"""
