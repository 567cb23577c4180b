"""What every store on an SQL database shares; a dialect says where they differ."""
