-- Text is quoted and NULL is bare: FORMAT csv tells the two apart, and an unquoted \. line would end the COPY.
COPY {staging} ({columns}) FROM STDIN (FORMAT csv)
