// Package record is data in flight: the JSON scan, values, paths, schemas and column batches that the mapping fills
// and the lake writes. It knows nothing of HTTP, SQL or files.
package record
