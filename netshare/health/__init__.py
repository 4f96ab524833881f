"""Finding out whether an endpoint is well (it takes connections, it answers HTTP), and passing on what was found."""
