"""Updates on their way in: committed, authorised, routed, answered."""
