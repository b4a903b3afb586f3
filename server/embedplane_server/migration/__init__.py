"""From one vector space to another: judge a switch (`comparing.py`), then carry it out (`reembedding.py`).

Both are clients of served models and know them by their HTTP interface only (`endpoint.py`).
"""
