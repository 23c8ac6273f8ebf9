-- Makes edited mirrors again what the last saved run left of them, in a run's transaction; false where one cannot be.
SELECT bool_and({schema}.put_back(%(source)s, mirror)) FROM unnest(%(mirrors)s) AS mirror
