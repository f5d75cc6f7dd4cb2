package xdm

import (
	"embed"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"sync"
)

// Values of meta:resourceType, which are also the collection names (field groups keep their old name).
const (
	Schemas     = "schemas"
	Classes     = "classes"
	FieldGroups = "mixins"
	DataTypes   = "datatypes"
	Behaviors   = "behaviors"
	Unions      = "unions"
)

// Well-known components.
const (
	Record          = libraryBase + "data/record"
	TimeSeries      = libraryBase + "data/time-series"
	AdHoc           = libraryBase + "data/adhoc"
	AdHocV2         = libraryBase + "data/adhoc-v2" // marks a model-based schema; not a component
	Profile         = libraryBase + "context/profile"
	ExperienceEvent = libraryBase + "context/experienceevent"
	IdentityMap     = libraryBase + "context/identitymap"

	extensible = libraryBase + "common/extensible"
)

// LibraryDate is when the standard library was written, epoch milliseconds; it is its created and updated time.
const LibraryDate = 1793491200000

//go:embed library/*.xdm
var libraryFiles embed.FS

// document is one parsed resource. The tree is shared and never changed.
type document struct {
	id     string
	tree   map[string]any
	hidden bool // resolved, never listed
}

type libraryIndex struct {
	byID  map[string]*document // by $id and by meta:altId
	order []*document          // sorted by $id
}

// library expands the notation on first use.
var library = sync.OnceValue(func() *libraryIndex {
	lib := &libraryIndex{byID: map[string]*document{}}
	names, err := libraryFiles.ReadDir("library")
	if err != nil {
		panic(fmt.Sprintf("xdm: embedded library: %v", err)) // cannot happen: the folder is embedded
	}
	for _, n := range names {
		text, err := libraryFiles.ReadFile("library/" + n.Name())
		if err != nil {
			panic(fmt.Sprintf("xdm: embedded library: %v", err))
		}
		docs, err := parseNotation(n.Name(), string(text))
		if err != nil {
			panic(fmt.Sprintf("xdm: embedded library: %v", err)) // a test parses every file
		}
		for _, d := range docs {
			lib.add(d)
		}
	}
	sort.Slice(lib.order, func(i, j int) bool { return lib.order[i].id < lib.order[j].id })
	return lib
})

func (l *libraryIndex) add(d *document) {
	if l.byID[d.id] != nil {
		panic("xdm: embedded library: two components have the id " + d.id)
	}
	d.tree["meta:createdDate"] = "2026-11-01"
	date := json.Number(strconv.Itoa(LibraryDate))
	d.tree["meta:registryMetadata"] = map[string]any{"repo:createdDate": date, "repo:lastModifiedDate": date}
	annotate(d.tree)
	l.byID[d.id] = d
	l.byID[AltID(d.id)] = d
	l.order = append(l.order, d)
}

// Global returns a component of the standard library by $id or meta:altId, as its raw resource.
func Global(id string) (json.RawMessage, bool) {
	d, ok := library().byID[id]
	if !ok {
		return nil, false
	}
	return encode(d.tree), true
}

// IsGlobal reports whether the standard library has the id ($id or meta:altId).
func IsGlobal(id string) bool { return library().byID[id] != nil }

// Globals returns the raw components of one resource type, sorted by $id.
func Globals(resourceType string) []json.RawMessage {
	var out []json.RawMessage
	for _, d := range library().order {
		if !d.hidden && d.tree["meta:resourceType"] == resourceType {
			out = append(out, encode(d.tree))
		}
	}
	return out
}

// ID is the $id of a raw resource, "" if it has none.
func ID(raw json.RawMessage) string {
	var r struct {
		ID string `json:"$id"`
	}
	if json.Unmarshal(raw, &r) != nil {
		return ""
	}
	return r.ID
}
