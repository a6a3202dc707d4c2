"""Makes model bundles from a user's own labelled images: check the data, compare models under one protocol, fit one and write it.

`table` reads, `checks` looks for leaks, `features` and `networks` are what a model sees, `protocol` decides who is learned from and who is
asked, `figures` and `calls` measure, `bundle` and `page` write. Nothing here draws, and nothing but `fitting` is imported from beside it.
"""
