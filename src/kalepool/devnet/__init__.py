"""A local Stellar + KALE network behind the real RPC protocol."""
