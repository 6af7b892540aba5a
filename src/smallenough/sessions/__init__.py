"""What a person starts: each session is prepared (everything is checked before a model is asked), run and tracked."""
