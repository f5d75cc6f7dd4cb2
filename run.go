package weir

import "encoding/json"

// Run statuses (flow-service §8.6).
const (
	RunScheduled  = "scheduled"
	RunQueued     = "queued"
	RunInProgress = "inProgress"
	RunSuccess    = "success"
	RunFailed     = "failed"
)

// Activity ids and names. Scripts of the field match either (§8.6).
const (
	CopyActivity      = "copyActivity"
	PromotionActivity = "promotionActivity"
)

// Run is a run document's body: its client-visible part below the header (flow-service §8.6).
type Run struct {
	FlowID          string          `json:"flowId"`
	FlowSpec        Ref             `json:"flowSpec"`
	ProviderRefID   string          `json:"providerRefId,omitempty"`
	ParentFlowRunID string          `json:"parentFlowRunId,omitempty"`
	Predecessors    []Predecessor   `json:"predecessors,omitempty"`
	Params          json.RawMessage `json:"params,omitempty"`
	Metrics         Metrics         `json:"metrics"`
	Activities      []Activity      `json:"activities"`
}

// Predecessor names a run this one follows or repeats.
type Predecessor struct {
	FlowID    string `json:"flowId,omitempty"`
	FlowRunID string `json:"flowRunId"`
}

// Metrics are the figures of a run.
type Metrics struct {
	Duration DurationSummary `json:"durationSummary"`
	Size     SizeSummary     `json:"sizeSummary"`
	Records  RecordSummary   `json:"recordSummary"`
	Files    FileSummary     `json:"fileSummary"`
	Status   StatusSummary   `json:"statusSummary"`
}

// DurationSummary has epoch milliseconds; Completed is absent while the run goes on.
type DurationSummary struct {
	Started    int64          `json:"startedAtUTC"`
	Completed  int64          `json:"completedAtUTC,omitempty"`
	Extensions map[string]any `json:"extensions,omitempty"`
}

// SizeSummary is bytes; -1 where unknown after a failure.
type SizeSummary struct {
	Input  int64 `json:"inputBytes"`
	Output int64 `json:"outputBytes"`
}

// RecordSummary counts records: Input = Output + Failed.
type RecordSummary struct {
	Input       int64          `json:"inputRecordCount"`
	Output      int64          `json:"outputRecordCount"`
	Created     int64          `json:"createdRecordCount"`
	Updated     int64          `json:"updatedRecordCount"`
	Skipped     int64          `json:"skippedRecordCount"`
	Failed      int64          `json:"failedRecordCount"`
	Deleted     int64          `json:"deletedRecordCount"`
	Warning     int64          `json:"warningRecordCount"`
	SkippedInfo []any          `json:"skippedInfo"`
	FailedInfo  []any          `json:"failedInfo"`
	Extensions  map[string]any `json:"extensions,omitempty"`
}

// FileSummary counts files.
type FileSummary struct {
	Input        int64          `json:"inputFileCount"`
	Output       int64          `json:"outputFileCount"`
	Skipped      int64          `json:"skippedFileCount"`
	Failed       int64          `json:"failedFileCount"`
	ActivityRefs []string       `json:"activityRefs,omitempty"`
	Extensions   map[string]any `json:"extensions,omitempty"`
}

// StatusSummary is the outcome with its errors.
type StatusSummary struct {
	Status       string         `json:"status"`
	Errors       []RunError     `json:"errors"`
	ActivityRefs []string       `json:"activityRefs,omitempty"`
	Extensions   map[string]any `json:"extensions,omitempty"`
}

// RunError is one coded error of a run or batch. RecordCount is the number of rows it stands for, 0 for none.
type RunError struct {
	Code        string `json:"code"`
	Message     string `json:"message"`
	RecordCount int64  `json:"recordCount,omitempty"`
}

// Activity is one half of a run: the copy or the promotion.
type Activity struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	UpdatedAt  int64           `json:"updatedAtUTC"`
	Duration   DurationSummary `json:"durationSummary"`
	Latency    map[string]any  `json:"latencySummary"`
	Size       SizeSummary     `json:"sizeSummary"`
	Records    any             `json:"recordSummary"`
	Files      FileSummary     `json:"fileSummary"`
	Status     StatusSummary   `json:"statusSummary"`
	SourceInfo []ActivityEnd   `json:"sourceInfo,omitempty"`
	TargetInfo []ActivityEnd   `json:"targetInfo,omitempty"`
}

// ActivityEnd is one end of an activity.
type ActivityEnd struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Reference Reference `json:"reference"`
}

// Reference lists what an end touched: batches, or copy jobs.
type Reference struct {
	Type string   `json:"type"`
	IDs  []string `json:"ids"`
}
