"""Who is on duty, whether anybody sits at the desk, and how one officer hands over to the next."""
