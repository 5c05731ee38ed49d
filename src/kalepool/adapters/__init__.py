"""What touches the world: each adapter fulfils a port and imports neither services nor another adapter."""
