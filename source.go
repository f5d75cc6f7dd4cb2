package weir

import (
	"context"
	"encoding/json"
	"time"
)

// Binding is a connection spec with credentials and parameters: all a connector needs to open a source.
type Binding struct {
	Scope Scope
	// ConnectionID is the base connection, SourceConnectionID the source connection; either may be empty (explore, test).
	ConnectionID, SourceConnectionID string
	// SpecID and Spec are the connection spec as stored (flow-service §6).
	SpecID string
	Spec   json.RawMessage
	// AuthSpec is auth.specName as the client sent it, "" for no auth; Auth is the plain auth.params object (secrets included).
	AuthSpec string
	Auth     json.RawMessage
	// Params is sourceConnection.params, or the source params of an explore call.
	Params json.RawMessage
	// Host overrides the host of a built-in spec (--source-host), "" for none.
	Host string
	// Rotate replaces the stored auth params in one critical section over all processes: renew receives the params that are
	// stored now (somebody else may have renewed them already) and returns the new ones, which are durable before Rotate returns.
	// Nil when nothing is stored yet (credentials tested on create): then renewed credentials live in memory only.
	Rotate func(ctx context.Context, renew func(ctx context.Context, current json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error)
}

// ExploreQuery asks a connector what there is (flow-service §5).
type ExploreQuery struct {
	ObjectType      string // root, folder, file, table, rest; lower case
	Object          string
	FileType        string // delimited, json, parquet; lower case, "" absent
	Preview         bool
	ColumnDelimiter string
	Compression     string
	Encoding        string
	Determine       bool
	// Params are the source parameters: sourceParams decoded, and every query parameter that is not one of the above.
	Params json.RawMessage
}

// Preview answers an explore: Items for root and folder (a bare JSON array), else Format, Schema and Data.
type Preview struct {
	Items  []ExploreItem
	Format string          // flat, hierarchical
	Schema json.RawMessage // {"columns":[…]} or a JSON Schema
	Data   []json.RawMessage
}

// ExploreItem is one entry of a listing.
type ExploreItem struct {
	Type           string `json:"type"`
	Name           string `json:"name"`
	Path           string `json:"path"`
	CanPreview     bool   `json:"canPreview"`
	CanFetchSchema bool   `json:"canFetchSchema"`
}

// Window is the time slice of a run (flow-service §8.2). A zero Start means no lower bound (backfill). End is never zero.
type Window struct {
	Start, End time.Time
}

// Checkpoint is where a copy stands: a plain JSON value owned by the connector. Nil is the beginning.
type Checkpoint = json.RawMessage

// Chunk is a piece of copied data on its way to the stage.
//
// Data is whole records as NDJSON (each record is one JSON value without raw line breaks, ended by '\n') and is valid until the next
// chunk is asked for. A page may come in several chunks, so that memory stays bounded for a page of any size; only the chunk with
// PageEnd set carries Next, and a run may resume only there.
type Chunk struct {
	Data    []byte
	Records int
	// Bytes are payload bytes read from the source for this chunk (after transport decompression).
	Bytes int64
	// PageEnd marks the last chunk of a page. Next is then the state from which the following page is fetched; nil means that the source is exhausted.
	PageEnd bool
	Next    Checkpoint
	// Resume may come with the last page (Next is nil): the state from which the next run goes on instead of the beginning, for sources
	// that are a change feed rather than a time window. It is to be kept with the flow's watermark and handed to the next run's Pages.
	Resume Checkpoint
	// Restart says that everything this run has read so far does not count: the source begins anew. Such a chunk has no data and is no
	// PageEnd.
	Restart bool
	// Unchanged says that the source has nothing new because nothing has changed there, which is no reason for suspicion.
	Unchanged bool
	// Warnings are sentences for extensions.warnings of the run (for example: stopped at maximumRequest while a next page was offered).
	Warnings []string
	// URL is the page's address without secrets, for logs and errors.
	URL string
}

// Sweep is how deletes are found in a source that does not tell them: its keys are listed every so often.
type Sweep struct {
	// Every is the time between two listings; 0 lists in each run.
	Every time.Duration
	// AtMost is the share of the keys that may be gone at once; more is taken for a fault of the listing.
	AtMost float64
}

// Shape tells the mapping how records of a source look (flow-service §6.6).
type Shape struct {
	// Wrapper is the member that wraps a record ("" for unwrapped): a source path whose first segment is absent is looked up inside it.
	Wrapper string
	// Whole says that the source gives everything in every run, whatever the window.
	Whole bool `json:",omitempty"`
}
