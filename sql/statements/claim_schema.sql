-- Says whose schema it is, so that two deployments never share one.
COMMENT ON SCHEMA {claimed} IS {comment}
