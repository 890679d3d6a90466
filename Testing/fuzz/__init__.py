"""A campaign against what files may hold and when a process may die: `make fuzz`. Hours, seeded, resumable; no test."""
