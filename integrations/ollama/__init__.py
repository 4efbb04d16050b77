"""Ollama: the language model and its embeddings. Importing anything here does not import LangChain."""
