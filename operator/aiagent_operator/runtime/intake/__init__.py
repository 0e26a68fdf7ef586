"""Where the volumes of agents that leave come in, to be streamed on into the archive store.

Who sends has no credentials of the store; and the operator never has more of a volume in memory than a piece.
"""
