-- Names the sources that people have edited since they were last judged: a call and nothing else, sent every few seconds.
SELECT {schema}.edited(%(sources)s)
