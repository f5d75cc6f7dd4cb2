package weir

import (
	"encoding/json"
	"time"
)

// Ref points at another resource with an optional version.
type Ref struct {
	ID      string `json:"id"`
	Version Text   `json:"version,omitempty"`
}

// Connection is the lens on a base connection (flow-service §2.3).
type Connection struct {
	Name           string `json:"name"`
	ConnectionSpec Ref    `json:"connectionSpec"`
	Auth           *Auth  `json:"auth"`
	ProviderID     string `json:"providerId"`
}

// Auth is auth of a base connection. Params of a stored document holds only what is not secret.
type Auth struct {
	SpecName string          `json:"specName"`
	Params   json.RawMessage `json:"params"`
}

// SourceConnection is the lens on a source connection (§2.4).
type SourceConnection struct {
	Name             string          `json:"name"`
	BaseConnectionID string          `json:"baseConnectionId"`
	ConnectionSpec   Ref             `json:"connectionSpec"`
	Data             json.RawMessage `json:"data"`
	Params           json.RawMessage `json:"params"`
}

// TargetConnection is the lens on a target connection (§2.5).
type TargetConnection struct {
	Name           string `json:"name"`
	ConnectionSpec Ref    `json:"connectionSpec"`
	Data           struct {
		Format string `json:"format"`
		Schema Ref    `json:"schema"`
	} `json:"data"`
	Params struct {
		DataSetID  string `json:"dataSetId"`
		DataSetID2 string `json:"datasetId"`
	} `json:"params"`
}

// DatasetID is params.dataSetId in either spelling.
func (t *TargetConnection) DatasetID() string {
	if t.Params.DataSetID != "" {
		return t.Params.DataSetID
	}
	return t.Params.DataSetID2
}

// Flow is the lens on a flow (§2.6).
type Flow struct {
	Name                string           `json:"name"`
	FlowSpec            Ref              `json:"flowSpec"`
	SourceConnectionIDs []string         `json:"sourceConnectionIds"`
	TargetConnectionIDs []string         `json:"targetConnectionIds"`
	ScheduleParams      *Schedule        `json:"scheduleParams"`
	Transformations     []Transformation `json:"transformations"`
	Options             Options          `json:"options"`
}

// Options are flow options (§8.4). PartialIngestionPercent > 0 implies diagnostics.
type Options struct {
	ErrorDiagnosticsEnabled Bool     `json:"errorDiagnosticsEnabled"`
	PartialIngestionPercent *float64 `json:"partialIngestionPercent"`
}

// Diagnostics reports whether bad rows are kept and linked.
func (o *Options) Diagnostics() bool { return o.ErrorDiagnosticsEnabled.Value || o.Percent() > 0 }

// Percent is the tolerated share of failed rows, 0…100; 0 means that any bad row fails the run.
func (o *Options) Percent() float64 {
	if o.PartialIngestionPercent == nil {
		return 0
	}
	return *o.PartialIngestionPercent
}

// Transformation is one element of transformations (§8.3).
type Transformation struct {
	Name   string          `json:"name"`
	Params json.RawMessage `json:"params"`
}

// MappingRef is params of the Mapping transformation.
type MappingRef struct {
	MappingID      string `json:"mappingId"`
	MappingVersion Int    `json:"mappingVersion"`
}

// Schedule is scheduleParams (§8.1), read leniently.
type Schedule struct {
	StartTime Int    `json:"startTime"` // epoch seconds; values above 1e11 are milliseconds
	EndTime   Int    `json:"endTime"`
	Frequency string `json:"frequency"`
	Interval  Int    `json:"interval"`
	Backfill  Bool   `json:"backfill"` // absent: true
}

// EpochTime reads an API time: seconds, or milliseconds above 1e11 (flow-service §8.1, §8.5).
func EpochTime(n int64) time.Time {
	if n > 100_000_000_000 {
		return time.UnixMilli(n).UTC()
	}
	return time.Unix(n, 0).UTC()
}

// Start is the start time in UTC.
func (s *Schedule) Start() time.Time { return EpochTime(s.StartTime.Value) }
