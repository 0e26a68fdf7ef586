"""`archive show`, `verify` and `export`: archives as files, without a cluster.

`source` says what files are, `folder` and `tarball` where they come from, `find` which archives are below a folder.
`checking` holds the files against the manifest, `verdict` and `content` print, `writing` makes tar files.
"""
