//! A plan as a picture or a table for a paper: text in, text out.
