"""MLflow: what is written where (`layout`), by whom (`writer`), and how it is read back (`reader`).

MLflow is imported inside these files and only when something is tracked, since that takes more than a second.
"""
