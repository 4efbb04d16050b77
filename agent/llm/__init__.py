"""The language model at work: its bounded tool loop, its tools, and checks of its words."""
