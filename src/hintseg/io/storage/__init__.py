"""Local paths, and URLs of the stores that `addresses.SCHEMES` names (s3://, gs://, hf://, https://).

What is remote is copied to this machine before it is read and copied out after it was written, so that everything
else sees local files.
"""
