package weir

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Batch statuses (schema-catalog-data §2.8). Success and failed are the finals that Weir writes.
const (
	BatchLoading    = "loading"
	BatchLoaded     = "loaded"
	BatchQueued     = "queued"
	BatchProcessing = "processing"
	BatchStaged     = "staged"
	BatchSuccess    = "success"
	BatchFailed     = "failed"
	BatchAborted    = "aborted"
	BatchAbandoned  = "abandoned"
	BatchInactive   = "inactive"
	BatchDeleted    = "deleted"
)

// Batch is a batch document's body: its client-visible part below the header (schema-catalog-data §2.7). The document's kind is
// [KindBatch], its id [NewBatchID], its State the status.
type Batch struct {
	ExternalID string `json:"externalId,omitempty"`
	Status     string `json:"status"`
	// Started and Completed are epoch milliseconds, absent until processing starts or ends.
	Started   int64 `json:"started,omitempty"`
	Completed int64 `json:"completed,omitempty"`
	// RecordCount is the rows that became readable, FailedRecordCount the rejected ones, Size the bytes of the data files.
	RecordCount       int64 `json:"recordCount"`
	FailedRecordCount int64 `json:"failedRecordCount"`
	Size              int64 `json:"size"`
	// Errors is never null: clients iterate over it.
	Errors []BatchError `json:"errors"`
	// RelatedObjects starts with the dataset.
	RelatedObjects []RelatedObject `json:"relatedObjects"`
	Metrics        BatchMetrics    `json:"metrics"`
	// Tags are arrays of text, but acp_enableErrorDiagnostics (boolean) and acp_partialIngestionPercent (number) are scalars (§2.10).
	Tags        map[string]any `json:"tags"`
	InputFormat *InputFormat   `json:"inputFormat,omitempty"`
	Replay      *Replay        `json:"replay,omitempty"`
}

// BatchError is one coded error of a batch with the number of rows it stands for.
type BatchError struct {
	Code        string   `json:"code"`
	Description string   `json:"description"`
	RecordCount int64    `json:"recordCount,omitempty"`
	Rows        []string `json:"rows,omitempty"`
}

// RelatedObject names something a batch touches: dataSet, dataSetFile, connection, batch and others.
type RelatedObject struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Tag  string `json:"tag,omitempty"`
}

// InputFormat says how uploaded files are to be read (§2.7). Format is lower case.
type InputFormat struct {
	Format          string `json:"format"`
	IsMultiLineJSON bool   `json:"isMultiLineJson,omitempty"`
	Delimiter       string `json:"delimiter,omitempty"`
	Quote           string `json:"quote,omitempty"`
	Escape          string `json:"escape,omitempty"`
	NullMarker      string `json:"nullMarker,omitempty"`
	Header          *bool  `json:"header,omitempty"`
	Charset         string `json:"charset,omitempty"`
}

// UnmarshalJSON reads formats leniently: delimiters and the like also come as one-element arrays, booleans as text.
func (f *InputFormat) UnmarshalJSON(raw []byte) error {
	var in struct {
		Format     string   `json:"format"`
		MultiLine  Bool     `json:"isMultiLineJson"`
		Delimiter  TextList `json:"delimiter"`
		Quote      TextList `json:"quote"`
		Escape     TextList `json:"escape"`
		NullMarker TextList `json:"nullMarker"`
		Header     Bool     `json:"header"`
		Charset    string   `json:"charset"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	*f = InputFormat{
		Format: in.Format, IsMultiLineJSON: in.MultiLine.Value, Charset: in.Charset,
		Delimiter: in.Delimiter.First(), Quote: in.Quote.First(), Escape: in.Escape.First(), NullMarker: in.NullMarker.First(),
	}
	if in.Header.Set {
		f.Header = &in.Header.Value
	}
	return nil
}

// TextList is a list of texts that clients also send as one text, number or boolean. Null is empty.
type TextList []string

// UnmarshalJSON accepts an array of scalars or one scalar.
func (l *TextList) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	*l = nil
	if len(raw) > 0 && raw[0] == '[' {
		var many []Text
		if err := json.Unmarshal(raw, &many); err != nil {
			return err
		}
		for _, t := range many {
			*l = append(*l, string(t))
		}
		return nil
	}
	var one Text
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	if string(raw) != "null" {
		*l = TextList{string(one)}
	}
	return nil
}

// First is the first text, "" if there is none.
func (l TextList) First() string {
	if len(l) == 0 {
		return ""
	}
	return l[0]
}

// Replay names the batches this one takes the place of (§4.4).
type Replay struct {
	Predecessors           []string `json:"predecessors,omitempty"`
	PredecessorsByExternal []string `json:"predecessorsByExternalId,omitempty"`
	ListingType            string   `json:"predecessorListingType,omitempty"`
	Reason                 string   `json:"reason,omitempty"`
}

// BatchMetrics are a batch's figures: InputRecordCount = OutputRecordCount + FailedRecordCount (§2.9).
type BatchMetrics struct {
	InputByteSize     int64 `json:"inputByteSize"`
	InputFileCount    int64 `json:"inputFileCount"`
	InputRecordCount  int64 `json:"inputRecordCount"`
	OutputByteSize    int64 `json:"outputByteSize"`
	OutputFileCount   int64 `json:"outputFileCount"`
	OutputRecordCount int64 `json:"outputRecordCount"`
	FailedRecordCount int64 `json:"failedRecordCount"`
	PartitionCount    int64 `json:"partitionCount"`

	// Copies under the names that clients of the field read.
	InputRecordSize  int64 `json:"inputRecordSize"`
	OutputRecordSize int64 `json:"outputRecordSize"`
	RecordsSize      int64 `json:"recordsSize"`
	InvalidRecords   int64 `json:"invalidRecordCount"`
	InvalidStreaming int64 `json:"invalidRecordsStreamingValidation"`
	InvalidMapper    int64 `json:"invalidRecordsMapper"`
	InvalidProfile   int64 `json:"invalidRecordsProfile"`
	InvalidIdentity  int64 `json:"invalidRecordsIdentity"`
	InvalidUnknown   int64 `json:"invalidRecordsUnknown"`
}

// BatchOutcome is what a promotion did with a batch's rows. Failed of them were rejected, Mapper by a mapping.
type BatchOutcome struct {
	In, Out, Failed, Mapper int64
	BytesIn, BytesOut       int64
	FilesIn, FilesOut       int64
	Errors                  []RunError
}

// NewBatch is a batch of a dataset in status loading.
func NewBatch(dataset string) *Batch {
	return &Batch{
		Status:         BatchLoading,
		Errors:         []BatchError{},
		RelatedObjects: []RelatedObject{{Type: "dataSet", ID: dataset}},
		Tags:           map[string]any{},
	}
}

// Dataset is the id of the batch's dataset, "" if it names none.
func (b *Batch) Dataset() string {
	for _, o := range b.RelatedObjects {
		if o.Type == "dataSet" {
			return o.ID
		}
	}
	return ""
}

// Flow is the flow that wrote the batch, "" for uploads.
func (b *Batch) Flow() string {
	switch v := b.Tags["flowId"].(type) {
	case []any:
		if len(v) > 0 {
			return fmt.Sprint(v[0])
		}
	case []string:
		if len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

// Tag sets a tag to a list of texts.
func (b *Batch) Tag(name string, values ...string) {
	if b.Tags == nil {
		b.Tags = map[string]any{}
	}
	b.Tags[name] = values
}

// Ingestion sets the tags that tell how bad rows are treated (§2.10); percent 0 tolerates none.
func (b *Batch) Ingestion(diagnostics bool, percent float64) {
	if b.Tags == nil {
		b.Tags = map[string]any{}
	}
	b.Tags["acp_enableErrorDiagnostics"] = diagnostics
	if percent > 0 {
		b.Tags["acp_partialIngestionPercent"] = percent
	}
}

// Diagnostics reports whether rejected rows are kept and listed.
func (b *Batch) Diagnostics() bool {
	on, _ := b.Tags["acp_enableErrorDiagnostics"].(bool)
	return on || b.Percent() > 0
}

// Percent is the tolerated share of rejected rows.
func (b *Batch) Percent() float64 {
	p, _ := b.Tags["acp_partialIngestionPercent"].(float64)
	return p
}

// Finish sets the final status with its figures at the time now (epoch milliseconds). In a failed batch no row is readable: all of them
// count as failed.
func (b *Batch) Finish(status string, o BatchOutcome, now int64) {
	b.Status, b.Completed = status, now
	if b.Started == 0 {
		b.Started = now
	}
	if status != BatchSuccess {
		o.Out, o.Failed, o.BytesOut, o.FilesOut = 0, o.In, 0, 0
	}
	b.RecordCount, b.FailedRecordCount, b.Size = o.Out, o.Failed, o.BytesOut
	b.Metrics = BatchMetrics{
		InputByteSize: o.BytesIn, InputFileCount: o.FilesIn, InputRecordCount: o.In,
		OutputByteSize: o.BytesOut, OutputFileCount: o.FilesOut, OutputRecordCount: o.Out, FailedRecordCount: o.Failed,
		InputRecordSize: o.BytesIn, OutputRecordSize: o.BytesOut, RecordsSize: o.BytesIn,
		InvalidRecords: o.Failed, InvalidMapper: o.Mapper,
	}
	if o.FilesOut > 0 {
		b.Metrics.PartitionCount = 1
	}
	b.Errors = make([]BatchError, len(o.Errors))
	for i, e := range o.Errors {
		b.Errors[i] = BatchError{Code: e.Code, Description: e.Message, RecordCount: e.RecordCount}
	}
}
