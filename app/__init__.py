"""The workload: a plain synchronous Flask application, and every way of the article to serve it.

It knows nothing of netshare, as netshare knows nothing of it. `app.web` is the application; `app.patched` makes it
asynchronous without a change to it; `app.serve` starts a server; `app.slow_api` is what it waits for.
"""
