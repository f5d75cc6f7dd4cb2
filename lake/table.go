package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"weir"
	"weir/record"
)

const (
	// keepMetadata is how many earlier metadata files a table keeps.
	keepMetadata = 10
	// keepSnapshots is how many snapshots remain when a table that reached maxSnapshots is trimmed.
	keepSnapshots = 100
	maxSnapshots  = 120
)

// properties are set on every table. They tell other writers the rules by which this one keeps tables small.
var properties = iceberg.Properties{
	table.ManifestMergeEnabledKey:             "true",
	table.MetadataDeleteAfterCommitEnabledKey: "true",
	table.MetadataPreviousVersionsMaxKey:      strconv.Itoa(keepMetadata),
	table.CommitNumRetriesKey:                 "20",
	table.WriteFormatDefaultKey:               "parquet",
	table.ParquetCompressionKey:               "zstd",
	"owner":                                   "weir",
}

// Table is one version of a table, as its metadata file says. It never changes: to see or extend a newer version, load that one. Do not
// keep it longer than one commit.
type Table struct {
	l    *Lake
	meta table.Metadata
	loc  string // metadata location
	dir  string // folder of the table in the bucket
}

// Create writes the metadata of a new, empty table and returns its location. Nobody sees the table before the caller made that location
// current. Namespace and name must be [ValidName]s.
func (l *Lake) Create(ctx context.Context, namespace, name string, s *record.Schema) (metadataLocation string, err error) {
	if !ValidName(namespace) || !ValidName(name) {
		return "", fmt.Errorf("lake: %q.%q: names are lower case letters, digits and _, %d at most", namespace, name, maxName)
	}
	sc, err := newSchema(s)
	if err != nil {
		return "", err
	}
	dir := fmt.Sprintf("tables/%s/%s-%s", namespace, name, weir.NewHex(4))
	b, err := table.NewMetadataBuilder(2)
	if err != nil {
		return "", err
	}
	order := table.UnsortedSortOrder // a copy: the builder writes to it
	spec := iceberg.NewPartitionSpecID(iceberg.InitialPartitionSpecID)
	steps := []func() error{
		func() error { return b.SetUUID(uuid.New()) },
		func() error { return b.AddSchema(sc) },
		func() error { return b.SetCurrentSchemaID(-1) },
		func() error { return b.AddPartitionSpec(&spec, true) },
		func() error { return b.SetDefaultSpecID(-1) },
		func() error { return b.AddSortOrder(&order) },
		func() error { return b.SetDefaultSortOrderID(-1) },
		func() error { return b.SetLoc(l.bucket.URI(dir)) },
		func() error { return b.SetProperties(properties) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return "", fmt.Errorf("lake: create %s.%s: %w", namespace, name, err)
		}
	}
	meta, err := b.Build()
	if err != nil {
		return "", fmt.Errorf("lake: create %s.%s: %w", namespace, name, err)
	}
	return l.writeMetadata(ctx, dir, 0, meta)
}

// Load reads a table. [weir.ErrNotFound] if the metadata file is gone.
func (l *Lake) Load(ctx context.Context, metadataLocation string) (*Table, error) {
	name, ok := l.bucket.Name(metadataLocation)
	if !ok {
		return nil, fmt.Errorf("lake: %s is not in the bucket: %w", metadataLocation, weir.ErrNotFound)
	}
	raw, err := l.bucket.Read(ctx, name)
	if err != nil {
		return nil, err
	}
	meta, err := table.ParseMetadataBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("lake: %s: %w", metadataLocation, err)
	}
	dir, ok := l.bucket.Name(meta.Location())
	if !ok {
		return nil, fmt.Errorf("lake: %s: its table location %s is not in the bucket", metadataLocation, meta.Location())
	}
	return &Table{l: l, meta: meta, loc: metadataLocation, dir: dir}, nil
}

// Metadata is the JSON of the metadata file at the location, for the table answer of a catalog.
func (l *Lake) Metadata(ctx context.Context, metadataLocation string) (json.RawMessage, error) {
	name, ok := l.bucket.Name(metadataLocation)
	if !ok {
		return nil, fmt.Errorf("lake: %s is not in the bucket: %w", metadataLocation, weir.ErrNotFound)
	}
	return l.bucket.Read(ctx, name)
}

// Drop removes every file of a table, after the caller removed its pointer. It can be repeated.
func (l *Lake) Drop(ctx context.Context, metadataLocation string) error {
	name, ok := l.bucket.Name(metadataLocation)
	if !ok || path.Base(path.Dir(name)) != "metadata" {
		return fmt.Errorf("lake: %s is no table of this bucket", metadataLocation)
	}
	return l.bucket.DeleteAll(ctx, path.Dir(path.Dir(name))+"/")
}

// MetadataLocation is where this version of the table was loaded from.
func (t *Table) MetadataLocation() string { return t.loc }

// Location is the URI of the table's folder.
func (t *Table) Location() string { return t.meta.Location() }

// Schema is the table's columns with their field ids. Integers are Long; it knows no checks.
func (t *Table) Schema() *record.Schema {
	s, err := fromIceberg(t.meta.CurrentSchema())
	if err != nil { // a foreign type: only another program can have put it there
		t.l.log.Error("lake: schema", "table", t.loc, "err", err)
		return &record.Schema{}
	}
	return s
}

// Bind returns a copy of s whose fields carry the table's field ids and keep their own types and checks: what a promotion compiles
// against. It fails if the table lacks a column of s (then [Table.Evolve] comes first).
func (t *Table) Bind(s *record.Schema) (*record.Schema, error) {
	have, err := fromIceberg(t.meta.CurrentSchema())
	if err != nil {
		return nil, err
	}
	fields, err := bind(s.Fields, have.Fields, "")
	if err != nil {
		return nil, err
	}
	out := *s
	out.Fields = fields
	return &out, nil
}

// Evolve adds the columns of s that the table lacks, also inside objects, lists and maps; it never removes or retypes one. If there are
// any, it writes new metadata and returns its location: make it current and load it before files are written, so that field ids
// are settled before any file carries them. Without a change it returns the present location.
func (t *Table) Evolve(ctx context.Context, s *record.Schema) (metadataLocation string, changed bool, err error) {
	cur := t.meta.CurrentSchema()
	p := plan{last: t.meta.LastColumnID()}
	fields, err := p.merge(cur.Fields(), s.Fields, "")
	if err != nil || !p.changed {
		return t.loc, false, err
	}
	b, err := table.MetadataBuilderFromBase(t.meta, t.loc)
	if err != nil {
		return "", false, err
	}
	if err := errors.Join(b.AddSchema(iceberg.NewSchema(cur.ID+1, fields...)), b.SetCurrentSchemaID(-1)); err != nil {
		return "", false, fmt.Errorf("lake: evolve %s: %w", t.loc, err)
	}
	b.SetLastUpdatedMS()
	loc, err := t.write(ctx, b)
	return loc, err == nil, err
}

// write builds and stores the next version of the metadata.
func (t *Table) write(ctx context.Context, b *table.MetadataBuilder) (string, error) {
	meta, err := b.Build()
	if err != nil {
		return "", fmt.Errorf("lake: %s: %w", t.loc, err)
	}
	v, err := version(t.loc)
	if err != nil {
		return "", err
	}
	loc, err := t.l.writeMetadata(ctx, t.dir, v+1, meta)
	if err == nil {
		t.prune(ctx, v)
	}
	return loc, err
}

// prune removes the metadata files that fell off the log when this version (v) became current: those of version v-11, and what commits that
// lost the race for that version left. This version being current, nothing points at them.
func (t *Table) prune(ctx context.Context, v int) {
	old := v - keepMetadata - 1
	if old < 0 {
		return
	}
	for o, err := range t.l.bucket.List(ctx, fmt.Sprintf("%s/metadata/%05d-", t.dir, old)) {
		if err == nil && metadataName.MatchString(path.Base(o.Name)) {
			err = t.l.bucket.Delete(ctx, o.Name)
		}
		if err != nil {
			t.l.log.Warn("lake: old metadata stays", "table", t.loc, "err", err)
			return
		}
	}
}

var metadataName = regexp.MustCompile(`^(\d{5,})-[0-9a-f-]{36}\.metadata\.json$`)

// version is the number at the start of a metadata file's name.
func version(loc string) (int, error) {
	m := metadataName.FindStringSubmatch(path.Base(loc))
	if m == nil {
		return 0, fmt.Errorf("lake: %s is no metadata file of this writer", loc)
	}
	return strconv.Atoi(m[1])
}

func (l *Lake) writeMetadata(ctx context.Context, dir string, version int, meta table.Metadata) (string, error) {
	raw, err := marshalMetadata(meta)
	if err != nil {
		return "", fmt.Errorf("lake: metadata of %s: %w", dir, err)
	}
	name := fmt.Sprintf("%s/metadata/%05d-%s.metadata.json", dir, version, uuid.NewString())
	if err := l.bucket.Write(ctx, name, raw); err != nil {
		return "", err
	}
	return l.bucket.URI(name), nil
}

// mandatory are members that some reader needs although the library leaves them out of an empty table.
var mandatory = map[string]string{
	"current-snapshot-id": "-1",
	"snapshots":           "[]",
	"snapshot-log":        "[]",
	"metadata-log":        "[]",
	"refs":                "{}",
	"properties":          "{}",
}

func marshalMetadata(meta table.Metadata) ([]byte, error) {
	raw, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	for name, empty := range mandatory {
		if v, ok := members[name]; !ok || bytes.Equal(v, []byte("null")) {
			members[name] = json.RawMessage(empty)
		}
	}
	return json.Marshal(members)
}
