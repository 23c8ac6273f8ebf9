-- Lets the viewer role, where there is one, see this deployment's books.
SELECT {schema}.let_view(rolname) FROM pg_roles WHERE rolname = %(viewer)s
