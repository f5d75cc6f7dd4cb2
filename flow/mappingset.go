package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"weir"
	"weir/ingest"
	"weir/mapping"
	"weir/store"
)

// KindMappingVersion holds the earlier versions of mapping sets, so that flows can pin one: the document's id is [MappingVersionID],
// its body the set as it was.
const KindMappingVersion = "mappingSetVersions"

// MappingVersionID is the document id of one version of a mapping set.
func MappingVersionID(set string, version int64) string {
	return set + "/" + strconv.FormatInt(version, 10)
}

// MappingSet reads one version of a mapping set: the latest from its own document, earlier ones, and those of a deleted set, from their versions.
func MappingSet(tx *store.Tx, scope weir.Scope, id string, version int64) (json.RawMessage, error) {
	d, err := tx.Get(weir.KindMappingSet, scope, id)
	if errors.Is(err, weir.ErrNotFound) {
		if d, err = tx.Get(KindMappingVersion, scope, MappingVersionID(id, version)); err != nil {
			return nil, err
		}
		return d.Body, nil
	}
	if err != nil {
		return nil, err
	}
	var latest struct {
		Version int64 `json:"version"`
	}
	if err := d.Read(&latest); err != nil {
		return nil, fmt.Errorf("read mapping set %s: %w", id, err)
	}
	if latest.Version == version {
		return d.Body, nil
	}
	if d, err = tx.Get(KindMappingVersion, scope, MappingVersionID(id, version)); err != nil {
		return nil, err
	}
	return d.Body, nil
}

// compiled makes a mapping program a program of the promotion.
type compiled struct{ p *mapping.Program }

// NewLane returns a worker of its own.
func (c compiled) NewLane(run string, now time.Time) ingest.Lane { return c.p.NewLane(run, now) }
