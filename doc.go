// Package weir holds the nouns of the platform: documents, the lenses that read them, bindings, pages,
// windows, runs and the one error type. It imports nothing of ours; every other package imports it.
//
// A document is the truth and a struct is a lens: each control-plane resource is stored as the JSON body its
// client sent plus a server-set header, and the typed structs of this package read only the members the engine needs.
package weir

import (
	"encoding/json"
)

// Kinds of documents. A kind names a collection; (kind, scope, id) names one document. Schemas, classes, field groups and data types
// are stored under their $id (the URL); their bodies carry it too.
const (
	KindOrg              = "orgs"
	KindSandbox          = "sandboxes"
	KindClient           = "clients"
	KindConnectionSpec   = "connectionSpecs"
	KindFlowSpec         = "flowSpecs"
	KindConnection       = "connections"
	KindSourceConnection = "sourceConnections"
	KindTargetConnection = "targetConnections"
	KindFlow             = "flows"
	KindRun              = "runs"
	KindSchema           = "schemas"
	KindClass            = "classes"
	KindFieldGroup       = "mixins"
	KindDataType         = "datatypes"
	KindDescriptor       = "descriptors"
	KindDataset          = "dataSets"
	KindBatch            = "batches"
	KindMappingSet       = "mappingSets"
	KindSample           = "samples"
	KindInputSchema      = "inputSchemas"
	KindRegistryChange   = "registryChanges" // one write of a registry resource, for its audit log
)

// Scope is the tenant of a document: an organisation and one of its sandboxes. Sandbox is the sandbox name. Documents
// shared by all sandboxes of an organisation leave Sandbox empty; documents shared by all organisations leave both empty.
type Scope struct {
	Org     string // <24 hex>@AdobeOrg
	Sandbox string // name, e.g. prod
}

// Actor is who makes a change: the user (token subject) and the client (API key).
type Actor struct {
	User   string
	Client string
}

// Doc is one control-plane document.
//
// Body is the JSON object as its client sent it (member order, number text and unknown members kept). Meta is a JSON object of
// members the server derives (inheritedAttributes, lastRunDetails, …); readers see Body, then Meta, then the header on top.
// Secret is plain text in memory and is sealed by the store at rest; it never appears in Body or Meta.
type Doc struct {
	Kind  string
	ID    string
	Scope Scope

	// ETag is opaque, without quotes, and new after every write. Rev counts the writes, from 1.
	ETag string
	Rev  int64
	// CreatedAt and UpdatedAt are epoch milliseconds.
	CreatedAt, UpdatedAt         int64
	CreatedBy, UpdatedBy         string
	CreatedClient, UpdatedClient string
	State                        string

	Body   json.RawMessage
	Meta   json.RawMessage
	Secret json.RawMessage
}

// Read unmarshals the body into a lens.
func (d *Doc) Read(lens any) error { return json.Unmarshal(d.Body, lens) }
