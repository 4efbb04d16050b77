"""The language model behind Ollama, against a stand-in that speaks its protocol over real HTTP."""
