"""The node's client: reading the network, building transactions, sending them.

What a node says is checked before it is believed, and never trusted with money: footprints and
authorizations are computed here, and a node's answer must agree with them.
"""
