"""The local AWS: MiniStack, its gaps repaired where they matter here, and a stand-in for Bedrock."""
