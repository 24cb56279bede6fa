"""How refclip-mini is made: its data, its training, its benchmark."""
