// Package ingest promotes staged records to rows: it runs a program over the parts of a stage, writes the good rows into data files that nobody sees
// before a commit, and the others with their reasons into the row-error files of the batch. Flow runs and file uploads share it.
package ingest
