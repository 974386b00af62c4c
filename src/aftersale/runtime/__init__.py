"""The shell: takes work, calls the stages, commits."""
