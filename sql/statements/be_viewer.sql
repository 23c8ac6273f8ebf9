-- Says that whoever makes the viewer role may act as it, which before PostgreSQL 16 is not said by that alone.
GRANT {role} TO CURRENT_USER
