"""The files of a batch job as rows of thumbnails, before and after."""
