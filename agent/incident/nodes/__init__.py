"""The steps of the incident graph, one file each."""
