"""Local paths, and URLs of any store that fsspec opens (s3://, gs://, hf://, https://, memory://).

What is remote is copied to this machine before it is read and copied out after it was written, so that everything
else sees local files.
"""
