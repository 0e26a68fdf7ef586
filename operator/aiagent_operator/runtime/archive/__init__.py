"""The archive store: journals and archives in a directory, S3-compatible, Google Cloud or Azure storage.

Nothing in it is ever overwritten. What each kind of store guarantees, and by which mechanism: docs/archive-store.md.
"""
