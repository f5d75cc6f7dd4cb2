package weir_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func TestBatchKeepsItsFiguresEven(t *testing.T) {
	for _, c := range []struct {
		status string
		want   weir.BatchMetrics
	}{
		{weir.BatchSuccess, weir.BatchMetrics{
			InputByteSize: 900, InputFileCount: 2, InputRecordCount: 10, OutputByteSize: 500, OutputFileCount: 1, OutputRecordCount: 9, FailedRecordCount: 1,
			PartitionCount: 1, InputRecordSize: 900, OutputRecordSize: 500, RecordsSize: 900, InvalidRecords: 1, InvalidMapper: 1,
		}},
		{weir.BatchFailed, weir.BatchMetrics{
			InputByteSize: 900, InputFileCount: 2, InputRecordCount: 10, FailedRecordCount: 10, InputRecordSize: 900, RecordsSize: 900, InvalidRecords: 10, InvalidMapper: 1,
		}},
	} {
		b := weir.NewBatch("ds")
		b.Finish(c.status, weir.BatchOutcome{
			In: 10, Out: 9, Failed: 1, Mapper: 1, BytesIn: 900, BytesOut: 500, FilesIn: 2, FilesOut: 1,
			Errors: []weir.RunError{{Code: "INGEST-1211-400", Message: "m", RecordCount: 1}},
		}, 77)
		if d := cmp.Diff(c.want, b.Metrics); d != "" {
			t.Errorf("%s: %s", c.status, d)
		}
		if b.Started != 77 || b.Completed != 77 || b.Dataset() != "ds" || len(b.Errors) != 1 || b.Errors[0].Description != "m" {
			t.Errorf("%+v", b)
		}
	}
}

func TestBatchSurvivesItsDocument(t *testing.T) {
	b := weir.NewBatch("ds")
	b.Tag("flowId", "f1")
	b.Ingestion(false, 5)
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var back weir.Batch
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if back.Flow() != "f1" || b.Flow() != "f1" || back.Percent() != 5 || !back.Diagnostics() || back.Errors == nil {
		t.Errorf("%s came back as %+v", raw, back)
	}
}

func TestInputFormatIsReadLeniently(t *testing.T) {
	var f weir.InputFormat
	if err := json.Unmarshal([]byte(`{"format":"CSV","isMultiLineJson":"True","delimiter":[";"],"quote":"'","header":"false"}`), &f); err != nil {
		t.Fatal(err)
	}
	if f.Format != "CSV" || !f.IsMultiLineJSON || f.Delimiter != ";" || f.Quote != "'" || f.Header == nil || *f.Header {
		t.Errorf("%+v", f)
	}
	if err := json.Unmarshal([]byte(`{"delimiter":{}}`), &f); err == nil {
		t.Error("took an object for a delimiter")
	}
}
