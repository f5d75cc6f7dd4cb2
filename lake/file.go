package lake

import (
	"path"
	"strings"
)

// DataFile describes one Parquet file of a table: what [Table.Append] puts into a manifest. It is plain data that can live in a
// checkpoint between the promotion that wrote the file and the commit that makes it visible.
type DataFile struct {
	// URI is the file's full address, written once and never rewritten.
	URI string `json:"uri"`
	// Rows is the number of rows, Bytes the length of the file.
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
	// The figures of the leaf columns, by Iceberg field id. ColumnSizes are compressed bytes; ValueCounts include nulls.
	ColumnSizes map[int]int64 `json:"columnSizes,omitempty"`
	ValueCounts map[int]int64 `json:"valueCounts,omitempty"`
	NullCounts  map[int]int64 `json:"nullCounts,omitempty"`
	// Lower and Upper bound the values of a column in Iceberg's single-value binary form: long and timestamp 8 bytes little endian,
	// date 4 bytes, double 8 bytes, boolean 1 byte, text as UTF-8 (lower truncated down, upper truncated up). Columns without a bound are absent.
	Lower map[int][]byte `json:"lower,omitempty"`
	Upper map[int][]byte `json:"upper,omitempty"`
	// SplitOffsets are the starts of the row groups, ascending.
	SplitOffsets []int64 `json:"splitOffsets,omitempty"`
}

// Name is the file's last path segment, for example part-00000-1f2e3d4c.zstd.parquet.
func (f DataFile) Name() string { return path.Base(f.URI) }

// Batch is the batch that wrote the file, as the folder it lies in says.
func (f DataFile) Batch() string {
	dir := path.Dir(f.URI)
	if !strings.HasSuffix(path.Dir(dir), "/data") {
		return ""
	}
	return path.Base(dir)
}
