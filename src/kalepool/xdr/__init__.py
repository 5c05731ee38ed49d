"""XDR of the farm: a leaf, shared by the node's client and the devnet."""
